"""Held-out figures of a capture whose targets are one-hot: how likely the responses are, in
the place of a KL.

A teacher that gives only its responses gives no distributions, so there is neither a KL from
it nor a noise floor. The cross-entropy to a one-hot target is the token's negative log-likelihood;
it holds the responses' own entropy, so it does not go to 0, and a share of it would mean nothing:
what a veneer gains is a difference.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures import words
from veneer.measures.held_out import HeldOut
from veneer.measures.kl import NATS, position_rows


def nll_rows(
    table: HeldOut,
    *,
    task: str = "joint",
    system: str = "veneer",
    with_base: bool = True,
    seed: int = 0,
) -> Iterator[Measurement]:
    """Negative log-likelihood of the responses under base and a veneer in nats per token, the gain
    (base's minus the veneer's, paired by prompt), and the share of their tokens that are the
    system's most likely one. Each interval resamples prompts."""
    mask = np.ones(len(table.prompt), bool) if task == "joint" else table.of_tasks([task])
    if not mask.any():
        return
    fields = {"split": "report", "note": words.LIKELIHOOD_ONLY}
    both = {"base": (table.kl_base, table.base_top), system: (table.kl_veneer, table.veneer_top)}
    for name, (nll, top) in both.items():
        if name == "base" and not with_base:
            continue
        loss = table.ratio(nll, mask, seed=seed)
        yield Measurement.estimated(loss, "extract", task, "nll", name, unit=NATS, **fields)
        hits = table.share(top == table.aligned_top, mask, seed=seed)
        yield Measurement.estimated(
            hits, "extract", task, "token_accuracy", name, unit="share", **fields
        )
    gain = table.difference(table.kl_base, table.kl_veneer, mask, seed=seed)
    yield Measurement.estimated(gain, "extract", task, "nll_gain", system, unit=NATS, **fields)


def nll_position_rows(
    table: HeldOut,
    *,
    task: str = "joint",
    system: str = "veneer",
    with_base: bool = True,
    seed: int = 0,
) -> Iterator[Measurement]:
    """The negative log-likelihoods by response position."""
    return position_rows(
        table,
        task=task,
        system=system,
        with_base=with_base,
        seed=seed,
        metric="nll",
        note=words.LIKELIHOOD_ONLY,
    )
