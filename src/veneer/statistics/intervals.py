"""Intervals: every figure with n and a 95 % interval that resamples prompts. Measured coverage
stands in docs/statistics.md.

No interval has width zero: where all prompts agree a bootstrap would say "certain", and 0 of 100 is
0 to 3.7 %. One prompt alone has an interval only where its value is 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics import bootstrap, jackknife
from veneer.statistics.distributions import normal_quantile, student_quantile
from veneer.statistics.jackknife import Kind
from veneer.statistics.reasons import Reason

Z = float(normal_quantile(0.975))
ROUNDING = 1e-6  # of the width of a scale
# prompts or groups below which limits are the jackknife's: chosen by coverage (docs/statistics.md)
FEW: dict[Kind, int] = {"share": 15, "amount": 15, "signed": 8}
# unit of a figure -> its least and its largest value
SCALES = {"share": (0.0, 1.0), "0..1": (0.0, 1.0), "1..5": (1.0, 5.0)}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; None where undefined, and `reason` then says why. n: number
    of prompts. method: the method of the interval. note: the reason in words."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    note: str | None = None
    reason: Reason | None = None

    def __post_init__(self) -> None:
        if self.note is None and self.reason is not None:
            object.__setattr__(self, "note", self.reason.text)


def rate(successes: int, n: int) -> Estimate:
    """Return a share of n, with the score interval of Wilson 1927 ("Probable inference ...", JASA
    22)."""
    if n == 0:
        return _nothing("wilson")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    low, high = wilson_limits(successes / n, n)
    return Estimate(successes / n, low, high, n, "wilson")


def mean(
    values: ArrayLike,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
    share: bool = True,
) -> Estimate:
    """Mean over prompts: Wilson for 0/1 values, otherwise BCa bootstrap (`bootstrap.limits`).

    share: whether no value can be above 1; False for amounts, such as a number of words, which may
    all be 1 and are no rate then.

    All values equal and not 0 or 1: see `_all_equal`. clusters: one group id per prompt; whole
    groups are resampled. For 0/1 values in clusters, Wilson with the effective sample size
    n / design effect (Korn & Graubard 1998, Survey Methodology 24; Wilson in place of their
    Clopper-Pearson as compared by Dean & Pagano 2015, J. Survey Statistics and Methodology 3), and
    with the number of groups where all values are equal.
    """
    x = _finite(values)
    if not len(x):
        return _nothing("bca")
    if not share or not _binary(x):
        return _ratio(x, np.ones(len(x)), seed, clusters)
    if clusters is None:
        return rate(int(x.sum()), len(x))
    return _clustered_rate(x, clusters)


def on_scale(
    values: ArrayLike,
    least: float,
    most: float,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Mean of values between `least` and `most`, to which its limits keep. Where all lie at these
    ends, the way from `least` to `most` is a rate: scores of 1 to 5 that are all 1 have an interval
    from 1 upwards. Otherwise as `ratio_on_scale`. Values within ROUNDING of an end are at that end:
    a cosine of two equal texts is 1 but for float32."""
    x, way = _finite(values), most - least
    for end in (least, most):
        x = np.where(np.abs(x - end) <= ROUNDING * way, end, x)
    if len(x) and way > 0 and _binary((x - least) / way):
        return _stretched(mean((x - least) / way, seed=seed, clusters=clusters), least, way)
    return ratio_on_scale(x, np.ones(len(x)), least, most, seed=seed, clusters=clusters)


def _within(e: Estimate, least: float, most: float) -> Estimate:
    """The estimate with limits between `least` and `most`."""
    if e.low is None or e.high is None:
        return e
    return replace(e, low=max(e.low, least), high=min(e.high, most))


def _stretched(share: Estimate, least: float, way: float) -> Estimate:
    """The estimate of least + way * share."""
    value, low, high = (
        None if v is None else least + way * v for v in (share.value, share.low, share.high)
    )
    reason = share.reason
    if reason is not None and reason.code == "all_equal":
        reason = Reason.of(
            reason.code, **{k: v * way if k == "width" else v for k, v in reason.values}
        )
    return replace(share, value=value, low=low, high=high, note=None, reason=reason)


def in_unit(
    values: ArrayLike, unit: str, *, seed: int = 0, clusters: ArrayLike | None = None
) -> Estimate:
    """Mean of values in a unit of results: on one of SCALES, or an amount."""
    if unit in SCALES:
        return on_scale(values, *SCALES[unit], seed=seed, clusters=clusters)
    return mean(values, seed=seed, clusters=clusters, share=False)


def ratio_of_sums(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
    signed: bool = False,
) -> Estimate:
    """sum(numerators) / sum(denominators) of per-prompt sums, prompts (or whole clusters)
    resampled in pairs, BCa.

    For the KL of a set: sums over each prompt's tokens, and numbers of tokens. signed: the
    numerators are differences, which may be negative even where none of these is, so that few of
    them cannot exclude 0 by their sign alone.
    """
    return _ratio(numerators, denominators, seed, clusters, kind="signed" if signed else "amount")


def ratio_on_scale(
    numerators: ArrayLike,
    denominators: ArrayLike,
    least: float,
    most: float,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """`ratio_of_sums` of scores between `least` and `most`, to which its limits keep. numerators:
    the sum of each prompt's scores; denominators: their number. A scale that runs the other way
    has the mirrored interval. Where all scores are equal, others may differ by the width of the
    scale. Scores that leave the scale have the limits of an amount."""
    sums, counts, way = _finite(numerators), _finite(denominators), most - least
    _same_length(sums, counts)
    if way <= 0 or np.any((sums < least * counts) | (sums > most * counts)):
        return ratio_of_sums(sums, counts, seed=seed, clusters=clusters)
    shares = (sums - least * counts) / way
    return _stretched(_ratio(shares, counts, seed, clusters, kind="share"), least, way)


def recovered(
    kl_sum_veneer: ArrayLike,
    kl_sum_base: ArrayLike,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """1 - sum(veneer) / sum(base), paired: same prompts and tokens, so their number cancels."""
    e = _ratio(kl_sum_veneer, kl_sum_base, seed, clusters)
    if e.value is None:
        reason = Reason("base_kl_is_0") if e.n else e.reason
        return Estimate(None, None, None, e.n, e.method, reason=reason)
    low, high = (None, None) if e.low is None or e.high is None else (1 - e.high, 1 - e.low)
    return Estimate(1 - e.value, low, high, e.n, e.method, reason=e.reason)


def difference(
    a: ArrayLike, b: ArrayLike, *, seed: int = 0, clusters: ArrayLike | None = None
) -> Estimate:
    """mean(a) - mean(b) of the same prompts, paired; of whole clusters of prompts where
    `clusters` names them.

    0/1 values: Bonett & Price 2012 ("Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", J. Educational and Behavioral Statistics 37): one prompt of
    each discordant kind is added. Otherwise as `mean` of the differences; where these are all
    equal, the width is that of the values' own spread.
    """
    x, y = _finite(a), _finite(b)
    _same_length(x, y)
    n = len(x)
    if not n:
        return _nothing("bonett-price")
    rates = _binary(x) and _binary(y)
    if clusters is not None or not rates:
        d, size = x - y, max(_spread(x, y), float(abs(x - y).max()))
        if np.ptp(d) <= 1e-12 * size:
            e = _all_equal(float(d[0]), bootstrap.count_groups(n, clusters), n, scale=size)
        else:
            e = _ratio(d, np.ones(n), seed, clusters, kind="signed", scale=size)
        return _within(e, -1.0, 1.0) if rates else e
    value, shrunk = float((x - y).mean()), float((x - y).sum() / (n + 2))
    error = np.sqrt((((x != y).sum() + 2) / (n + 2) - shrunk**2) / (n + 2))
    low, high = max(-1.0, shrunk - Z * error), min(1.0, shrunk + Z * error)
    return Estimate(value, min(low, value), max(high, value), n, "bonett-price")


def independent_difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b of two independent estimates, by square-and-add of their own limits (Newcombe 1998,
    Statistics in Medicine 17, method 10, for rates; Zou & Donner 2008, Statistics in Medicine 27,
    for any estimates). n is that of a."""
    known = a.reason or b.reason
    if a.value is None or b.value is None:
        return Estimate(None, None, None, a.n, "square-and-add", reason=known)
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value, None, None, a.n, "square-and-add", reason=known)
    low = value - float(np.hypot(a.value - a.low, b.high - b.value))
    high = value + float(np.hypot(a.high - a.value, b.value - b.low))
    return Estimate(value, low, high, a.n, "square-and-add", reason=known)


def portion(
    system: ArrayLike,
    base: ArrayLike,
    aligned: ArrayLike,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
    names: tuple[str, str] = ("aligned", "base"),
) -> Estimate:
    """(mean system - mean base) / (mean aligned - mean base) of the same prompts, not clipped.

    The interval is Fieller's (1954, "Some problems in interval estimation", JRSS B 16): every R at
    which the mean of (system - base) - R (aligned - base) may be 0. So that it does not collapse
    where prompts agree (0 of n, n of n, a system that answers just as the aligned model does), its
    second moments hold what half a prompt of each of the six patterns of (system, aligned, base)
    that are not all equal would add (2 to the squares of either difference, 1 to their product),
    and n is two prompts more: for each pair of systems, which four of the six patterns tell apart,
    that is what Bonett & Price add. The added prompts cancel in the value. Chosen by simulation
    against MOVER-R (Donner & Zou 2012, Statistical Methods in Medical Research 21) with Wilson
    limits and against half the prior: docs/statistics.md. For values other than 0 and 1 the added
    prompts differ by the values' standard deviation, and Student's t takes the place of z.

    clusters: one group id per prompt. The moments are then those of the groups' sums, the prior is
    still of two prompts (of two groups where the prompts of each group have equal values), and
    Student's t has one degree of freedom less than there are groups.

    Value None where the interval of the paired difference aligned - base holds 0: the portion
    then means nothing. None as well where Fieller's limits are unbounded: few values that are not 0
    or 1, or few clusters. names: what stands at 1 and at 0, for that reason's words.
    """
    s, b, a = _finite(system), _finite(base), _finite(aligned)
    _same_length(s, b, a)
    n, method = len(s), "fieller-prior"
    if not n:
        return _nothing(method)
    gap = difference(a, b, seed=seed, clusters=clusters)
    if gap.value is None or gap.low is None or gap.high is None:
        return Estimate(None, None, None, n, method, reason=gap.reason)
    u, v = s - b, a - b
    binary = _binary(s) and _binary(b) and _binary(a)
    limits, why = None, "no_difference"
    if not gap.low <= 0 <= gap.high:
        why = "unbounded"
        unit = 1.0 if binary else _spread(s, b, a)
        if clusters is None:
            limits = _fieller(u, v, Z if binary else float(student_quantile(0.975, n - 1)), unit)
        else:
            by_u, by_v = _by_cluster(u, v, np.asarray(clusters))
            t, size = float(student_quantile(0.975, len(by_u) - 1)), n / len(by_u)
            # a group whose prompts all agree is one prompt, and so are the added ones
            whole = size if _agree(u, clusters) and _agree(v, clusters) else 1.0
            limits = _fieller(by_u, by_v, t, unit * whole, size=size / whole)
    if limits is None:
        one, zero = names
        reason = Reason.of(why, one=one, zero=zero, value=gap.value, low=gap.low, high=gap.high)
        return Estimate(None, None, None, n, method, reason=reason)
    value = float(u.sum() / v.sum()) + 0.0  # a loss of which nothing is carried: 0, and not -0
    return Estimate(value, min(limits[0], value), max(limits[1], value), n, method)


def _ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    seed: int,
    clusters: ArrayLike | None = None,
    *,
    kind: Kind = "amount",
    scale: float | None = None,
) -> Estimate:
    """kind: `jackknife.Kind`. scale: by how much one of the values may differ from the others where
    all are equal."""
    x, y = _finite(numerators), _finite(denominators)
    _same_length(x, y)
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
        x, y = _by_cluster(x, y, ids[order])
        reason = Reason.of("groups_resampled", groups=len(x))
    value = float(x.sum() / y.sum())
    if kind == "share":
        value, scale = min(max(value, 0.0), 1.0), 1.0
    held = int(np.sum(y > 0))  # one without a denominator tells nothing of the ratio
    if np.allclose(x, value * y, rtol=1e-12, atol=0):
        return _all_equal(value, held, n, scale=scale, share=kind == "share")
    if np.any(x < 0):
        kind = "signed"
    low, high, method = _limits(x, y, value, kind, seed)
    if low == high:
        return _all_equal(value, held, n, scale=scale, share=kind == "share")
    return Estimate(value, low, high, n, method, reason=reason)


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


def _fieller(
    u: np.ndarray, v: np.ndarray, z: float, unit: float, prior: float = 1.0, size: float = 1.0
) -> tuple[float, float] | None:
    """Limits of mean(u) / mean(v) with `prior` times the two added prompts; None where
    they are unbounded. size: prompts per entry of u and v, which are sums of groups where it is
    above 1; the spread of few groups is then taken with one degree of freedom less."""
    n = len(u) + 2 * prior / size
    z *= np.sqrt(len(u) / (len(u) - 1)) if size > 1 else 1.0
    mu, mv, more = u.sum() / n, v.sum() / n, prior * unit**2
    var_u, var_v = ((u @ u + 2 * more) / n - mu**2) / n, ((v @ v + 2 * more) / n - mv**2) / n
    cov = ((u @ v + more) / n - mu * mv) / n
    # (mu - R mv)^2 <= z^2 (var_u - 2 R cov + R^2 var_v)
    a, b, c = mv**2 - z**2 * var_v, mu * mv - z**2 * cov, mu**2 - z**2 * var_u
    if a <= 0:
        return None
    root = np.sqrt(max(b * b - a * c, 0.0))
    return float((b - root) / a), float((b + root) / a)


def wilson_limits(p: float, n: float, z: float = Z) -> tuple[float, float]:
    """The limits of a share p of n, which may be an effective sample size."""
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return (0.0 if p == 0 else min(float(low), p)), (1.0 if p == 1 else max(float(high), p))


def _all_equal(
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
    return _within(e, 0.0, 1.0) if share else e


def _clustered_rate(x: np.ndarray, clusters: ArrayLike) -> Estimate:
    hits, sizes = _by_cluster(x, np.ones(len(x)), np.asarray(clusters))
    n, k, p = len(x), len(hits), float(x.mean())
    size: float = k
    if k > 1 and 0 < p < 1:
        variance = k / (k - 1) * np.sum((hits - p * sizes) ** 2) / n**2
        effect = max(1.0, variance / (p * (1 - p) / n))
        size = n / effect * (Z / student_quantile(0.975, k - 1)) ** 2
    low, high = wilson_limits(p, size)
    reason = Reason.of("effective_size", groups=k, size=size)
    return Estimate(p, low, high, n, "wilson-clusters", reason=reason)


def _by_cluster(
    x: np.ndarray, y: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of x and of y by group, in an order that does not depend on the groups'
    names."""
    if len(clusters) != len(x):
        raise ValueError(f"{len(clusters)} group ids for {len(x)} prompts")
    _, group = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(group, x), np.bincount(group, y)
    order = np.lexsort((counts, sums))
    return sums[order], counts[order]


def _agree(values: np.ndarray, clusters: ArrayLike) -> bool:
    """Return whether the prompts of each group have equal values."""
    _, group, sizes = np.unique(np.asarray(clusters), return_inverse=True, return_counts=True)
    return np.allclose(values, (np.bincount(group, values) / sizes)[group], rtol=1e-12)


def _finite(values: ArrayLike) -> np.ndarray:
    x = np.asarray(values, float)
    if x.ndim != 1 or not np.all(np.isfinite(x)):
        raise ValueError("expected a list of finite numbers, one per prompt")
    return x


def _same_length(*arrays: np.ndarray) -> None:
    if len({len(x) for x in arrays}) > 1:
        raise ValueError(f"paired values of different length: {[len(x) for x in arrays]}")


def _binary(x: np.ndarray) -> bool:
    return bool(np.all((x == 0) | (x == 1)))


def _spread(*arrays: np.ndarray) -> float:
    """Return the standard deviation of all values together; where all are equal, their size, or
    1."""
    x = np.sort(np.concatenate(arrays))
    return float(x.std()) or float(abs(x[0])) or 1.0


def _nothing(method: str) -> Estimate:
    return Estimate(None, None, None, 0, method, reason=Reason("no_prompts"))
