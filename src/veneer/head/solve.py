"""Minimise the objective by L-BFGS in a parametrisation's coordinates, until the select part no
longer gains or the gradient is small."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from veneer.head.events import Log, SearchStep
from veneer.head.lbfgs import State, minimise
from veneer.head.objective import Objective
from veneer.head.parametrisation import Coordinates


@dataclass
class Solution:
    """x at the best step by the select part (or the last one), with its select KL in nats per
    token, its objective and its gradient's norm; evaluations spent by the whole search."""

    x: Tensor
    select_kl: float
    objective: float
    gradient_norm: float
    evaluations: int


def solve(
    train: Objective,
    select: Objective,
    parametrisation: Coordinates,
    x: Tensor,
    *,
    ridge: float,
    max_evaluations: int,
    patience: int | None,
    centre: Tensor | None = None,
    gradient_tolerance: float = 0.0,
    log: Log | None = None,
    stage: str = "full",
    strength: float | None = None,
) -> Solution:
    """Minimise KL + ridge/2 |dW - centre|^2 over x.

    patience: end after that many steps without a better KL on the select part, and return the best
    step; None: go on to the optimum (gradient_tolerance or max_evaluations) and return it. centre:
    what the ridge shrinks to (None: no change). stage, strength: for the log (see SearchStep).
    """
    started = time.perf_counter()
    best = _Best()

    def function(at: Tensor) -> tuple[float, Tensor]:
        change = parametrisation.to_change(at)
        evaluation = train.evaluate(change)
        away = change if centre is None else change - centre
        value = evaluation.kl + 0.5 * ridge * float(away.double().square().sum())
        return value, parametrisation.pull_back(at, evaluation.gradient.add_(away, alpha=ridge))

    def after_step(state: State) -> bool:
        norm = float(state.gradient.norm())
        kl = select.loss(parametrisation.to_change(state.x))
        if log:
            seconds = round(time.perf_counter() - started, 3)
            log(
                SearchStep(
                    stage, ridge, state.evaluations, state.value, norm, kl, seconds, strength
                )
            )
        best.look(state, kl)
        return patience is not None and best.steps_since >= patience

    noise = 1e-7 if x.dtype == torch.float32 else 1e-13
    state = minimise(
        function,
        x,
        parametrisation.scale(x, ridge),
        max_evaluations=max_evaluations,
        gradient_tolerance=gradient_tolerance,
        noise=noise,
        after_step=after_step,
    )
    if patience is None:
        best.take(state, select.loss(parametrisation.to_change(state.x)))
    assert best.x is not None
    return Solution(best.x, best.kl, best.objective, best.gradient_norm, state.evaluations)


class _Best:
    """The best step so far by the select part. steps_since: steps since its KL last fell by a
    thousandth or more."""

    def __init__(self) -> None:
        self.x: Tensor | None = None
        self.kl = self.objective = self.gradient_norm = float("inf")
        self.steps_since = 0

    def look(self, state: State, kl: float) -> None:
        gained = self.x is None or kl < self.kl * (1 - 1e-3)
        self.steps_since = 0 if gained else self.steps_since + 1
        if gained or kl < self.kl:
            self.take(state, kl)

    def take(self, state: State, kl: float) -> None:
        self.x, self.kl, self.objective = state.x, kl, state.value
        self.gradient_norm = float(state.gradient.norm())
