"""How far two readings of a text are from each other."""

import warnings

import pytest
import torch

from veneer.models.backbone import distance


def test_states_that_carry_a_gradient_are_compared_without_a_warning():
    """PyTorch warned on the terminal, once for each process, at the first model that was loaded."""
    true = torch.tensor([[[3.0, 4.0], [0.0, 5.0]]])
    states = (true * 1.1).requires_grad_()
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert distance(states, true) == pytest.approx(0.1, rel=1e-4)
    finally:
        torch.set_warn_always(before)
