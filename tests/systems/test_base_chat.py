"""The control base-chat reads what the aligned model reads, whatever template base has."""

from __future__ import annotations

import copy

import pytest

from pairs import prompts
from shifting import reordered
from tiny import TEMPLATE, tiny
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.systems.respond import respond
from veneer.systems.system import control_systems

DATED = "{{ bos_token }}<|system|>Today: {{ strftime_now('%d %b') }}<|end|>"


def with_template(lm: LanguageModel, template: str | None) -> LanguageModel:
    tok = copy.deepcopy(lm.tokenizer)
    tok.chat_template = template
    return LanguageModel(lm.name, lm.model, tok)


def base_chat(pair: Pair):
    return next(s for s in control_systems(pair, None) if s.name == "base-chat")


@pytest.mark.parametrize("own", [None, TEMPLATE, "{{ messages[0]['content'] }}"])
def test_it_reads_the_aligned_models_template(own):
    base = with_template(tiny(), own)
    aligned = with_template(tiny(seed=1), DATED + TEMPLATE.replace("{{ bos_token }}", ""))
    form = ChatFormat(day="2026-01-02")
    system = base_chat(Pair(base, aligned, PlainFormat(), form))
    (prompt,) = prompts(1)
    ids = system.format.encode(base.tokenizer, prompt)
    assert ids == form.encode(aligned.tokenizer, prompt)
    assert "Today: 02 Jan" in base.tokenizer.decode(ids)
    assert system.format.facts() != form.facts()
    assert respond(system, [prompt], Sampling(3))[0].token_ids


def test_its_ids_are_bases():
    aligned, new = reordered(tiny(seed=1))
    pair = Pair(tiny(), aligned)
    (prompt,) = prompts(1)
    ids = base_chat(pair).format.encode(pair.base.tokenizer, prompt)
    assert [int(new[i]) for i in ids] == ChatFormat().encode(aligned.tokenizer, prompt)
    assert ids == ChatFormat().encode(pair.base.tokenizer, prompt)  # the templates are equal


def test_equal_templates_are_read_as_before():
    assert base_chat(Pair(tiny(), tiny(seed=1))).format == ChatFormat()
