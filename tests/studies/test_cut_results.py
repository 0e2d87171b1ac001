"""A finished folder whose results.jsonl lost lines is refused by whoever reads it; the page of an
unfinished run says at its top that it is one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from veneer.cli import main
from veneer.foundation.errors import InputError
from veneer.foundation.results import ROWS, Measurement, Results
from veneer.report import write_report
from veneer.studies.runner import run_study

UNFINISHED = "This run is not finished"


@dataclass
class Counting:
    """A study of three rows."""

    name: str = "counting"
    short: bool = False

    def settings(self):
        return {"rows": 3}

    def check(self):
        pass

    def measure(self, run):
        run.incomplete = self.short
        for task in "abc":
            yield Measurement("counting", task, "accuracy", "base", 1.0, 1)


def test_lost_rows_are_refused(tmp_path):
    out = tmp_path / "out"
    run_study(Counting(), out, progress=False)
    rows = out / "results.jsonl"
    whole = rows.read_text()
    assert len(whole.splitlines()) == 3
    rows.write_text("".join(whole.splitlines(keepends=True)[:2]))
    for read in (
        lambda: run_study(Counting(), out, progress=False),
        lambda: Results.read(out),
        lambda: write_report([out], tmp_path / "page.html"),
    ):
        with pytest.raises(InputError, match="has 2 rows, but the finished run wrote 3"):
            read()
    assert not (tmp_path / "page.html").exists()
    record = json.loads((out / "run.json").read_text())
    del record[ROWS]  # a folder of an earlier version
    (out / "run.json").write_text(json.dumps(record))
    assert len(run_study(Counting(), out, progress=False)) == 2


def test_the_page_of_an_unfinished_run_says_so(tmp_path):
    out = tmp_path / "out"
    run_study(Counting(short=True), out, progress=False)
    assert (out / "report.html").read_text().count(UNFINISHED) == 1
    run_study(Counting(), out, progress=False)
    assert UNFINISHED not in (out / "report.html").read_text()
    (out / "run.json").unlink()  # not known
    write_report([out], out / "report.html")
    assert UNFINISHED not in (out / "report.html").read_text()


def test_a_page_of_another_ending_is_refused(tmp_path, capsys):
    out = tmp_path / "out"
    run_study(Counting(), out, progress=False)
    page = tmp_path / "page.pdf"
    assert main(["report", str(out), "--out", str(page)]) == 2
    assert "give a name that ends in .html or .htm" in capsys.readouterr().err
    assert not page.exists()
    assert main(["report", str(out), "--out", str(tmp_path / "page.HTML")]) == 0
    assert Path(tmp_path / "page.HTML").read_text().startswith("<!doctype html>")
