"""A veneer cut to a rank: the best one in the metric of the hidden states, and rows that move to
another vocabulary."""

from __future__ import annotations

import pytest
import torch

from veneer.foundation.errors import InputError
from veneer.head.low_rank import on_other_rows, second_moment, truncated
from veneer.head.veneer import Veneer

ROWS, WIDTH = 30, 8


@pytest.fixture
def states() -> torch.Tensor:
    """Hidden states whose directions differ in size a hundredfold."""
    draw = torch.Generator().manual_seed(3)
    return torch.randn(400, WIDTH, generator=draw) * torch.logspace(0, -2, WIDTH)


@pytest.fixture
def veneer() -> Veneer:
    draw = torch.Generator().manual_seed(4)
    return Veneer("hash", 50, torch.randn(ROWS, WIDTH, generator=draw), torch.arange(5, 35))


def error(cut: Veneer, whole: Veneer, states: torch.Tensor) -> float:
    return float((states.double() @ (cut.dense() - whole.dense()).double().T).square().mean())


def test_full_rank_is_the_same_change(veneer, states):
    cut = truncated(veneer, second_moment([states]), WIDTH)
    assert cut.rank == WIDTH and torch.allclose(cut.dense(), veneer.dense(), atol=1e-4)


def test_it_is_the_nearest_of_its_rank_where_the_states_are(veneer, states):
    moment = second_moment(states.split(37))
    assert torch.allclose(moment, (states.double().T @ states.double()) / len(states))
    errors = [error(truncated(veneer, moment, r), veneer, states) for r in range(1, WIDTH + 1)]
    assert errors == sorted(errors, reverse=True)
    spectrum = torch.linalg.svdvals(states.double() @ veneer.values().double().T) ** 2 / (
        len(states) * 50
    )
    for r, squares in enumerate(errors, 1):
        # Eckart & Young
        assert squares == pytest.approx(float(spectrum[r:].sum()), rel=0.02, abs=1e-9)
    plain = truncated(veneer, torch.eye(WIDTH), 2)
    assert errors[1] < 0.9 * error(plain, veneer, states)


def test_rows_move_with_their_tokens(veneer):
    moved = on_other_rows(veneer, torch.arange(50).flip(0), "other", 60)
    assert moved.vocabulary == 60 and moved.unembedding == "other"
    assert torch.equal(moved.dense()[:50].flip(0), veneer.dense())
    assert torch.equal(on_other_rows(veneer, None, "other", 50).dense(), veneer.dense())


def test_what_has_no_rank_to_cut(veneer):
    with pytest.raises(InputError, match="rank is 0"):
        truncated(veneer, torch.eye(WIDTH), 0)
    constant = Veneer.of_bias("hash", WIDTH, torch.ones(50))
    with pytest.raises(InputError, match="constant"):
        truncated(constant, torch.eye(WIDTH), 2)
    empty = Veneer("hash", 50, torch.zeros(0, WIDTH), torch.zeros(0, dtype=torch.long))
    assert truncated(empty, torch.eye(WIDTH), 2) is empty
