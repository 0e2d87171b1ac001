"""Intervals: every figure with n and a 95 % interval that resamples prompts. Measured coverage
stands in docs/statistics.md.

No interval has width zero: where all prompts agree a bootstrap would say "certain", and 0 of 100 is
0 to 3.7 %. One prompt alone has an interval only where its value is 0 or 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from veneer.statistics import bootstrap
from veneer.statistics.distributions import student_quantile
from veneer.statistics.estimate import Estimate as Estimate
from veneer.statistics.estimate import Z as Z
from veneer.statistics.estimate import nothing, within
from veneer.statistics.estimate import wilson_limits as wilson_limits
from veneer.statistics.ratios import all_equal, ratio
from veneer.statistics.reasons import Reason
from veneer.statistics.samples import agree, binary, by_cluster, finite, same_length, spread

ROUNDING = 1e-6  # of the width of a scale
# unit of a figure -> its least and its largest value
SCALES = {"share": (0.0, 1.0), "0..1": (0.0, 1.0), "1..5": (1.0, 5.0)}


def rate(successes: int, n: int) -> Estimate:
    """Return a share of n, with the score interval of Wilson 1927 ("Probable inference ...", JASA
    22)."""
    if n == 0:
        return nothing("wilson")
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
    """Mean over prompts: Wilson for 0/1 values, otherwise as a ratio of sums (`ratios.ratio`).

    share: whether no value can be above 1; False for amounts, such as a number of words, which may
    all be 1 and are no rate then.

    All values equal and not 0 or 1: see `ratios.all_equal`. clusters: one group id per prompt;
    whole groups are resampled. For 0/1 values in clusters, Wilson with the effective sample size
    n / design effect (Korn & Graubard 1998, Survey Methodology 24; Wilson in place of their
    Clopper-Pearson as compared by Dean & Pagano 2015, J. Survey Statistics and Methodology 3), and
    with the number of groups where all values are equal.
    """
    x = finite(values)
    if not len(x):
        return nothing("bca")
    if not share or not binary(x):
        return ratio(x, np.ones(len(x)), seed, clusters)
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
    x, way = finite(values), most - least
    for end in (least, most):
        x = np.where(np.abs(x - end) <= ROUNDING * way, end, x)
    if len(x) and way > 0 and binary((x - least) / way):
        return _stretched(mean((x - least) / way, seed=seed, clusters=clusters), least, way)
    return ratio_on_scale(x, np.ones(len(x)), least, most, seed=seed, clusters=clusters)


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
    resampled in pairs (`ratios.ratio`).

    For the KL of a set: sums over each prompt's tokens, and numbers of tokens. signed: the
    numerators are differences, which may be negative even where none of these is, so that few of
    them cannot exclude 0 by their sign alone.
    """
    return ratio(numerators, denominators, seed, clusters, kind="signed" if signed else "amount")


def ratio_of_rates(a: ArrayLike, b: ArrayLike) -> Estimate:
    """mean(a) / mean(b) of 0/1 values of the same prompts, paired: Bonett & Price 2006 ("Confidence
    intervals for a ratio of binomial proportions based on paired data", Statistics in Medicine 25).
    Wilson's limits of both rates, among the prompts that either counts, are divided by each other
    at a level that leaves 95 % to the ratio. Value None where b counts no prompt."""
    x, y = finite(a), finite(b)
    same_length(x, y)
    if not (binary(x) and binary(y)):
        raise ValueError("expected values of 0 and 1")
    n, method = len(x), "bonett-price-ratio"
    if not y.any():
        reason = Reason("denominators_are_0" if n else "no_prompts")
        return Estimate(None, None, None, n, method, reason=reason)
    either, hits = int(np.sum((x > 0) | (y > 0))), np.array([x.sum(), y.sum()])
    error = np.sqrt((np.sum(x != y) + 2) / np.prod(hits + 1))
    errors = np.sqrt((1 - (hits + 1) / (either + 2)) / (hits + 1))
    z = Z * float(error / errors.sum())
    (low, high), (least, most) = (wilson_limits(k / either, either, z) for k in hits)
    return Estimate(float(hits[0] / hits[1]), low / most, high / least, n, method)


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
    sums, counts, way = finite(numerators), finite(denominators), most - least
    same_length(sums, counts)
    if way <= 0 or np.any((sums < least * counts) | (sums > most * counts)):
        return ratio_of_sums(sums, counts, seed=seed, clusters=clusters)
    shares = (sums - least * counts) / way
    return _stretched(ratio(shares, counts, seed, clusters, kind="share"), least, way)


def recovered(
    kl_sum_veneer: ArrayLike,
    kl_sum_base: ArrayLike,
    *,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """1 - sum(veneer) / sum(base), paired: same prompts and tokens, so their number cancels."""
    e = ratio(kl_sum_veneer, kl_sum_base, seed, clusters)
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
    x, y = finite(a), finite(b)
    same_length(x, y)
    n = len(x)
    if not n:
        return nothing("bonett-price")
    rates = binary(x) and binary(y)
    if clusters is not None or not rates:
        d, size = x - y, max(spread(x, y), float(abs(x - y).max()))
        if np.ptp(d) <= 1e-12 * size:
            e = all_equal(float(d[0]), bootstrap.count_groups(n, clusters), n, scale=size)
        else:
            e = ratio(d, np.ones(n), seed, clusters, kind="signed", scale=size)
        return within(e, -1.0, 1.0) if rates else e
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
    s, b, a = finite(system), finite(base), finite(aligned)
    same_length(s, b, a)
    n, method = len(s), "fieller-prior"
    if not n:
        return nothing(method)
    gap = difference(a, b, seed=seed, clusters=clusters)
    if gap.value is None or gap.low is None or gap.high is None:
        return Estimate(None, None, None, n, method, reason=gap.reason)
    u, v = s - b, a - b
    rates = binary(s) and binary(b) and binary(a)
    limits, why = None, "no_difference"
    if not gap.low <= 0 <= gap.high:
        why = "unbounded"
        unit = 1.0 if rates else spread(s, b, a)
        if clusters is None:
            limits = _fieller(u, v, Z if rates else float(student_quantile(0.975, n - 1)), unit)
        else:
            by_u, by_v = by_cluster(u, v, np.asarray(clusters))
            t, size = float(student_quantile(0.975, len(by_u) - 1)), n / len(by_u)
            # a group whose prompts all agree is one prompt, and so are the added ones
            whole = size if agree(u, clusters) and agree(v, clusters) else 1.0
            limits = _fieller(by_u, by_v, t, unit * whole, size=size / whole)
    if limits is None:
        one, zero = names
        reason = Reason.of(why, one=one, zero=zero, value=gap.value, low=gap.low, high=gap.high)
        return Estimate(None, None, None, n, method, reason=reason)
    value = float(u.sum() / v.sum()) + 0.0  # a loss of which nothing is carried: 0, and not -0
    return Estimate(value, min(limits[0], value), max(limits[1], value), n, method)


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


def _clustered_rate(x: np.ndarray, clusters: ArrayLike) -> Estimate:
    hits, sizes = by_cluster(x, np.ones(len(x)), np.asarray(clusters))
    n, k, p = len(x), len(hits), float(x.mean())
    size: float = k
    if k > 1 and 0 < p < 1:
        variance = k / (k - 1) * np.sum((hits - p * sizes) ** 2) / n**2
        effect = max(1.0, variance / (p * (1 - p) / n))
        size = n / effect * (Z / student_quantile(0.975, k - 1)) ** 2
    low, high = wilson_limits(p, size)
    reason = Reason.of("effective_size", groups=k, size=size)
    return Estimate(p, low, high, n, "wilson-clusters", reason=reason)
