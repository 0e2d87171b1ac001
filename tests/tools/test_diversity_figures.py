"""Every printed figure of the second paper's data, to the digit; and the page that shows them."""

from __future__ import annotations

import pytest
from tools.paper.diversity_figures import FIGURES, Figure, number
from tools.paper.overton_page import all_figures, lima, main

from veneer.statistics.intervals import Estimate
from veneer.studies.diversity.decompose import TERMS
from veneer.studies.diversity.rows_cross import decomposition_rows


@pytest.fixture(scope="module")
def overton(request):
    folder = request.getfixturevalue("data") / "overton"
    if not (folder / "LIMA-OE").is_dir():
        pytest.skip("needs the second paper's data in VENEER_DATA/overton")
    return folder


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.name)
def test_printed_figure(overton, figure):
    value = figure.compute(overton)
    assert figure.agrees(value), f"{number(value)}, printed {figure.printed}"
    if isinstance(value, Estimate):
        assert value.low <= value.value <= value.high and value.n in (36, 42, 50, 434)


def test_agreement_is_to_the_printed_digits():
    figure = Figure("x", "0.50", lambda _: 0.0)
    assert (
        figure.agrees(0.5049)
        and not figure.agrees(0.5051)
        and not figure.agrees(Estimate(None, None, None, 0, "bca"))
    )


def test_names_are_unique():
    names = [f.name for f in all_figures()]
    assert len(set(names)) == len(names) >= len(FIGURES)


def test_decomposition_of_the_published_answers(overton):
    rows = {
        r.metric.removeprefix("decomposition_"): r
        for r in decomposition_rows(lima(overton), threshold=4.0)
    }
    assert set(rows) == {*TERMS, "aggregation_repeated", "rest_repeated"}
    assert rows["drop"].n == 36
    assert rows["quality_control"].value == pytest.approx(0.861378 - 0.818042, abs=2e-6)
    assert sum(rows[t].value for t in ("quality_control", "aggregation", "rest")) == pytest.approx(
        rows["drop"].value
    )


def test_page(overton, tmp_path, capsys):
    out = tmp_path / "page.md"
    assert main([str(overton.parent), str(out)]) == 0
    output = capsys.readouterr().out
    text = out.read_text()
    assert (
        f"{len(all_figures())} of {len(all_figures())} figures agree" in output
        and "| 0.856639 |" in text
    )


def test_a_folder_without_the_data(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path / "p.md")]) == 2
    assert "holds no LIMA-OE" in capsys.readouterr().err and not (tmp_path / "p.md").exists()
