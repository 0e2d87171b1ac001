"""What a veneer says was taught: the rows of the head that it must move to lead C back to A, and
the directions of C's states that move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.head.veneer import Veneer
from veneer.models.pair import Pair

DIRECTIONS = 3
TOKENS = 8  # shown of each side of a direction


@dataclass(frozen=True)
class HeadDirection:
    """share: of the mean square of the change of the logits. raised, lowered: ids of the tokens
    that C says more, and less, than A where C's states lie along the direction as they do on
    average; the most moved first."""

    share: float
    raised: tuple[int, ...]
    lowered: tuple[int, ...]


@torch.inference_mode()
def head_directions(capture: Capture, veneers: Sequence[Path], pair: Pair) -> list[HeadDirection]:
    """The first directions of the mean dW of the veneers from C towards A, on the capture's states.

    dW counts only where the states lie, and only up to a shift that all rows share. So its rows are
    centred, and the directions are the singular ones of dW S with S S' the second moment of C's
    states h: the squares of dW h have the mean |dW S|^2. Signs are turned round, since dW leads
    from C to A.
    """
    rows = _named_rows(pair)
    change = torch.stack([Veneer.load(folder).dense().cpu()[rows] for folder in veneers]).mean(0)
    return directions_of(change, *_moments(capture), rows.tolist())


def directions_of(
    change: Tensor, moment: Tensor, mean: Tensor, ids: Sequence[int]
) -> list[HeadDirection]:
    """The directions of a change dW (n, d) that leads C back to A. moment, mean: of C's states (d,
    d), (d,). ids: of the n rows."""
    change = change.double() - change.double().mean(0)
    values, vectors = torch.linalg.eigh(moment)
    root = vectors * values.clamp(min=0).sqrt()  # S (d, d)
    moved = change @ root  # (n, d)
    squares, axes = torch.linalg.eigh(moved.T @ moved)
    total = float(squares.clamp(min=0).sum())
    if total == 0:
        return []
    inverse = vectors / values.clamp(min=float(values.max()) * 1e-12).sqrt()
    directions = []
    for number in range(1, min(DIRECTIONS, len(squares)) + 1):
        direction = axes[:, -number]
        # where the average state lies along this direction
        side = 1.0 if float(mean @ (inverse @ direction)) >= 0 else -1.0
        logits = -side * (moved @ direction)  # of C over A
        order = logits.argsort(descending=True, stable=True)
        raised = tuple(ids[i] for i in order[:TOKENS].tolist() if logits[i] > 0)
        lowered = tuple(ids[i] for i in order.flip(0)[:TOKENS].tolist() if logits[i] < 0)
        directions.append(HeadDirection(float(squares[-number]) / total, raised, lowered))
    return directions


def _named_rows(pair: Pair) -> Tensor:
    """Ids of the shared vocabulary that C's tokenizer names."""
    size = pair.vocabulary.size
    return torch.tensor(sorted({i for i in pair.base.tokenizer.get_vocab().values() if i < size}))


def _moments(capture: Capture) -> tuple[Tensor, Tensor]:
    """The second moment (d, d) and the mean (d,) of C's states on A's answers."""
    moment, mean, count = torch.zeros(()), torch.zeros(()), 0
    for shard, batches in enumerate(capture.manifest["plan"]):
        for batch in batches:
            hidden = capture.read(shard, ("hidden",), batch)["hidden"].double()
            moment = moment + hidden.T @ hidden
            mean = mean + hidden.sum(0)
            count += len(hidden)
    return moment / count, mean / count
