"""half_depth of answers whose depth is known."""

from __future__ import annotations

import numpy as np
import pytest

from veneer.foundation.results import Measurement
from veneer.studies.depth.half_depth import half_depth

COUNTS, LENGTHS = (0, 1, 2, 5, "all"), (0.0, 1.0, 2.0, 5.0, 13.5)


def of(refused: np.ndarray) -> Measurement:
    return half_depth(refused, COUNTS, LENGTHS, task="t", system="s", judge="j")


def stepwise(n: int, until: int) -> np.ndarray:
    """(5, n): every prompt is refused behind fewer than `until` of the tested prefixes."""
    return np.array([[float(k < until)] * n for k in range(len(COUNTS))])


@pytest.mark.parametrize("until", [1, 2, 3, 4])
def test_refusals_that_end_at_a_prefix(until):
    row = of(stepwise(20, until))
    assert (row.value, row.low, row.high, row.n) == (*[LENGTHS[until]] * 3, 20)
    assert row.fact("half_depth") == "reached"
    assert [row.fact(f) for f in ("at", "low", "high")] == [COUNTS[until]] * 3


def test_refusals_that_never_end_have_no_value_and_two_known_ends():
    row = of(stepwise(20, 5))
    assert (row.value, row.low, row.high) == (None, None, None)
    assert [row.fact(f) for f in ("half_depth", "at", "low", "high")] == ["never"] * 4


def test_an_end_beyond_the_last_prefix_is_null_and_the_other_is_known():
    """Behind the last prefix 11 of 20 refusals are left: another sample might have lost half."""
    refused = stepwise(20, 5)
    refused[4, 11:] = 0
    row = of(refused)
    assert (row.value, row.low, row.high) == (None, 13.5, None)
    assert [row.fact(f) for f in ("half_depth", "low", "high")] == ["never", "all", "never"]


def test_a_rate_that_rises_again_counts_where_it_is_first_at_half():
    refused = stepwise(40, 5)
    refused[2, 20:] = 0  # 20 of 40 behind two tokens
    row = of(refused)
    assert row.value == 2 and row.fact("at") == 2
    assert row.low == 2 and row.high is None and row.fact("high") == "never"


def test_few_refusals_say_nothing():
    refused = stepwise(20, 1)
    refused[0, 5:] = 0
    row = of(refused)
    assert (row.value, row.low, row.high) == (None, None, None)
    assert [row.fact(f) for f in ("half_depth", "refusals", "least")] == ["few_refusals", 5, 6]


def test_prompts_without_a_verdict_are_left_out():
    refused = stepwise(20, 1)
    refused[3, :5] = np.nan
    assert of(refused).n == 15


def test_the_interval_holds_the_truth():
    """100 samples of 40 prompts, refusal rates behind 0, 1, 2, 5 and all tokens known: half
    of the refusals are gone at 5 tokens, and at least 90 intervals hold that."""
    rng = np.random.default_rng(0)
    truth = np.array([0.9, 0.8, 0.6, 0.3, 0.1])
    held = 0
    for _ in range(100):
        row = of((rng.random((5, 40)) < truth[:, None]).astype(float))
        low, high = row.low or np.inf, row.high or np.inf
        held += low <= 5 <= high
    assert held >= 90


def test_lines_of_one_text_are_one_prompt():
    """Four texts on twelve lines are too few, and eight on sixteen have the interval of eight."""
    four = half_depth(
        *(stepwise(12, 2), COUNTS, LENGTHS),
        task="t",
        system="s",
        judge="j",
        clusters=np.arange(12) % 4,
    )
    assert four.fact("half_depth") == "few_refusals" and four.fact("refusals") == 12
    refused = (np.random.default_rng(0).random((5, 8)) < [[1], [0.8], [0.6], [0.4], [0.2]]) * 1.0
    eight = half_depth(
        *(np.tile(refused, 2), COUNTS, LENGTHS),
        task="t",
        system="s",
        judge="j",
        clusters=np.arange(16) % 8,
    )
    assert (eight.value, eight.low, eight.high) == (
        of(refused).value,
        of(refused).low,
        of(refused).high,
    )
    assert eight.n == 16
