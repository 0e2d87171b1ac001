"""The interval of a ratio of sums over prompts or groups, such as a mean, a KL, or a share of
tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics import bootstrap, jackknife
from veneer.statistics.estimate import Estimate, Z, within
from veneer.statistics.jackknife import Kind
from veneer.statistics.reasons import Reason
from veneer.statistics.samples import by_cluster, finite, same_length

# prompts or groups below which limits are the jackknife's: chosen by coverage (docs/statistics.md)
FEW: dict[Kind, int] = {"share": 15, "amount": 15, "signed": 8}
NO_BOUND = 100  # times an amount: where an upper limit ends, because more says nothing


def ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    seed: int,
    clusters: ArrayLike | None = None,
    *,
    kind: Kind = "amount",
    scale: float | None = None,
) -> Estimate:
    """sum(numerators) / sum(denominators): the bootstrap-t for amounts and differences, BCa for
    shares and where the bootstrap-t has no bound, the jackknife below FEW prompts or groups.

    kind: `jackknife.Kind`. scale: by how much one of the values may differ from the others where
    all are equal.

    Limits None where there is one prompt or group. Few amounts that differ much leave the ratio
    without an upper bound (the interval of two KL, one a hundred times the other, would end at 1e9
    nats): the limit is NO_BOUND times the ratio then, and the reason says so.
    """
    x, y = finite(numerators), finite(denominators)
    same_length(x, y)
    n, reason = len(x), None
    if np.any(y < 0):
        raise ValueError("denominators below 0")
    if not n or y.sum() == 0:
        reason = Reason("denominators_are_0" if n else "no_prompts")
        return Estimate(None, None, None, n, "bca", reason=reason)
    ids = None if clusters is None else np.asarray(clusters)
    order = np.lexsort((y, x))  # the same sums whatever the order of the prompts
    x, y = x[order], y[order]
    if ids is not None:
        x, y = by_cluster(x, y, ids[order])
        reason = Reason.of("groups_resampled", groups=len(x))
    value = float(x.sum() / y.sum())
    if kind == "share":
        value, scale = min(max(value, 0.0), 1.0), 1.0
    held = int(np.sum(y > 0))  # one without a denominator tells nothing of the ratio
    if np.allclose(x, value * y, rtol=1e-12, atol=0):
        return all_equal(value, held, n, scale=scale, share=kind == "share")
    if np.any(x < 0):
        kind = "signed"
    low, high, method = _limits(x, y, value, kind, seed)
    if low == high:
        return all_equal(value, held, n, scale=scale, share=kind == "share")
    if kind == "amount" and high > NO_BOUND * value:
        high, reason = NO_BOUND * value, Reason.of("no_bound", groups=held, times=NO_BOUND)
    return Estimate(value, low, high, n, method, reason=reason)


def all_equal(
    value: float, groups: int, n: int, *, scale: float | None = None, share: bool = False
) -> Estimate:
    """Return an interval where every prompt (or group) gives the same value, so that a bootstrap
    has width zero.

    Wilson: of g prompts, none of which differs, up to w = z^2 / (g + z^2) may. They are taken to
    differ by `scale`, by default |value|, or 1 where the value is 0. An amount of 0 keeps to
    [0, w], and a share to [0, 1], as a rate does.
    """
    if groups < 2:
        return Estimate(value, None, None, n, "none", reason=Reason.of("one_group", groups=groups))
    w = Z**2 / (groups + Z**2) * (scale if scale is not None else abs(value) or 1.0)
    low = value if value == 0 and scale is None else value - w
    reason = Reason.of("all_equal", width=w, groups=groups)
    e = Estimate(value, low, value + w, n, "prior-count", reason=reason)
    return within(e, 0.0, 1.0) if share else e


def _limits(
    x: np.ndarray, y: np.ndarray, value: float, kind: Kind, seed: int
) -> tuple[float, float, str]:
    """Limits of sum(x) / sum(y) of prompts or groups that are not all equal, and their method."""
    if kind != "share" and len(x) >= FEW[kind]:
        studentised = bootstrap.studentised(x, y, seed)
        if studentised is not None:
            low = max(studentised[0], 0.0) if kind == "amount" else studentised[0]
            return min(low, value), max(studentised[1], value), "bootstrap-t"
    left_out = np.full(len(x), value)
    np.divide(x.sum() - x, y.sum() - y, out=left_out, where=y.sum() - y > 0)
    if len(x) < max(FEW[kind], bootstrap.LEAST_FOR_BCA):
        return jackknife.limits(value, left_out, kind)
    return bootstrap.limits(value, bootstrap.ratios(x, y, seed), left_out)
