"""Answers read off known ones: the same as decoded ones, and nothing decoded where all is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pairs import chat_pair, prompts
from tiny import tiny
from veneer.head.veneer import Veneer
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat
from veneer.systems import speculative
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.speculative import KEPT, Paths, Retraced
from veneer.systems.system import System

PROMPTS = prompts(10)
ALPHAS = (0.0, 0.3, 0.6, 1.0, 1.5)
STOPS = ("an", "the c", " a")  # short, so that they begin in one token and end in the next


def veneer_of(lm, seed: int = 5) -> Veneer:
    draw = torch.Generator().manual_seed(seed)
    change = torch.randn(lm.head.rows, lm.head.width, generator=draw)
    return Veneer(lm.head.hash(), lm.head.rows, change)


def systems(kind: str):
    """One backbone under several heads, or with several shifts."""
    lm = tiny(kind)
    if kind == "qwen2":
        base = tiny("llama", seed=7)
        veneer = veneer_of(base)
        return [
            ShiftedSystem.of_models(lm, base, veneer, alpha=a, format=ChatFormat()) for a in ALPHAS
        ]
    veneer = veneer_of(lm)
    return [
        System(f"head-{a}", lm, ChatFormat(), lm.stop_ids, veneer.apply(lm.head, a)) for a in ALPHAS
    ]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma2", "mamba"])
@pytest.mark.parametrize("stops", [(), STOPS])
def test_the_answers_are_those_of_plain_decoding(kind, stops):
    paths, sampling = Paths(), Sampling(12)
    texts = set()
    for system in systems(kind):
        plain = respond(system, PROMPTS, sampling, stop_strings=stops, batch_size=4)
        assert (
            respond(Retraced(system, paths), PROMPTS, sampling, stop_strings=stops, batch_size=4)
            == plain
        )
        texts.add(tuple(r.text for r in plain))
    assert len(texts) > 1  # the heads do differ
    assert all(len(some) <= KEPT for some in paths.known.values())


def test_what_is_known_is_not_decoded_again(monkeypatch):
    first, *_ = systems("llama")
    paths = Paths()
    known = respond(Retraced(first, paths), PROMPTS, Sampling(12))

    def never(*_, **__):
        raise AssertionError("decoded what was known")

    monkeypatch.setattr(speculative, "decode_steps", never)
    assert respond(Retraced(replace(first), paths), PROMPTS, Sampling(12)) == known
    # a shorter limit ends the same way earlier
    shorter = respond(Retraced(first, paths), PROMPTS, Sampling(5))
    assert [r.token_ids for r in shorter] == [r.token_ids[:5] for r in known]


def test_a_longer_limit_continues_behind_the_known_tokens():
    first, *_ = systems("llama")
    paths = Paths()
    respond(Retraced(first, paths), PROMPTS, Sampling(4))
    assert respond(Retraced(first, paths), PROMPTS, Sampling(12)) == respond(
        first, PROMPTS, Sampling(12)
    )


def test_sampling_and_schedules_are_left_to_the_system():
    pair = chat_pair()
    system = System("s", pair.aligned, ChatFormat(), pair.aligned.stop_ids)
    warm = Sampling(8, temperature=1.0, seed=3)
    assert respond(Retraced(system, Paths()), PROMPTS, warm) == respond(system, PROMPTS, warm)
    base = tiny("llama", seed=7)
    fading = ShiftedSystem.of_models(
        pair.aligned, base, veneer_of(base), alpha="1>0@4", format=ChatFormat()
    )
    assert respond(Retraced(fading, Paths()), PROMPTS, Sampling(8)) == respond(
        fading, PROMPTS, Sampling(8)
    )
    assert Retraced(system, Paths()).facts() == system.facts()
