"""Templates whose end is no token, or which open no answer: an answer ends all the same,
and a line says so."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from pairs import prompts
from shifting import some_veneer
from tiny import TEMPLATE, tiny
from veneer.capture import CaptureConfig, capture
from veneer.capture.run import capture_from
from veneer.foundation.errors import InputError
from veneer.head.extract import extract
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.shifted_teacher import ShiftedTeacher
from veneer.systems.system import System, pair_systems

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n"
    "' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
)
END = "<|im_end|>"


def model(template: str, tokens: tuple[str, ...] = (), seed: int = 1) -> LanguageModel:
    lm = tiny(seed=seed)
    tok = copy.deepcopy(lm.tokenizer)
    tok.add_tokens(list(tokens))
    tok.chat_template = template
    return LanguageModel("stranger", lm.model, tok)


def test_a_closing_text_ends_answers_from_the_capture_to_the_veneer(tmp_path, caplog):
    lm = model(CHATML)
    assert lm.end_of_turn is None and lm.stop_ids == (lm.tokenizer.eos_token_id,)
    pair = Pair(tiny(seed=0), lm)
    config = CaptureConfig(k=8, batch_size=4, noise_prompts=2, sampling=Sampling(max_new_tokens=4))
    recorded = capture(pair, prompts(12), tmp_path / "c", config)
    assert recorded.manifest["stop"] == [END]
    assert any(
        "ends an answer with '<|im_end|>', which is no single token" in m for m in caplog.messages
    )
    veneer = extract(recorded).veneer
    veneer.save(tmp_path / "v")
    assert json.loads((tmp_path / "v" / "veneer.json").read_text())["stop"] == [END]
    assert [s.stop for s in pair_systems(pair, veneer)] == [(), (END,), (END,)]
    assert System("aligned-plain", lm, PlainFormat(), lm.stop_ids).stop == ()


def test_a_closing_text_ends_the_answers_of_a_shifted_system(tmp_path):
    small, large = tiny(seed=0), tiny(seed=2)
    veneer = some_veneer(small)
    recorded = replace(veneer, facts={**veneer.facts, "stop": [" mat"]})
    shifted = ShiftedSystem.of_models(large, small, recorded)
    assert shifted.stop == (" mat",)
    chat = ShiftedSystem.of_models(model(CHATML), small, recorded, format=ChatFormat())
    assert chat.stop == (" mat", END)
    plain = ShiftedSystem.of_models(large, small, veneer)
    assert plain.stop == ()
    # answers end where the text stands, and a capture of them hands it on
    (whole,) = respond(plain, prompts(1), Sampling(8))
    end = large.tokenizer.decode(whole.token_ids[3:5])
    ended = replace(recorded, facts={**veneer.facts, "stop": [end]})
    (cut,) = respond(ShiftedSystem.of_models(large, small, ended), prompts(1), Sampling(8))
    assert cut.finish_reason == "stop" and len(cut.token_ids) < len(whole.token_ids)
    assert end not in cut.text
    config = CaptureConfig(k=8, batch_size=4, noise_prompts=2, sampling=Sampling(max_new_tokens=4))
    teacher = ShiftedTeacher(shifted)
    capture = capture_from(large, teacher, prompts(12), tmp_path / "c", config)
    assert extract(capture).veneer.facts["stop"] == [" mat"]


def test_a_missing_generation_prompt_is_named_once(caplog):
    lm = model(CHATML, ("<|im_start|>", END))
    for _ in range(2):
        assert lm.end_of_turn == lm.tokenizer.convert_tokens_to_ids(END)
    assert lm.tokenizer.convert_tokens_to_ids("<|im_start|>") not in lm.stop_ids
    assert [
        m for m in caplog.messages if "has no generation prompt" in m
    ] == caplog.messages and len(caplog.messages) == 1
    caplog.clear()
    assert model(TEMPLATE).end_of_turn is not None and not caplog.messages


def test_an_end_without_a_row_is_no_end():
    """A tokenizer whose end of turn was added without resizing the embeddings."""
    lm = model(CHATML, (*(f"<new{i}>" for i in range(9)), "<|im_start|>", END))
    assert lm.end_of_turn >= lm.head.rows and lm.end_of_turn not in lm.stop_ids
    with pytest.raises(
        InputError, match=r"holds '<\|im_.*' \(id \d+\), but stranger has only \d+ rows"
    ):
        System("aligned", lm, ChatFormat(), lm.stop_ids).prompt_tokens(prompts(1))
