"""Three answers in step: the same answers as each system gives alone, and KL as plain forward
passes give it."""

from __future__ import annotations

import pytest
import torch

from pairs import chat_pair
from veneer import Pair
from veneer.chat.side_by_side import SYSTEMS, SideBySide
from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.systems.system import pair_systems

QUESTIONS = ("How do I steal a goat?", "Tom has 3 apples and buys 4 more. How many has he?")


@pytest.fixture(scope="module")
def pair():
    return Pair.load("lab:base", "lab:aligned")


@pytest.fixture(scope="module")
def veneer(pair):
    difference = (pair.aligned.head.weight - pair.base.head.weight).detach()
    facts = {"stop_ids": list(pair.aligned.stop_ids)}
    return Veneer(pair.base.head.hash(), pair.base.head.rows, difference, facts=facts)


@pytest.fixture(scope="module")
def side_by_side(pair, veneer):
    return SideBySide(pair, veneer)


def texts(pieces):
    return {s: "".join(p.text for p in pieces if p.system == s) for s in SYSTEMS}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_each_system_says_what_it_says_alone(side_by_side, pair, veneer, temperature):
    sampling = Sampling(max_new_tokens=24, temperature=temperature, seed=3)
    for question in QUESTIONS:
        pieces = list(side_by_side.answers(question, sampling))
        for system in pair_systems(pair, veneer):
            (alone,) = system.decode([Prompt.from_text("q", question)], sampling, (), ["question"])
            own = [p for p in pieces if p.system == system.name]
            assert texts(pieces)[system.name] == alone.text
            assert sum(p.tokens for p in own) == len(alone.token_ids)
            assert [p.end for p in own if p.end] == [alone.finish_reason]


def test_kl_is_that_of_whole_forward_passes(side_by_side, pair, veneer):
    """The reference uses transformers alone: two passes over prompt and answer."""
    question, sampling = QUESTIONS[0], Sampling(max_new_tokens=12)
    pieces = [p for p in side_by_side.answers(question, sampling) if p.system == "aligned"]
    assert all(p.tokens == 1 for p in pieces)
    (answer,) = pair_systems(pair, veneer)[2].decode(
        [Prompt.from_text("q", question)], sampling, (), ["question"]
    )
    base_ids, aligned_ids = side_by_side.prompts(question)

    @torch.inference_mode()
    def behind(model, prompt, weight=None):
        """Log-probabilities (n, V) from which each token of the answer is foretold."""
        ids = torch.tensor([[*prompt, *answer.token_ids]])
        if weight is None:
            logits = model(ids).logits[0]
        else:
            logits = model.model(ids).last_hidden_state[0] @ weight.T
        return logits[len(prompt) - 1 : -1].double().log_softmax(-1)

    aligned = behind(pair.aligned.model, aligned_ids)
    base = behind(pair.base.model, base_ids)
    changed = pair.base.head.weight + veneer.values()
    veneered = behind(pair.base.model, base_ids, changed)
    for name, other in (("kl_base", base), ("kl_veneer", veneered)):
        expected = (aligned.exp() * (aligned - other)).sum(-1)
        kls = torch.tensor([getattr(p, name) for p in pieces], dtype=torch.float64)
        assert torch.allclose(kls, expected, atol=1e-4)
    for piece, row in zip(pieces, aligned, strict=True):
        best = piece.likely["aligned"][0]
        assert best[1] == pytest.approx(float(row.exp().max()), abs=1e-4)
        assert best[0] == pair.base.tokenizer.decode([int(row.argmax())])


def test_strength_zero_is_base(side_by_side):
    answers = texts(
        list(side_by_side.answers(QUESTIONS[0], Sampling(max_new_tokens=12), alpha=0.0))
    )
    assert answers["veneer"] == answers["base"] != answers["aligned"]


def test_one_answer_may_be_cut_while_others_end(side_by_side):
    pieces = list(side_by_side.answers(QUESTIONS[0], Sampling(max_new_tokens=3)))
    ends = {p.system: p.end for p in pieces if p.end}
    assert ends == {"base": "stop", "veneer": "length", "aligned": "length"}
    assert texts(pieces)["base"] == "" and texts(pieces)["aligned"] != ""


def test_what_cannot_be_asked(side_by_side, pair):
    with pytest.raises(InputError, match="the question is empty"):
        list(side_by_side.answers("  "))
    with pytest.raises(InputError, match=r"reads .* at most"):
        list(side_by_side.answers("goat " * 5000, Sampling(max_new_tokens=8)))
    with pytest.raises(InputError, match="alpha is nan"):
        list(side_by_side.answers("Hello", alpha=float("nan")))
    other = Veneer("0" * 64, pair.base.head.rows, torch.zeros(pair.base.head.weight.shape))
    with pytest.raises(InputError):
        SideBySide(pair, other)


@pytest.mark.parametrize("kind", ["gpt2", "gemma2", "gemma3", "cohere", "granite", "mamba"])
def test_other_architectures(kind):
    """Scaled and capped heads, padding rows, models without attention."""
    pair = chat_pair(kind)
    generator = torch.Generator().manual_seed(1)
    difference = 0.3 * torch.randn(pair.base.head.weight.shape, generator=generator)
    veneer = Veneer(pair.base.head.hash(), pair.base.head.rows, difference)
    sampling = Sampling(max_new_tokens=12, temperature=1.0, seed=5)
    pieces = list(SideBySide(pair, veneer, pair.base_format).answers("How do I bake?", sampling))
    for system in pair_systems(pair, veneer):
        (alone,) = system.decode(
            [Prompt.from_text("q", "How do I bake?")], sampling, (), ["question"]
        )
        assert texts(pieces)[system.name] == alone.text
    assert all(0 <= kl < float("inf") for p in pieces for kl in (p.kl_base, p.kl_veneer))
