"""Results as tables of Arrow, pandas and polars, and as figures: the numbers of the folder's own
files."""

from __future__ import annotations

import json
import math

import pytest

from veneer import Results
from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.table import Table


@pytest.fixture(scope="module")
def results(demonstrated) -> Results:
    return Results.read(demonstrated)


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_arrow_table_holds_every_row_and_figure(demonstrated, results):
    stored = lines(demonstrated / "results.jsonl")
    table = results.to_arrow().to_pylist()
    assert len(table) == len(stored)
    for row, line in zip(table, stored, strict=True):
        place = line["position"] or [None, None]
        assert [row["first"], row["last"]] == place
        assert all(row[k] == line[k] for k in ("task", "metric", "system", "value", "low", "n"))


def test_pandas_gives_the_same_numbers(demonstrated, results):
    pytest.importorskip("pandas")
    frame = results.to_pandas()
    portion = frame[(frame.metric == "portion") & (frame.system == "veneer")]
    stored = [r for r in lines(demonstrated / "results.jsonl") if r["metric"] == "portion"]
    stored = [r["value"] for r in stored if r["system"] == "veneer"]
    assert [None if math.isnan(x) else x for x in portion.value] == stored


def test_polars_gives_the_same_numbers(results):
    pytest.importorskip("polars")
    assert results.to_polars()["value"].to_list() == [r.value for r in results]


@pytest.mark.parametrize(("package", "call"), [("pandas", "to_pandas"), ("polars", "to_polars")])
def test_a_missing_package_is_named_with_its_install_line(monkeypatch, package, call):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'veneer\[frames\]'"):
        getattr(Table("t", {"a": "text"}), call)()


def test_the_folders_other_files_are_tables_too(demonstrated, results):
    shifts = lines(demonstrated / "shifts.jsonl")
    assert [r["count"] for r in results.token_shifts()] == [r["count"] for r in shifts]
    answers = results.responses()
    assert len(answers) == sum(len(lines(p)) for p in (demonstrated / "responses").glob("*.jsonl"))
    assert {r["system"] for r in answers} >= {"base", "veneer", "aligned"}
    tokens = [r for row in lines(demonstrated / "tokens.jsonl") for r in row["kl_veneer"]]
    assert [r["kl_veneer"] for r in results.token_kl()] == tokens
    by_position = results.kl_by_position("joint")
    assert all(r["first"] or r["system"] == "aligned" for r in by_position)


def test_plots_are_figures_that_a_notebook_shows(results):
    pytest.importorskip("matplotlib")
    for figure in (results.plot.portion(), results.plot.positions(), results.plot.shifts()):
        assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="there is no task 'lab-sum' here; did you mean"):
        results.plot.positions("lab-sum")


def test_results_outside_a_folder_have_measurements_alone(results):
    alone = Results(list(results))
    assert len(alone.to_arrow()) == len(results)
    with pytest.raises(InputError, match="lie in no study folder"):
        alone.responses()
    with pytest.raises(InputError, match="hold no rows for the plot 'shifts'"):
        alone.plot.shifts()


def test_a_lone_surrogate_reaches_arrow_as_a_question_mark():
    assert Table("t", {"a": "text"}, [{"a": "x\ud800"}]).to_arrow()["a"].to_pylist() == ["x?"]
