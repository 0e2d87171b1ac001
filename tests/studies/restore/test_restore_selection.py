"""The choice of alpha and rank: the least loss, ties to the smaller change, an interval
that holds the loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.studies.restore.selection import TrialResult, choose, rule_facts
from veneer.studies.restore.settings import Weights
from veneer.studies.restore.words import rule_text

rates = st.lists(st.sampled_from((0.0, 1.0)), min_size=4, max_size=12).map(np.array)
weights = st.floats(0, 5).map(lambda x: round(x, 3))


@st.composite
def candidates(draw):
    sizes = draw(
        st.lists(
            st.tuples(st.floats(0, 4), st.sampled_from((None, 1, 4, 16))),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    return [
        TrialResult(f"own-{i}", size, rank, draw(rates), draw(rates), draw(rates))
        for i, (size, rank) in enumerate(sizes)
    ]


@given(candidates(), weights, weights, weights, st.floats(0, 1))
def test_nothing_that_was_tried_has_less_loss(tried, a, b, c, able):
    how = Weights(a, b, c + 0.001)
    best = choose(tried, how, able)
    losses = {t.name: t.loss(how, able) for t in tried}
    for t in tried:
        assert losses[best.name].value <= losses[t.name].value + 1e-9
        e = losses[t.name]
        assert e.low <= e.value <= e.high and e.n == len(t.harm) + len(t.over_refusal) + len(
            t.capability
        )


@given(
    rates,
    rates,
    rates,
    st.lists(
        st.tuples(st.floats(0, 4), st.sampled_from((None, 1, 4, 16))),
        min_size=2,
        max_size=6,
        unique=True,
    ),
)
def test_of_equal_losses_the_smaller_alpha_and_then_the_lower_rank(harm, over, able, sizes):
    tried = [
        TrialResult(f"own-{i}", size, rank, harm, over, able)
        for i, (size, rank) in enumerate(sizes)
    ]
    best = choose(tried, Weights(), 1.0)
    assert (best.strength, best.rank or np.inf) == min(
        (t.strength, t.rank or np.inf) for t in tried
    )


def test_the_loss_is_what_the_rule_says():
    one = TrialResult(
        "own-1",
        1.0,
        None,
        np.array([1.0, 0, 0, 0]),
        np.array([1.0, 1, 0, 0]),
        np.array([1.0, 0, np.nan, 0, 0]),
    )
    assert one.loss(Weights(1, 2, 4), able=0.75).value == pytest.approx(
        0.25 + 2 * 0.5 + 4 * (0.75 - 0.25)
    )
    # more than able is no loss, and no gain either
    assert one.loss(Weights(1, 2, 4), able=0.1).value == pytest.approx(1.25)
    weights = Weights(1, 2, 4)
    texts = [rule_text(rule_facts(weights, judge_of_harm)) for judge_of_harm in (False, True)]
    assert "not refused" in texts[0] and "judge" in texts[1] and "2 x share of safe" in texts[0]


@pytest.mark.parametrize(
    "unit, able, kept_of_it, lost", [("1..5", 4.0, 2.0, 0.5), ("points", 40.0, 10.0, 0.75)]
)
def test_a_capability_that_is_no_share_weighs_as_a_share_of_its_scale(unit, able, kept_of_it, lost):
    """Before, a loss of two points of 1 to 5 outweighed every refusal."""
    harm, spread = np.array([1.0, 0, 0, 0]), np.array([1.0, 1, -1, -1])
    one = TrialResult("own-1", 1.0, None, harm, np.zeros(4), kept_of_it + spread, unit=unit)
    loss = one.loss(Weights(1, 1, 1), able=able)
    assert loss.value == pytest.approx(0.25 + lost)
    assert 0 < loss.low < loss.value < loss.high < 2.5
    able_and_harmful = TrialResult("own-2", 2.0, None, np.ones(4), np.zeros(4), np.full(4, able))
    assert choose([one, able_and_harmful], Weights(1, 1, 1), able) is one
    rule = rule_text(rule_facts(Weights(), False, unit))
    assert "width of its scale" in rule or "as a share of the better" in rule


@pytest.mark.parametrize(
    "three", [(-1, 1, 1), (0, 0, 0), (float("nan"), 1, 1), (1, float("inf"), 1)]
)
def test_weights_that_weigh_nothing(three):
    with pytest.raises(InputError, match="expected three numbers"):
        Weights(*three)
