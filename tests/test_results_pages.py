"""The tables of docs/results.md and docs/results/ are those that benchmarks/results_pages.py makes
from the committed data."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location(
    "results_pages", ROOT / "benchmarks" / "results_pages.py"
)
assert SPEC is not None and SPEC.loader is not None
results_pages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(results_pages)


@pytest.mark.parametrize("page", results_pages.pages(), ids=lambda page: page.name)
def test_the_page_is_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert text == results_pages.filled(text), (
        f"python benchmarks/results_pages.py writes {page.name} anew"
    )


def test_every_table_in_a_results_page_is_generated():
    """A table outside the markers cannot be compared with its data. docs/results.md may hold a few
    short ones of its own."""
    for page in results_pages.pages()[1:]:
        outside = results_pages.MARKED.sub("", page.read_text(encoding="utf-8"))
        assert not [line for line in outside.split("\n") if line.startswith("|")], page.name


def test_every_data_file_is_shown_on_a_page():
    texts = [page.read_text(encoding="utf-8") for page in results_pages.pages()]
    shown = {name for text in texts for _, _, name, _ in results_pages.MARKED.findall(text)}
    assert {place.stem for place in results_pages.DATA.iterdir()} == shown


def test_a_finished_run_becomes_a_data_file(tmp_path):
    row = {"study": "measure", "task": "advbench", "split": "test", "system": "veneer", "n": 8}
    row |= {"value": 0.5, "low": 0.25, "high": 0.75}
    rows = [
        row | {"metric": "refusal_rate", "unit": "share", "judge": "refusal", "note": "words"},
        row
        | {"metric": "difference_from_base", "of": "refusal_rate", "facts": {"adjusted_p": 0.0312}},
        row | {"metric": "refusal_rate", "split": "group:a"},
        row | {"study": "position", "metric": "kl", "position": [1, 1]},
    ]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    shift = {
        "base": "\n",
        "veneer": "I",
        "aligned": "I",
        "count": 3,
        "shift": "shifted",
        "restored": True,
        "task": "advbench",
    }
    (tmp_path / "shifts.jsonl").write_text(json.dumps(shift) + "\n")
    run = {
        "seconds": {"capture": 2.0, "report": 1.0},
        "machine": {"threads": 1, "processor": "x86_64"},
        "judges": ["refusal"],
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    kept = results_pages.rows_of(tmp_path)
    assert [r["metric"] for r in kept if r["study"] == "measure"] == [
        "refusal_rate",
        "difference_from_base",
    ]
    assert "note" not in kept[0] and kept[1]["p"] == "p = 0.031"
    assert results_pages.tokens(kept)[-1] == "| `↵` | `I` | `I` | 3 | shifted | yes |"
    assert results_pages.time(kept)[-3] == "| all | 3 |"
    assert (
        results_pages.differences(kept)[-1]
        == "| advbench | refusal_rate | veneer | 0.500 (0.250 to 0.750), p = 0.031 |  |"
    )
