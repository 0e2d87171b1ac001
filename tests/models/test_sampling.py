"""Choosing the next token: transformers' own processors as the reference, one stream an answer,
stamps that do not move."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from tiny import tiny
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.decode import decode
from veneer.models.sampling import NO_TOKEN, Answer, Sampling, _adjusted, choose, filtered

V = 40


def random_logits(seed: int, rows: int = 1, spread: float = 4.0) -> torch.Tensor:
    return spread * torch.randn(rows, V, generator=torch.Generator().manual_seed(seed))


def kept(logits: torch.Tensor, how: Sampling) -> torch.Tensor:
    """Probabilities (V,) that are sampled from, in the order of the vocabulary."""
    p, order = torch.sort(
        (logits.double() / how.temperature).softmax(-1), dim=-1, descending=True, stable=True
    )
    p = filtered(p, [how])
    return torch.zeros_like(p).scatter(-1, order, p / p.sum(-1, keepdim=True))[0]


SAMPLED = st.builds(
    Sampling,
    temperature=st.floats(0.3, 3.0),
    top_p=st.one_of(st.just(1.0), st.floats(0.05, 0.999)),
    top_k=st.integers(0, V + 5),
    min_p=st.one_of(st.just(0.0), st.floats(0.001, 1.0)),
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), SAMPLED)
def test_filters_are_those_of_transformers(seed, how):
    logits = random_logits(seed)
    scores = TemperatureLogitsWarper(how.temperature)(None, logits.double())
    if how.top_k:
        scores = TopKLogitsWarper(how.top_k)(None, scores)
    if how.top_p < 1:
        scores = TopPLogitsWarper(how.top_p)(None, scores)
    if how.min_p:
        scores = MinPLogitsWarper(how.min_p)(None, scores)
    torch.testing.assert_close(kept(logits, how), scores.softmax(-1)[0], rtol=1e-9, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), SAMPLED)
def test_what_is_kept_is_the_top_of_the_distribution(seed, how):
    logits = random_logits(seed)
    p = kept(logits, how)
    inside, outside = logits[0][p > 0], logits[0][p == 0]
    assert p[logits.argmax()] > 0 and p.sum() == pytest.approx(1)
    assert len(outside) == 0 or inside.min() >= outside.max()
    assert not how.top_k or len(inside) <= how.top_k


def test_ties_stay_together_at_top_k():
    assert (
        kept(torch.tensor([[1.0, 3.0, 2.0, 2.0, 0.0]]), Sampling(temperature=1.0, top_k=2)) > 0
    ).tolist() == [False, True, True, True, False]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0.5, 2.0),
    st.lists(st.integers(0, V - 1), max_size=6),
    st.lists(st.integers(0, V - 1), max_size=6),
)
def test_the_repetition_penalty_is_that_of_transformers(seed, penalty, prompt, tokens):
    logits = random_logits(seed)
    answer = Answer(Sampling(repetition_penalty=penalty), prompt, "", tokens)
    before = logits.clone()
    estimate = _adjusted(logits, [answer], ())
    ids = torch.tensor([[*prompt, *tokens]], dtype=torch.long)
    wanted = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits) if ids.numel() else logits
    torch.testing.assert_close(estimate, wanted, rtol=1e-6, atol=1e-6)
    assert torch.equal(logits, before), "those who watch keep what they were given"


def test_bias_and_bars_are_those_of_transformers():
    logits = random_logits(1)
    tokens = [3, 5]
    ids = torch.tensor([[1, 2, *tokens]])
    how = Sampling(min_new_tokens=3, logit_bias=((7, -2.5), (9, 4.0)))
    estimate = _adjusted(logits, [Answer(how, [1, 2], "", tokens)], (0, 11))
    wanted = SequenceBiasLogitsProcessor([[[7], -2.5], [[9], 4.0]])(ids, logits)
    wanted = MinNewTokensLengthLogitsProcessor(2, 3, [0, 11])(ids, wanted)
    assert torch.equal(estimate, wanted) and estimate[0, 0] == -torch.inf
    assert torch.isfinite(_adjusted(logits, [Answer(how, [1, 2], "", [3, 5, 6])], (0, 11))).all()


def test_presence_and_frequency_penalties_follow_the_formula():
    """logit - frequency * count - presence * (count > 0), over the answer's own tokens
    (OpenAI's API reference)."""
    logits, tokens = random_logits(2), [4, 4, 8, 4]
    how = Sampling(presence_penalty=0.75, frequency_penalty=-0.5)
    estimate = _adjusted(logits, [Answer(how, [1, 2, 8], "", tokens)], ())
    counts = Counter(tokens)
    wanted = [float(x) - 0.75 * (counts[i] > 0) + 0.5 * counts[i] for i, x in enumerate(logits[0])]
    assert estimate[0].tolist() == pytest.approx(wanted)


def test_tokens_outside_a_restricted_vocabulary_are_passed_over():
    how = Sampling(
        repetition_penalty=2.0,
        presence_penalty=1.0,
        logit_bias=((V + 3, 9.0),),
        barred=(V, 2),
        barred_steps=5,
    )
    estimate = _adjusted(random_logits(0), [Answer(how, [V + 1, 3], "", [V + 2])], (V + 9,))
    assert estimate[0, 2] == -torch.inf and torch.isfinite(estimate).sum() == V - 1


OPTIONS = [
    Sampling(8, seed=1),
    Sampling(8, 1.0, 0.9, 3),
    Sampling(5, 0.7, top_k=5, seed=3),
    Sampling(8, 2.0, min_p=0.05, seed=4, repetition_penalty=1.3),
    Sampling(8, presence_penalty=1.0, frequency_penalty=0.5, min_new_tokens=6),
    Sampling(3, 1.5, logit_bias=((20, 5.0),), barred=(21,), barred_steps=2),
]


def test_every_row_has_its_own_sampling():
    """A batch of different samplings answers as each one alone, in any order."""
    from veneer.models.decode import Row, decode_steps
    from veneer.models.stepper import ModelStepper

    lm = tiny()
    prompts = [[10, 20, 30], [40, 50, 60, 70], [12, 13], [99, 98], [33], [7, 8, 9, 10]]
    stops = (1, 2, *range(100, 140))

    def answers(order):
        rows = [Row(OPTIONS[i], f"key {i}") for i in order]
        out = {i: [] for i in order}
        with torch.inference_mode():
            stepper = ModelStepper(lm, [prompts[i] for i in order])
        for tokens in decode_steps(stepper, rows, stop_ids=stops):
            for t in tokens:
                out[order[t.row]].append(t.id)
        return out

    together = answers(list(range(6)))
    assert together == answers([5, 3, 1, 0, 2, 4])
    for i, how in enumerate(OPTIONS):
        (alone,) = decode(lm, [prompts[i]], how, stop_ids=stops, keys=[f"key {i}"])
        assert list(alone.token_ids) == together[i]
    assert len(together[4]) >= 6


def test_no_token_without_probability_is_drawn(monkeypatch):
    """Also where the random number is as large as it gets, and the product with the whole mass
    rounds up to it."""
    logits = random_logits(3, rows=2)
    answers = [Answer(Sampling(temperature=1.0, top_k=2, seed=i), [], str(i)) for i in range(2)]
    monkeypatch.setattr(
        torch, "rand", lambda *size, **words: torch.tensor(1.0, dtype=torch.float64)
    )
    assert choose(logits, answers, ()).tolist() == logits.topk(2).indices[:, 1].tolist()


@pytest.mark.parametrize("temperature", [5e-324, 1e-320, 1e-9, 1e-5, 1e-4])
def test_tiny_temperatures_are_the_limit(temperature):
    """Greedy: here the runner-up is 0.1 nats or more behind."""
    logits = random_logits(8, rows=4, spread=1e3)
    answers = [Answer(Sampling(temperature=temperature, seed=i), [], "") for i in range(4)]
    assert choose(logits, answers, ()).tolist() == logits.argmax(-1).tolist()


def test_the_likeliest_token_stays_where_its_mass_rounds_to_nothing():
    """5e-324 * 0.3 is 0, so that no token lay below it."""
    logits = torch.zeros(1, V)
    logits[0, 7] = 1.0
    how = Sampling(temperature=1.0, top_k=1, top_p=5e-324)
    assert choose(logits, [Answer(how, [], "")], ()).tolist() == [7]


def test_a_row_without_a_token_leaves_the_others_alone():
    logits = random_logits(9, rows=3)
    barred = Sampling(temperature=1.0, barred=tuple(range(V)), barred_steps=1)
    for sampled in (0.0, 1.0):
        usual = Sampling(temperature=sampled, seed=4)
        rows = [Answer(how, [], "") for how in (usual, barred, usual)]
        chosen = choose(logits, rows, ()).tolist()
        alone = [int(choose(logits[i : i + 1], [Answer(usual, [], "")], ())) for i in (0, 2)]
        assert chosen == [alone[0], NO_TOKEN, alone[1]]


def test_a_row_whose_logits_are_not_finite_ends_alone():
    from veneer.models.decode import FAILED, Row, decode_steps
    from veneer.models.stepper import ModelStepper

    lm, prompts = tiny(), [[10, 20, 30], [40, 50], [60]]
    rows = [Row(Sampling(6, 1.0, seed=1), str(i)) for i in range(3)]

    def broken(logits: torch.Tensor) -> torch.Tensor:
        """Row 1 breaks at its third token."""
        broken.step += 1
        return logits.index_fill(0, torch.tensor(1), torch.nan) if broken.step == 3 else logits

    def answers(**how) -> dict[int, list]:
        broken.step, out = 0, {0: [], 1: [], 2: []}
        with torch.inference_mode():
            stepper = ModelStepper(lm, prompts)
        for tokens in decode_steps(stepper, rows, stop_ids=(), **how):
            for t in tokens:
                out[t.row].append(t.finish_reason or t.id if t.id == NO_TOKEN else t.id)
        return out

    usual = answers()
    assert answers(shift=broken, apart=True) == {**usual, 1: [*usual[1][:2], FAILED]}
    with pytest.raises(VeneerError, match="not finite at response position 3"):
        answers(shift=broken)
    with pytest.raises(VeneerError, match="no token to choose at response position 1"):
        decode(
            lm, [[5]], Sampling(2, barred=tuple(range(lm.head.rows)), barred_steps=1), stop_ids=()
        )


def test_frequencies_are_the_probabilities():
    logits = random_logits(5, spread=1.0)
    how = Sampling(temperature=1.3, top_p=0.8)
    answer = Answer(how, [], "a")
    counts = Counter(int(choose(logits, [answer], ())[0]) for _ in range(4000))
    p = kept(logits, how)
    assert set(counts) <= set(p.nonzero()[:, 0].tolist())
    for token, share in enumerate(p.tolist()):
        assert abs(counts[token] / 4000 - share) < 5 * (share * (1 - share) / 4000) ** 0.5 + 1e-9


def test_stamps_of_stored_answers_do_not_move():
    """Options that came later stand in the facts only where they are used."""
    assert Sampling(9, 0.5, 0.9, 3).facts() == {
        "max_new_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "barred": (),
        "barred_steps": 0,
    }
    assert (
        Sampling(top_k=4, min_new_tokens=1).facts().items()
        >= {"top_k": 4, "min_new_tokens": 1}.items()
    )
    for how in OPTIONS:
        assert Sampling(**how.facts()) == how


def test_is_argmax():
    assert Sampling().is_argmax and Sampling(5, top_p=0.5, seed=3, top_k=2).is_argmax
    changes = {
        "temperature": 0.1,
        "repetition_penalty": 1.1,
        "presence_penalty": -1.0,
        "frequency_penalty": 1.0,
        "min_new_tokens": 1,
        "logit_bias": ((1, 1.0),),
        "barred_steps": 1,
    }
    assert not any(Sampling(**{k: v}).is_argmax for k, v in changes.items())


@pytest.mark.parametrize(
    "words",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": -0.1},
        {"min_p": 1.5},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": float("nan")},
        {"repetition_penalty": 1e-300},
        {"repetition_penalty": 1e300},
        {"presence_penalty": -1e308},
        {"logit_bias": ((1, -1e300),)},
        {"presence_penalty": float("inf")},
        {"frequency_penalty": float("nan")},
        {"min_new_tokens": -1},
        {"max_new_tokens": 3, "min_new_tokens": 4},
        {"logit_bias": ((-1, 1.0),)},
        {"logit_bias": ((1, float("inf")),)},
    ],
)
def test_options_out_of_range_are_refused(words):
    with pytest.raises(InputError, match="expected"):
        Sampling(**words)


def test_a_bias_stands_before_the_repetition_penalty_as_in_transformers():
    logits, ids = random_logits(4), torch.tensor([[1, 2, 7]])
    how = Sampling(repetition_penalty=1.7, logit_bias=((7, 6.0), (2, -6.0)))
    estimate = _adjusted(logits, [Answer(how, [1, 2], "", [7])], ())
    wanted = SequenceBiasLogitsProcessor([[[7], 6.0], [[2], -6.0]])(ids, logits)
    wanted = RepetitionPenaltyLogitsProcessor(1.7)(ids, wanted)
    assert torch.allclose(estimate, wanted)


def test_tokens_barred_by_two_sides_are_all_barred():
    how = Sampling(barred=(3,), barred_steps=1, also_barred=((5, 2), (6, 1)))
    for tokens, gone in (([], [3, 5, 6]), ([0], [5]), ([0, 0], [])):
        estimate = _adjusted(random_logits(5), [Answer(how, [], "", tokens)], ())
        assert torch.flatten(torch.nonzero(estimate[0] == -torch.inf)).tolist() == gone
    assert not Sampling(also_barred=((5, 2),)).is_argmax
