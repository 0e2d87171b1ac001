"""What a page opens with is the question of its study, and the finding is that study's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from veneer.foundation.results import Measurement, Results
from veneer.report.load import load
from veneer.report.opening import GENERAL, finding, models, title
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
    unchosen = page_of("unchosen", [VENEER, SHIFTED, KL])
    assert opening(unchosen) == opening(part), "the first shifted system, where none was chosen"


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
    assert question(run, transfer) == GENERAL and question(run, run) == portion_section.QUESTION
    assert (
        question(
            page_of("other", [Measurement("another", "t", "rate", "veneer", 0.4, 5, 0.3, 0.5)])
        )
        == GENERAL
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


def scored(study: str, task: str, metric: str, system: str, value: float, n: int, judge: str):
    low, high = max(0.0, value - 0.1), min(1.0, value + 0.1)
    return Measurement(study, task, metric, system, value, n, low, high, judge=judge, unit="share")


def test_judged_answers_speak_of_the_verdicts(page_of):
    rows = [
        scored("judge", "goals", metric, system, value, 40, "refusal-v3")
        for system, value in (("base", 0.1), ("veneer", 0.9))
        for metric, value in (("refusal_rate", value), ("refusal_unscored_rate", 0.0))
    ]
    part = page_of("judged", rows)
    assert question(part) == "What do the judges say of these answers?"
    assert opening(part).striptags() == (
        "Refusal rate on goals: base 0.10 (95 % interval 0.00 to 0.20, n = 40), veneer 0.90 (95 % "
        "interval 0.80 to 1.00, n = 40); judge refusal-v3."
    )


def test_an_overton_study_speaks_of_its_score_and_names_no_hash_as_a_model(page_of):
    rows = [scored("overton", "overton", "overton_score", "base", 0.4, 12, "a-judge")]
    part = page_of("views", rows, config={"files": {"base": "5b88fdfe" * 8}, "judge": "a-judge"})
    assert question(part) == "Which viewpoints of people do the responses cover?"
    assert opening(part).striptags() == (
        "Share of people's viewpoints that a response covers, by question: base 0.40 (95 % "
        "interval 0.30 to 0.50, n = 12); judge a-judge."
    )
    assert models(part, applying(part)) == []


def test_a_transfer_without_the_large_aligned_model_speaks_of_its_figures(page_of):
    rows = [
        Measurement("measure", "goals", metric, system, value, 40, 0.0, 1.0, split="test")
        for system, rate in (("base", 0.1), ("shifted-1", 0.9), ("shifted-2", 0.5))
        for metric, value in (("refusal_rate", rate), ("empty_rate", 0.0))
    ]
    part = page_of("figures", [*rows, replace(KL, metric="time_ratio", split="timing")])
    assert opening(part).striptags() == (
        "With the small model's veneer (shifted-1), the large model reaches: refusal rate on goals "
        "0.90 (95 % interval 0.00 to 1.00, n = 40), without it 0.10 (95 % interval 0.00 to 1.00, "
        "n = 40). No alpha was chosen; shifted-1 is the first one."
    )


def test_a_transfer_gives_the_distance_before_and_after(page_of):
    before = replace(KL, system="base", value=1.4, low=1.1, high=1.8)
    part = page_of("distance", [SHIFTED, before, KL], choice={"system": "shifted-1"})
    assert (
        opening(part)
        .striptags()
        .endswith(
            "KL from the large aligned model, in nats per token on held-out prompts: 1.40 (95 % "
            "interval 1.10 to 1.80, n = 24) without the veneer, 0.42 (95 % interval 0.30 to 0.50, "
            "n = 24) with it."
        )
    )
