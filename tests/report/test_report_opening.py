"""What a page opens with is the question of its study, and the finding is that study's."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.results import Measurement, Results
from veneer.report.load import load
from veneer.report.opening import COMPARED, finding, models, title
from veneer.report.page_context import PageContext
from veneer.report.sections import applying
from veneer.report.sections import portion as portion_section
from veneer.studies.restore.page import SECTION as RESTORE
from veneer.studies.transfer.page import SECTION as TRANSFER


def portion(system: str, value: float) -> Measurement:
    return Measurement(
        "measure",
        "goals",
        "portion",
        system,
        value,
        40,
        value - 0.1,
        value + 0.1,
        split="test",
        of="refusal_rate",
    )


VENEER = portion("veneer", 1.0)
SHIFTED = portion("shifted-1", 0.62)
KL = Measurement(
    "transfer", "joint", "kl", "shifted-1", 0.42, 24, 0.3, 0.5, unit="nats/token", split="report"
)


def verdict(way: str, note: str) -> Measurement:
    return Measurement("restore", "joint", "restored", way, 1.0, 50, split="test", note=note)


@pytest.fixture
def page_of(tmp_path):
    def make(name: str, rows: list[Measurement], **run) -> PageContext:
        folder = tmp_path / name
        folder.mkdir()
        Results(rows).write(folder / "results.jsonl")
        (folder / "run.json").write_text(json.dumps(run))
        return PageContext(load(folder))

    return make


def question(*parts: PageContext) -> str:
    return title([(part, applying(part)) for part in parts])


def opening(page: PageContext):
    return finding(page, applying(page))


def test_a_run_speaks_of_its_veneer(page_of):
    part = page_of("run", [VENEER])
    assert question(part) == portion_section.QUESTION
    assert (
        opening(part)
        .striptags()
        .startswith(
            "A change of the last layer alone carries 1.00 of the change in refusal rate on goals"
        )
    )


def test_a_transfer_speaks_of_the_small_models_veneer(page_of):
    part = page_of("transfer", [VENEER, SHIFTED, KL], choice={"system": "shifted-1"})
    assert question(part) == TRANSFER.question
    assert (
        opening(part)
        .striptags()
        .startswith(
            "The small model's veneer gives the large one 0.62 of the change in refusal rate"
        )
    )
    assert opening(page_of("unchosen", [VENEER, SHIFTED, KL])) == ""


def test_a_restore_speaks_of_its_verdicts(page_of):
    rows = [
        verdict("own", "restored – x"),
        verdict("urial", "not restored: harm did not fall – x"),
        verdict("<b>", "restored – x"),
    ]
    part = page_of("restore", rows)
    assert question(part) == RESTORE.question
    assert opening(part) == "The verdicts: restored by own and &lt;b&gt;; not restored by urial."


def test_studies_that_ask_different_things_share_a_plain_title(page_of):
    run, transfer = page_of("one", [VENEER]), page_of("two", [VENEER, KL])
    assert question(run, transfer) == COMPARED and question(run, run) == portion_section.QUESTION
    assert (
        question(
            page_of("other", [Measurement("another", "t", "rate", "veneer", 0.4, 5, 0.3, 0.5)])
        )
        == COMPARED
    )


def opened(tmp_path, run: dict, *rows: Measurement):
    """The models at the head of the page of a folder."""
    Results(rows).write(tmp_path / "results.jsonl")
    (tmp_path / "run.json").write_text(json.dumps(run))
    page = PageContext(load(tmp_path))
    return models(page, applying(page))


def test_a_transfer_names_the_small_models_as_small(tmp_path):
    """Its small aligned model is no aligned version of the large base."""
    names = {"base": "L", "small_base": "s", "small_aligned": "a"}
    run = {"pair": {role: {"name": name} for role, name in names.items()}}
    assert opened(tmp_path, run, KL) == [
        ("small-base", "small base", "s"),
        ("small-aligned", "small aligned", "a"),
        ("base", "large base", "L"),
    ]


def test_a_system_is_named_by_its_model(tmp_path):
    """A leak's record holds a system's own name beside that of its model."""
    run = {
        "config": {"base": "lab:base"},
        "models": {"aligned": {"name": "aligned", "model": "lab:aligned"}},
    }
    assert opened(tmp_path, run, VENEER) == [
        ("base", "base", "lab:base"),
        ("aligned", "aligned", "lab:aligned"),
    ]
