"""A veneer cut to a lower rank, in the metric of the hidden states that it will meet."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from veneer.errors import InputError
from veneer.head.parameters import LowRank
from veneer.head.veneer import ROUNDED, Veneer


def second_moment(states: Iterable[Tensor]) -> Tensor:
    """The mean of h h' (d, d) over hidden states that come in blocks (n, d), in float64. Raises ValueError for no state at all."""
    total, count = None, 0
    for block in states:
        wide = block.double()
        total = wide.t() @ wide if total is None else total + wide.t() @ wide
        count += len(wide)
    if total is None or not count:
        raise ValueError("no hidden states")
    return total / count


def truncated(veneer: Veneer, moment: Tensor, rank: int) -> Veneer:
    """The veneer of rank `rank` that is nearest in root mean square of dW h over hidden states with the second moment `moment` (d, d): a
    truncated singular value decomposition of dW moment^(1/2) (Eckart & Young 1936). Raises InputError for a rank below 1 and for a
    veneer that shifts by a constant."""
    if rank < 1:
        raise InputError(f"the rank is {rank}; expected 1 or more, or dense")
    if veneer.bias is not None:
        raise InputError("a veneer with a constant shift has no rank to cut; extract one without --output bias")
    values = veneer.values().double()  # (R, d)
    if not len(values):
        return veneer
    low, x = LowRank.of(values, moment.to(values), min(rank, *values.shape))
    A, B = (t.float().contiguous() for t in low.factors(x))
    return Veneer(
        veneer.unembedding, veneer.vocabulary, None, veneer.rows, A, B, {**veneer.facts, "truncated_from": veneer.identity()}
    )


def on_other_rows(veneer: Veneer, to_other: Tensor | None, unembedding: str, vocabulary: int) -> Veneer:
    """The same change for another head of the same width: rows named by that head's ids.

    to_other: (V,) its id of each of the veneer's, or None where they are the same (models.vocabulary.Vocabulary). unembedding,
    vocabulary: of that head (Head.hash, rows).
    """
    rows = veneer.changed_rows()
    if to_other is not None:
        rows = to_other[rows]
    facts = {key: value for key, value in veneer.facts.items() if key != ROUNDED}  # of the other head
    return Veneer(unembedding, vocabulary, veneer.dW, rows, veneer.A, veneer.B, facts, veneer.bias)
