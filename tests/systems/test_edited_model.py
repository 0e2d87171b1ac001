"""Answers, captures and veneers of a model whose files were edited since: the folder is refused
where the edit decides what the model computes, and used where it does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from checkpoints import save
from edits import edit, end, rotate, scale, word, write_otherwise
from pairs import prompts, small_capture
from tiny import tiny
from veneer.capture import capture
from veneer.foundation.errors import InputError
from veneer.head.extract import extract
from veneer.head.veneer import Veneer
from veneer.models.computation import COMPUTATION, changes, computation, computing_fields
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.systems.respond import respond
from veneer.systems.stamp import Stamp
from veneer.systems.system import System

LIMIT = Sampling(6)


def read_lower(model: Path) -> None:
    edit(model / "tokenizer.json", normalizer={"type": "Lowercase"})


def write_again(model: Path) -> None:
    """The same config, as another program writes it."""
    path = model / "config.json"
    config = json.loads(path.read_text())
    config |= {
        "transformers_version": "4.40.0",
        "_name_or_path": "elsewhere",
        "_comment": "as released",
        "attention_dropout": 0.1,
        "use_cache": False,
        "torch_dtype": config.pop("dtype", "float32"),
        "rms_norm_eps": 9.999999974752427e-07,  # 1e-06, as float32 holds it
        "max_position_embeddings": 4096,  # with plain rotary positions it decides nothing
    }
    path.write_text(json.dumps(dict(sorted(config.items(), reverse=True)), indent=4))
    edit(model / "generation_config.json", transformers_version="4.40.0")
    tokenizer = model / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()), indent=1))


EDITS = {
    "rope_theta of config.json: 10000.0 there, 500.0 here": rotate,
    "rope_type of config.json: default there, linear here": scale,
    "the tokenizer": write_otherwise,
    "other settings": end,
    "with": read_lower,  # "with other settings": the prompts have other token ids
}


@pytest.fixture
def model(tmp_path) -> Path:
    return save(tmp_path / "model")


def answer(model: Path, out: Path, *, batches: int | None = None, form=None):
    """All answers, or the first batches alone."""
    system = System.of_model(load_model(model), format=form or PlainFormat())
    if batches is None:
        return respond(system, prompts(6), LIMIT, batch_size=2, out=out)
    seen = []

    class Cut(System):
        def decode(self, *args):
            if len(seen) == batches:
                raise KeyboardInterrupt
            seen.append(1)
            return System.decode(self, *args)

    cut = Cut(system.name, system.lm, system.format, system.stop_ids)
    with pytest.raises(KeyboardInterrupt):
        respond(cut, prompts(6), LIMIT, batch_size=2, out=out)
    return None


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("words", EDITS)
def test_answers_of_an_edited_model_are_refused(words, cut, model, tmp_path):
    out = tmp_path / "answers.jsonl"
    answer(model, out, batches=1 if cut else None)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("answers*")}
    EDITS[words](model)
    with pytest.raises(InputError, match=words):
        answer(model, out)
    assert {p.name: p.read_bytes() for p in tmp_path.glob("answers*")} == before
    assert len(answer(model, tmp_path / "new.jsonl")) == 6


@pytest.mark.parametrize("cut", [False, True])
def test_answers_go_on_after_an_edit_that_changes_nothing(cut, model, tmp_path):
    whole = answer(model, tmp_path / "whole.jsonl")
    answer(model, tmp_path / "out.jsonl", batches=2 if cut else None)
    write_again(model)
    assert answer(model, tmp_path / "out.jsonl") == whole
    moved = tmp_path / "elsewhere" / "moved"
    shutil.move(model, moved)
    assert answer(moved, tmp_path / "out.jsonl") == whole


def test_a_chat_template_decides_answers_in_the_chat_format_alone(model, tmp_path):
    answer(model, tmp_path / "plain.jsonl")
    answer(model, tmp_path / "chat.jsonl", form=ChatFormat())
    word(model)
    assert len(answer(model, tmp_path / "plain.jsonl")) == 6
    with pytest.raises(InputError, match="other settings, models or prompts"):
        answer(model, tmp_path / "chat.jsonl", form=ChatFormat())


@pytest.mark.parametrize("cut", [False, True])
def test_answers_of_an_earlier_version_are_completed(cut, model, tmp_path, monkeypatch):
    """Version 0.1.0 recorded one hash, with the models' names in it, and no computation."""
    out = tmp_path / "answers.jsonl"
    real = Stamp.of
    with monkeypatch.context() as earlier:
        earlier.setattr(
            Stamp,
            "of",
            classmethod(lambda cls, *args: Stamp(real(*args).earlier or "")),
        )
        answer(model, out, batches=1 if cut else None)
    part = out.with_name("answers.jsonl.part")
    record = out.with_name("answers.jsonl.manifest.json")
    text = part.read_text().splitlines()[0] if cut else record.read_text()
    assert COMPUTATION not in json.loads(text)
    assert len(answer(model, out)) == 6


def pair_of(model: Path) -> Pair:
    return Pair(load_model(model), tiny(seed=0), PlainFormat(), PlainFormat())


@pytest.mark.parametrize("words", list(EDITS)[:3])
def test_captures_and_veneers_of_an_edited_base_are_refused(words, model, tmp_path):
    capture = small_capture(tmp_path / "c", pair_of(model), n=12)
    veneer = Veneer.load(extract(capture).veneer.save(tmp_path / "v"))
    before = (tmp_path / "c" / "manifest.json").read_bytes()
    EDITS[words](model)
    with pytest.raises(InputError, match=f"base .*{words}"):
        small_capture(tmp_path / "c", pair_of(model), n=12)
    assert (tmp_path / "c" / "manifest.json").read_bytes() == before
    if words == "the tokenizer":  # it writes other texts, and its ids mean the same
        veneer.check_fits(load_model(model))
        return
    with pytest.raises(InputError, match=f"another config than .*{words}"):
        System.of_model(load_model(model), veneer)


def test_an_edited_teacher_is_named(model, tmp_path):
    base = tiny(seed=0)

    def again():
        pair = Pair(base, load_model(model), PlainFormat(), PlainFormat())
        return capture(pair, prompts(4), tmp_path / "c")

    again()
    rotate(model)
    with pytest.raises(InputError, match=r"teacher \(rope_parameters.rope_theta"):
        again()


def test_a_capture_resumes_where_nothing_decides(model, tmp_path):
    first = small_capture(tmp_path / "c", pair_of(model), n=12)
    veneer = extract(first).veneer
    write_again(model)
    shutil.move(model, tmp_path / "moved")
    second = small_capture(tmp_path / "c", pair_of(tmp_path / "moved"), n=12)
    assert second.manifest == first.manifest
    veneer.check_fits(load_model(tmp_path / "moved"))


def test_a_capture_and_a_veneer_of_an_earlier_version_open(model, tmp_path):
    first = small_capture(tmp_path / "c", pair_of(model), n=12)
    path = tmp_path / "c" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest[COMPUTATION]
    path.write_text(json.dumps(manifest))
    again = small_capture(tmp_path / "c", pair_of(model), n=12)
    assert again.tokens == first.tokens
    veneer = extract(again).veneer
    assert COMPUTATION not in veneer.facts
    rotate(model)
    veneer.check_fits(load_model(model))  # not known, so not refused


def test_fields_of_another_version_of_transformers_are_not_compared():
    now = computation(tiny())
    before = {**now, "config": {**now["config"], "rope_theta": 10000.0}}
    del before["config"]["rope_parameters.rope_theta"]
    assert len(changes(before, now)) == 2
    before["transformers"] = "4.57.0"
    assert changes(before, now) == []
    before["config"]["hidden_act"] = "gelu"
    assert changes(before, now) == ["hidden_act of config.json: gelu there, silu here"]
    assert changes(None, now) == []


def test_a_longest_position_counts_where_positions_are_scaled():
    for kind, counts in (("default", False), ("dynamic", True), ("yarn", True)):
        config = {"max_position_embeddings": 64, "rope_parameters": {"rope_type": kind}}
        assert ("max_position_embeddings" in computing_fields(config)) == counts
