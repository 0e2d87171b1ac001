"""L-BFGS with a diagonal preconditioner (Nocedal & Wright 2006, algorithm 7.4), in coordinates
where the diagonal is good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Function = Callable[[Tensor], tuple[float, Tensor]]  # x -> value, gradient


@dataclass
class State:
    """The state of the search: x, the value and gradient at x, evaluations spent so far, the last
    step's length factor."""

    x: Tensor
    value: float
    gradient: Tensor
    evaluations: int
    step: float


def minimise(
    function: Function,
    x: Tensor,
    scale: Tensor,
    *,
    history: int = 12,
    max_evaluations: int = 200,
    gradient_tolerance: float = 0.0,
    noise: float = 1e-12,
    after_step: Callable[[State], bool] | None = None,
) -> State:
    """Minimise a convex function from x.

    scale: the inverse of a diagonal approximation of the Hessian, same shape as x. after_step:
    called with the state at the start and after each step; True ends the search. noise: rounding
    error of the function's value, relative to 1 + |value|. Ends where the gradient's norm is at
    most `gradient_tolerance` or no step helps.
    """
    value, gradient = function(x)
    state = State(x, value, gradient, 1, 1.0)
    pairs: list[tuple[Tensor, Tensor, float]] = []  # (s, y, 1 / s.y)
    if after_step and after_step(state):
        return state
    while state.evaluations < max_evaluations and float(state.gradient.norm()) > gradient_tolerance:
        direction = -_inverse_hessian(state.gradient, pairs, scale)
        slope = _dot(direction, state.gradient)
        if not slope < 0:
            pairs.clear()
            direction = -scale * state.gradient
            slope = _dot(direction, state.gradient)
        after = _line_search(function, state, direction, slope, max_evaluations, noise)
        if after is None:
            if not pairs:
                break
            # rounding has spoilt the curvature: start from steepest descent once more
            pairs.clear()
            continue
        s, y = after.x - state.x, after.gradient - state.gradient
        curvature = _dot(s, y)
        if curvature > 1e-12 * float(s.norm()) * float(y.norm()):
            pairs.append((s, y, 1 / curvature))
            del pairs[:-history]
        state = after
        if after_step and after_step(state):
            break
    return state


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1), b.reshape(-1)))


def _inverse_hessian(
    gradient: Tensor, pairs: list[tuple[Tensor, Tensor, float]], scale: Tensor
) -> Tensor:
    """The two-loop recursion."""
    q, weights = gradient.clone(), []
    for s, y, rho in reversed(pairs):
        a = rho * _dot(s, q)
        weights.append(a)
        q.add_(y, alpha=-a)
    q.mul_(scale)
    if pairs:
        s, y, rho = pairs[-1]
        q.mul_(1 / (rho * _dot(y, scale * y)))
    for (s, y, rho), a in zip(pairs, reversed(weights), strict=True):
        q.add_(s, alpha=a - rho * _dot(y, q))
    return q


def _line_search(
    function: Function,
    state: State,
    direction: Tensor,
    slope: float,
    max_evaluations: int,
    noise: float,
) -> State | None:
    """Backtracking to the Armijo condition by the parabola's minimum; the function is convex, so
    curvature comes by itself."""
    step, spent = 1.0, state.evaluations
    rounding = noise * (1 + abs(state.value))
    while spent < max_evaluations:
        x = state.x + step * direction
        value, gradient = function(x)
        spent += 1
        if value <= state.value + 1e-4 * step * slope + rounding and value == value:
            return State(x, value, gradient, spent, step)
        better = (
            -slope * step * step / (2 * (value - state.value - slope * step))
            if value == value and value < float("inf")
            else 0.0
        )
        step = min(max(better, 0.1 * step), 0.5 * step)
        if step < 1e-8:
            return None
    return None
