"""Tables and plots for papers, and the command that writes them."""

from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hostile_texts import BIDI, SCRIPT
from made_up_figures import figures
from made_up_study import write_study
from veneer.cli.main import main
from veneer.foundation.errors import MissingExtra
from veneer.foundation.results import Measurement
from veneer.report import tables
from veneer.report.export import write_plots, write_tables
from veneer.report.export.latex import escape, main_table

has_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="needs matplotlib: pip install 'veneer[plots]'",
)


@pytest.fixture(scope="module")
def written(study, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tables")
    write_tables([study], out)
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_csv_and_parquet_hold_the_same_rows(written):
    for name in ("results", "main", "portions", "cross"):
        table, rows = pq.read_table(written / f"{name}.parquet"), rows_of(written / f"{name}.csv")
        assert table.column_names == list(rows[0]) and table.num_rows == len(rows) > 0
        for column in ("value", "low", "n"):
            assert [None if r[column] == "" else float(r[column]) for r in rows] == table.column(
                column
            ).to_pylist()
    assert len(rows_of(written / "results.csv")) == len(figures())


def test_main_table_pairs_figures_with_portions(written):
    (row,) = [
        r for r in rows_of(written / "main.csv") if (r["task"], r["system"]) == ("svamp", "veneer")
    ]
    assert float(row["value"]) == 0.157 and float(row["portion"]) == pytest.approx(
        (0.157 - 0.023) / (0.307 - 0.023)
    )
    crossed = {
        (r["extracted_on"], r["measured_on"]): float(r["value"])
        for r in rows_of(written / "cross.csv")
    }
    # two tasks, and all of them together
    assert crossed[("advbench", "svamp")] == -0.18 and len(crossed) == 6


def test_latex_is_booktabs_with_as_many_cells_in_each_line(written):
    for name in ("main", "portions", "cross"):
        text = (written / f"{name}.tex").read_text(encoding="utf-8")
        columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
        assert columns and r"\toprule" in text and r"\bottomrule" in text
        lines = [x for x in text.splitlines() if x.endswith(r" \\")]
        assert {len(re.split(r"(?<!\\)&", x)) for x in lines} == {len(columns[1])}
        assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert "$-$0.18" in (written / "cross.tex").read_text(encoding="utf-8")


def test_latex_escapes_what_names_may_hold():
    assert escape("a_b & 50 % of {x} $1 #2 ~ ^ \\ <|eos|>") == (
        r"a\_b \& 50 \% of \{x\} \$1 \#2 \textasciitilde{} \textasciicircum{} \textbackslash{} "
        r"\textless{}\textbar{}eos\textbar{}\textgreater{}"
    )
    assert escape("\u202eé漢\x00[x]") == "U+202EéU+6F22U+0000{[}x{]}"
    rows = [
        Measurement("measure", SCRIPT, "a_b%", s, 0.5, 9, 0.1, 0.9)
        for s in ("base", BIDI, "x\\input{/etc/passwd}")
    ]
    text = main_table(tables.groups(rows))
    assert "\\input" not in text and "\u202e" not in text and r"a b\%" in text


def test_a_spreadsheet_takes_no_text_for_a_formula(tmp_path):
    from veneer.foundation.results import Results

    Results([Measurement("measure", "=1+1", "m", "@x", -0.5, 9, note="+2\ud800")]).write(
        tmp_path / "results.jsonl"
    )
    write_tables([tmp_path], tmp_path / "t")
    (row,) = rows_of(tmp_path / "t" / "results.csv")
    assert (
        row["task"] == "'=1+1"
        and row["system"] == "'@x"
        and row["value"] == "-0.5"
        and row["note"].startswith("'+2")
    )
    assert pq.read_table(tmp_path / "t" / "results.parquet").column("task").to_pylist() == ["=1+1"]


def test_several_studies_get_a_folder_each(study, tmp_path):
    other = write_study(tmp_path / "x" / "other", prompts=2)
    written = write_tables([study, other], tmp_path / "t")
    assert {p.parent.name for p in written} == {"made-up", "other"}
    twins = write_tables([other, other], tmp_path / "u")
    assert {p.parent.name for p in twins} == {"other-1", "other-2"}


@has_matplotlib
def test_plots_are_pictures_with_outlined_letters(study, tmp_path):
    written = write_plots([study], tmp_path)
    assert {p.stem for p in written} == {"portion", "position-joint", "position-advbench", "shifts"}
    for path in written:
        data = path.read_bytes()
        assert (
            data.startswith(b"\x89PNG")
            if path.suffix == ".png"
            else b"<path" in data and b"<text" not in data and b"font-family" not in data
        )
    again = write_plots([study], tmp_path / "again")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in written]


@has_matplotlib
def test_plots_of_a_study_without_any(tmp_path):
    from veneer.foundation.results import Results

    Results([Measurement("other", "t", "m", "base", 1.0, 3)]).write(tmp_path / "results.jsonl")
    assert write_plots([tmp_path], tmp_path / "p") == []


def test_the_missing_extra_is_named_before_anything_is_written(
    study, tmp_path, monkeypatch, capsys
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "matplotlib" else find(name, *more),
    )
    with pytest.raises(MissingExtra, match=r"veneer\[plots\]"):
        write_plots([study], tmp_path / "p")
    assert (
        main(
            [
                "report",
                str(study),
                "--out",
                str(tmp_path / "r.html"),
                "--plots",
                str(tmp_path / "p"),
            ]
        )
        == 2
    )
    assert "pip install 'veneer[plots]'" in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_page_and_tables(study, tmp_path, capsys):
    assert (
        main(
            [
                "report",
                str(study),
                "--out",
                str(tmp_path / "r.html"),
                "--tables",
                str(tmp_path / "t"),
            ]
        )
        == 0
    )
    assert (tmp_path / "r.html").stat().st_size > 10_000 and (tmp_path / "t" / "main.tex").is_file()
    assert "tables: " in capsys.readouterr().out
    assert (
        main(
            [
                "report",
                str(study),
                "--out",
                str(tmp_path / "s.html"),
                "--tables",
                str(tmp_path / "r.html"),
            ]
        )
        == 2
    )
    assert (
        "is a file; expected a folder" in capsys.readouterr().err
        and not (tmp_path / "s.html").exists()
    )
