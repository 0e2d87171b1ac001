"""No headline asserts what the interval of its row does not support: random rows of every study,
and what the sentence says against what holds at both ends of the interval."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from veneer.foundation.results import Measurement, Results
from veneer.report.tables import groups
from veneer.report.words import lead, verdict
from veneer.statistics.intervals import rate
from veneer.studies.audit.names import (
    AUDITED,
    HARMFUL,
    HELD_OUT,
    ON,
    ONLY_HEAD,
    ONLY_LAYERS,
    REFERENCE,
    RESTORED,
)
from veneer.studies.audit.names import STUDY as AUDIT
from veneer.studies.audit.verdict import CARRIES, MISSING, conclude
from veneer.studies.audit.words import headline as audit_headline
from veneer.studies.complexity.names import EVERY
from veneer.studies.complexity.words import headline as complexity_headline
from veneer.studies.diversity.words import drop_remark
from veneer.studies.leak.names import ALIGNED, CALIBRATED
from veneer.studies.leak.names import HELD_OUT as UNTRAINED
from veneer.studies.leak.words import finding as leak_finding
from veneer.studies.leak.words import headline as leak_headline
from veneer.studies.recovery.equivalence import equivalence

unhurried = settings(deadline=None)


@st.composite
def intervals_of(draw, low=-2.0, high=3.0):
    """(low, value, high), or a value without an interval."""
    x = sorted(round(draw(st.floats(low, high)), 3) for _ in range(3))
    return x if draw(st.integers(0, 9)) else [None, x[1], None]


def row(limits, metric="portion", system="veneer", n=20, **more) -> Measurement:
    low, value, high = limits
    fields = {"study": "measure", "task": "t", "split": "test", "of": "m", **more}
    return Measurement(metric=metric, system=system, value=value, n=n, low=low, high=high, **fields)


def shown(low: float | None, high: float | None) -> bool:
    """Whether an interval excludes 0."""
    return low is not None and high is not None and not low <= 0 <= high


# what a sentence on a portion claims, and the portions of which it is true
PORTIONS = {
    "wholly, or nearly so": lambda x: x >= 0.9,
    "most or all": lambda x: x >= 0.5,
    "Some of the change": lambda x: x > 0,
    "part of it is deeper": lambda x: 0 < x < 1,
    "Hardly any": lambda x: x < 0.1,
    "Little or nothing": lambda x: x <= 0.25,
    "moves away": lambda x: x < 0,
    "goes beyond": lambda x: x > 1,
}
NOTHING = ("no more than a hint", "nothing can be said")


@unhurried
@given(intervals_of(), intervals_of())
def test_a_portion_is_read_as_its_interval_allows(own, control):
    group = groups([row(own), row(control, system="shuffled")])[0]
    text = verdict(group, lambda r: "x").striptags()
    claims = [true for phrase, true in PORTIONS.items() if phrase in text]
    assert claims or any(phrase in text for phrase in NOTHING)
    for true in claims:
        assert own[0] is not None and all(true(x) for x in (own[0], own[2]))
    if "clearly less" in text:
        assert control[2] < own[0]
    if "clearly more" in text:
        assert control[0] > own[2]
    if "intervals overlap" in text:
        assert control[0] <= own[2] and own[0] <= control[2]
    sentence = lead([group], lambda r: "x").striptags()
    beyond = own[0] is not None and own[0] > 1
    little = own[0] is not None and own[0] <= 0 <= own[2] <= 0.25
    assert ("carries" in sentence) == (little or (shown(own[0], own[2]) and not beyond))
    assert ("little or nothing" in sentence) == little
    assert ("lies above 1" in sentence) == beyond


bits = st.one_of(st.none(), st.integers(1, 10**6))


@unhurried
@given(bits, bits, bits)
def test_least_bytes_are_determined_where_an_interval_lies_above_the_score(a, b, c):
    """A program that scores enough has an interval that reaches the score, and so on upwards: low
    <= value <= high, and what is None stays None upwards."""
    known = sorted(x for x in (a, b, c) if x is not None)
    low, value, high = limits = [*known, None, None, None][:3]
    bits_row = row(limits, "complexity_bits", EVERY, of="kl_recovered>=0.5")
    text = complexity_headline(bits_row)
    assert ("shortest measured program" in text) == (value is not None)
    assert ("not determined" in text) == (low is not None and high is None)
    assert text.startswith("No measured program") == (low is None)
    assert ">=" not in text and "_" not in text and "recovers 0.5 or more of the KL" in text


def newcombe(a: int, n: int, b: int, m: int) -> float:
    """The lower limit of a / n - b / m (Newcombe 1998, method 10), from Wilson's limits."""
    z = norm.ppf(0.975)

    def wilson(x, k):
        p, half = x / k, z * np.sqrt(x / k * (1 - x / k) / k + z**2 / (4 * k**2))
        return (p + z**2 / (2 * k) - half) / (1 + z**2 / k), (p + z**2 / (2 * k) + half) / (
            1 + z**2 / k
        )

    return a / n - b / m - np.hypot(a / n - wilson(a, n)[0], wilson(b, m)[1] - b / m)


@unhurried
@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_a_leak_is_asserted_above_the_false_rate_alone(n, m, data):
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    common = {"study": "leak", "task": "x", "of": "question", "judge": "e", "split": CALIBRATED}
    rows = []
    for metric, system, e in (
        ("extracted_rate", ALIGNED, rate(a, n)),
        ("false_rate", UNTRAINED, rate(b, m)),
    ):
        rows.append(row((e.low, e.value, e.high), metric, system, e.n, **common))
    results = Results(rows)
    above = newcombe(a, n, b, m) > 1e-12
    assert ("gives a training question" in leak_headline(results)) == above
    assert ("gives a training question" in " ".join(leak_finding(results))) == above
    assert ("not shown to give" in leak_headline(results)) == (not above)


@unhurried
@given(st.integers(0, 2**31), st.integers(3, 40), st.floats(0, 1.2), st.floats(0.001, 0.3))
def test_a_recovery_differs_only_where_its_row_excludes_0(seed, n, place, spread):
    rng = np.random.default_rng(seed)
    base, ceiling = 0.3 + rng.normal(0, spread, n), 0.8 + rng.normal(0, spread, n)
    system = 0.3 + 0.5 * place + rng.normal(0, spread, n)
    equivalent = equivalence({"s": system}, base, ceiling)["s"]
    if equivalent.word == "different":
        assert shown(equivalent.estimate.low, equivalent.estimate.high)
        assert (equivalent.side == "above") == (equivalent.estimate.low > 0)
    if equivalent.word == "equivalent":
        assert abs(equivalent.difference) < equivalent.margin


@unhurried
@given(intervals_of())
def test_a_drop_is_taken_for_one_only_above_0(limits):
    remark = drop_remark(row(limits, "decomposition_drop"))
    if remark is None:
        assert limits[0] > 0
    elif "rises" in remark:
        assert limits[2] < 0
    else:
        assert "not determined" in remark and not shown(limits[0], limits[2])


@unhurried
@given(*[intervals_of(0.0, 1.0)] * 3, *[intervals_of(-1.0, 1.0)] * 4)
def test_an_audits_headline_follows_the_intervals(head, layers, share, lost, back, left, over):
    def kl(system, limits, split=ON[REFERENCE]):
        return row(limits, "kl", system, study=AUDIT, task="all", split=split, of=None)

    def gap(task, system, other, limits):
        metric = f"difference_from_{other}"
        return row(limits, metric, system, study=AUDIT, task=task, of="refusal_rate", split=None)

    rows = [
        kl(AUDITED, (1.0, 1.0, 1.0)),
        kl(ONLY_HEAD, head),
        kl(ONLY_LAYERS, layers),
        row(share, "kl_recovered", RESTORED, study=AUDIT, task="all", split=HELD_OUT, of=None),
        gap(HARMFUL, AUDITED, REFERENCE, lost),
        gap(HARMFUL, RESTORED, AUDITED, back),
        gap(HARMFUL, RESTORED, REFERENCE, left),
        gap("harmless", RESTORED, REFERENCE, over),
    ]
    verdict = conclude(Results(rows), 4)
    text = audit_headline(verdict)
    for name, limits in (("head only", head), ("layers", layers)):
        assert (name in verdict.carriers) == (limits[0] is not None and limits[0] > CARRIES)
    if verdict.where in ("head only", "layers"):
        other = layers if verdict.where == "head only" else head
        assert (other[2] is None and other[1] == 0) or other[2] <= CARRIES
    restores = verdict.restorable in ("yes", "in part")
    if shown(lost[0], lost[2]):
        opposite = shown(back[0], back[2]) and back[1] * lost[1] < 0
        assert restores == opposite
        if "no veneer restores it" in text:
            best = back[2] if lost[1] < 0 else -back[0]
            assert best < MISSING
    else:
        assert restores == (share[0] is not None and share[0] > CARRIES)
        if "no veneer restores it" in text:
            assert share[2] <= CARRIES
    assert ("whether a veneer restores it is not determined" in text) == (
        verdict.restorable == "not determined"
    )
