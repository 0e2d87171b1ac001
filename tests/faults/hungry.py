"""Set-ups that the zygote's children call first (zygote.py: "setup"), to make a command need more
than it is given."""

from __future__ import annotations

import torch

A_ROW = 24 * 2**20  # bytes that each row of a batch asks for, for a moment


def much_a_row() -> None:
    """Every forward pass allocates for each row of its batch, as a large model does; torch's own
    allocator says when it cannot."""
    _allocating(A_ROW)


def too_much_a_row() -> None:
    _allocating(100 * A_ROW)


def _allocating(bytes_a_row: int) -> None:
    from veneer.models.language_model import LanguageModel

    real = LanguageModel.hidden

    def hidden(self, ids, *rest, **more):
        torch.empty(len(ids) * bytes_a_row, dtype=torch.uint8).zero_()
        return real(self, ids, *rest, **more)

    LanguageModel.hidden = hidden


def weights_that_overflow() -> None:
    """Base's last states become infinite while it reads, though its weights are finite."""
    from veneer.models.language_model import LanguageModel

    real = LanguageModel.hidden

    def hidden(self, ids, *rest, **more):
        states = real(self, ids, *rest, **more)
        return states * torch.inf if self.name == "lab:base" else states

    LanguageModel.hidden = hidden
