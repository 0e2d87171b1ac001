"""What a veneer records of the templates that it was fitted behind, and what is made of it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from pairs import chat_pair, prompts, small_capture
from veneer.capture import Capture, CaptureConfig, capture
from veneer.capture.templates import record_of_tasks, template_record
from veneer.foundation.errors import InputError
from veneer.head import recorded
from veneer.head.config import ExtractConfig
from veneer.head.extract import extract
from veneer.head.recorded import chosen_format, fitted_formats, recorded_format
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA
from veneer.systems.respond import respond
from veneer.systems.system import System

QA, USER = "Q: {prompt}\nA:", "User: {prompt}\n\nAssistant:"


def in_template(some: list[Prompt], template: str, task: str) -> list[Prompt]:
    return [Prompt.from_text(p.id, p.text, template=template, task=task) for p in some]


MIXED = [*in_template(prompts(9), QA, "sums"), *in_template(prompts(3), USER, "talk")]


def capture_of(folder, some: list[Prompt], form: PlainFormat | None = None) -> Capture:
    pair = chat_pair()
    pair = Pair(pair.base, pair.aligned, form or PlainFormat(), pair.aligned_format)
    how = CaptureConfig(
        k=16, batch_size=4, shard_batches=1, noise_prompts=3, sampling=Sampling(max_new_tokens=6)
    )
    return capture(pair, some, folder, how)


def facts(*templates: str | None, base_format: dict | None = None) -> dict:
    rows = [{"template": t, "share": 1 / len(templates)} for t in templates]
    return {
        "base_format": base_format or {"kind": "plain", "template": "{prompt}"},
        "templates": rows,
    }


def test_capture_and_veneer_record_every_template_with_its_share(tmp_path):
    capture = capture_of(tmp_path / "c", MIXED)
    wanted = [
        {"template": QA, "prompts": 9, "share": 0.75, "tasks": {"sums": 9}},
        {"template": USER, "prompts": 3, "share": 0.25, "tasks": {"talk": 3}},
    ]
    assert capture.manifest["templates"] == wanted
    joint = extract(capture, ExtractConfig(max_evaluations=3)).veneer
    assert joint.facts["templates"] == wanted
    own = extract(capture, ExtractConfig(max_evaluations=3, tasks=("sums",))).veneer
    assert own.facts["templates"] == [
        {"template": QA, "prompts": 9, "share": 1.0, "tasks": {"sums": 9}}
    ]


def test_one_template_for_all_is_what_base_reads(tmp_path):
    capture = capture_of(tmp_path / "c", MIXED, PlainFormat(ALPACA))
    assert [(r["template"], r["share"]) for r in capture.manifest["templates"]] == [(ALPACA, 1.0)]
    pair = chat_pair()
    text = ALPACA.replace("{prompt}", MIXED[0].text)
    assert capture.prompts[0]["base_length"] == len(pair.base.tokenizer(text)["input_ids"])
    veneer = extract(capture, ExtractConfig(max_evaluations=3)).veneer
    assert System.of_model(pair.base, veneer).format == PlainFormat(ALPACA)


def test_a_capture_without_a_record_resumes_and_its_veneer_behaves_as_before(tmp_path):
    small_capture(tmp_path / "c")
    path = tmp_path / "c" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest.pop("templates")
    path.write_text(json.dumps(manifest))
    capture = small_capture(tmp_path / "c")  # as version 0.1.0 left it
    assert "templates" not in capture.manifest
    veneer = extract(capture, ExtractConfig(max_evaluations=3)).veneer
    assert "templates" not in veneer.facts
    system = System.of_model(chat_pair().base, veneer)
    assert (system.format, system.fitted) == (PlainFormat(), ())


def test_the_record_of_other_formats_is_empty():
    assert template_record(ChatFormat(), MIXED) == []
    assert fitted_formats({"base_format": {"kind": "chat", "system": None}}) == (
        recorded.CHAT_TEMPLATE,
    )
    assert record_of_tasks(template_record(PlainFormat(), MIXED), ("talk",))[0]["share"] == 1.0


def test_the_format_that_is_chosen():
    assert recorded_format(facts(QA)) == PlainFormat(QA)
    assert recorded_format(facts("{prompt}")) == PlainFormat(bare=True)
    assert recorded_format(facts(QA, USER)) is recorded_format(facts(None)) is None
    assert chosen_format(facts(QA, USER), MIXED) == PlainFormat()  # each prompt brings one of them
    assert chosen_format({}) == PlainFormat()  # version 0.1.0
    assert chosen_format({"base_format": {"kind": "plain", "template": QA}}) == PlainFormat(QA)
    message = r"several templates \(qa 50 %, user 50 %\) .*; choose one with --base-template"
    for some in ((), prompts(2), [*MIXED, *prompts(1)]):
        with pytest.raises(InputError, match=message):
            chosen_format(facts(QA, USER), some)
    with pytest.raises(InputError, match="records the template 'x'"):
        recorded_format(facts("x"))


def test_a_format_that_it_was_not_fitted_behind_is_answered_with_one_warning(tmp_path, caplog):
    veneer = extract(capture_of(tmp_path / "c", MIXED[:9]), ExtractConfig(max_evaluations=3)).veneer
    base, how = chat_pair().base, Sampling(max_new_tokens=2)
    recorded._warn.cache_clear()
    with caplog.at_level(logging.WARNING, "veneer"):
        # all of them behind the recorded one
        respond(System.of_model(base, veneer), [*MIXED, *prompts(2)], how)
        # they bring it themselves
        respond(System.of_model(base, veneer, format=PlainFormat()), MIXED[:9], how)
        respond(System.of_model(base, format=PlainFormat()), prompts(2), how)  # no veneer
        assert not caplog.records
        plain = System.of_model(base, veneer, format=PlainFormat())
        respond(plain, prompts(2), how)
        respond(plain, prompts(3), how)
        (line,) = [r.getMessage() for r in caplog.records]
        assert line == (
            "veneer: veneer reads prompts behind the template plain, but its veneer was fitted "
            "behind qa; its answers mean little there"
        )
        respond(replace(plain, format=ChatFormat()), prompts(2), how)
        assert "the chat template" in caplog.records[-1].getMessage()
