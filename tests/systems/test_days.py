"""A template that writes today's date: what was begun on one day goes on with its
date on another."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pairs import prompts, small_capture
from tiny import TEMPLATE, tiny
from veneer.capture import CaptureConfig, capture
from veneer.foundation.days import day_of, today
from veneer.foundation.errors import InputError
from veneer.foundation.run_record import RunRecord
from veneer.head.extract import extract
from veneer.head.veneer import Veneer
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.systems.respond import respond
from veneer.systems.system import System

THEN = "2024-02-29"
DATED = "{{ strftime_now('%d %b %Y') }}" + TEMPLATE
CONFIG = CaptureConfig(
    k=8, batch_size=4, shard_batches=1, noise_prompts=2, sampling=Sampling(max_new_tokens=4)
)


def dated_model(seed: int = 1) -> LanguageModel:
    lm = tiny(seed=seed)
    tok = copy.deepcopy(lm.tokenizer)
    tok.chat_template = DATED
    return LanguageModel("dated", lm.model, tok)


def dated_pair() -> Pair:
    return Pair(tiny(seed=0), dated_model())


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_a_capture_resumes_with_the_date_of_its_first_day(tmp_path):
    recorded = capture(dated_pair().dated(THEN), prompts(6), tmp_path / "c", CONFIG)
    assert recorded.manifest["aligned_format"] == {"kind": "chat", "system": None, "day": THEN}
    before = {p.name: p.read_bytes() for p in (tmp_path / "c").glob("*.*") if "lock" not in p.name}
    for shard in list((tmp_path / "c").glob("*-00001.*")):
        shard.unlink()
    capture(dated_pair(), prompts(6), tmp_path / "c", CONFIG)  # undated: today it is another day
    assert {
        p.name: p.read_bytes() for p in (tmp_path / "c").glob("*.*") if "lock" not in p.name
    } == before
    other = replace(ChatFormat(), day="2023-01-01")
    with pytest.raises(InputError, match="made with another aligned_format"):
        capture(
            Pair(tiny(seed=0), dated_model(), PlainFormat(), other),
            prompts(6),
            tmp_path / "c",
            CONFIG,
        )


def test_a_capture_whose_template_writes_no_date_records_none(tmp_path):
    capture = small_capture(tmp_path / "c")
    assert capture.manifest["aligned_format"] == {"kind": "chat", "system": None}


def test_a_new_capture_records_todays_date_and_so_does_its_veneer(tmp_path):
    before = today()
    recorded = capture(dated_pair(), prompts(12), tmp_path / "c", CONFIG)
    assert recorded.manifest["aligned_format"]["day"] in (before, today())
    veneer = extract(recorded).veneer
    veneer.save(tmp_path / "v")
    assert (
        Veneer.load(tmp_path / "v").facts["aligned_format"] == recorded.manifest["aligned_format"]
    )


@pytest.mark.parametrize("whole", [True, False])
def test_answers_go_on_with_the_date_of_their_first_day(whole, tmp_path):
    lm, how, out = dated_model(), Sampling(max_new_tokens=3), tmp_path / "a.jsonl"
    questions = prompts(4)
    system = System("aligned", lm, ChatFormat(), lm.stop_ids)
    yesterday = replace(system, format=ChatFormat(day=THEN))
    want = respond(yesterday, questions, how, batch_size=2)
    if whole:
        respond(yesterday, questions, how, batch_size=2, out=out)
        assert (
            json.loads((tmp_path / "a.jsonl.manifest.json").read_text())["system"]["format"]["day"]
            == THEN
        )
    else:

        def stop(done: int, total: int, what: str) -> None:
            if done:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            respond(yesterday, questions, how, batch_size=2, out=out, progress=stop)
        assert (tmp_path / "a.jsonl.part").is_file()
    assert respond(system, questions, how, batch_size=2, out=out) == want


def test_a_study_keeps_the_date_of_its_first_day(tmp_path):
    record = RunRecord(tmp_path / "s", "run", {"a": 1})
    record.note(day=THEN)
    assert RunRecord(tmp_path / "s", "run", {"a": 1}).day == THEN


def test_the_date_is_read_from_the_first_record_that_has_one(tmp_path):
    (tmp_path / "a.json").write_text('{"x": [{"kind": "chat", "day": "not a day"}, 3, "day"]}')
    (tmp_path / "b.part").write_text('{"settings": "s", "day": "2024-02-29"}\n{"batch": 0, "respon')
    assert day_of(tmp_path / "none.json", tmp_path / "a.json", tmp_path / "b.part") == THEN
