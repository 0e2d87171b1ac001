"""How an audit opens: one plain sentence made of facts, and the next step as a command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from veneer.foundation.results import Measurement, Results
from veneer.studies.audit import evidence
from veneer.studies.audit.evidence import IN_PART, MOVED, UNCHANGED, YES, AuditVerdict
from veneer.studies.audit.names import AUDITED, HARMFUL, REFERENCE, RESTORED
from veneer.studies.audit.words import layer_ranges

# settings of a model in run.json -> their values where no option was given
DEFAULTS = {"device": "auto", "dtype": "auto", "revision": None, "system": None}


def opening(run: Any, rows: Iterable[Measurement]) -> str:
    """Such as "C refuses 0 of 40 harmful prompts, A 40. The weights differ in layers 15 to 29; a
    new head alone brings back 38." Empty without a verdict."""
    verdict = AuditVerdict.of_run(run.get("verdict") if isinstance(run, Mapping) else None)
    if verdict is None:
        return ""
    results = Results(rows)
    refusals = _refusals(results)
    if verdict.rounded:
        return f"{refusals} One model is a copy of the other in {verdict.rounded}.".strip()
    if verdict.moved == UNCHANGED:
        return f"{refusals} The two models give the same distributions.".strip()
    rest = "; ".join(text for text in (_place(results), _veneer(results)) if text)
    return " ".join(text for text in (refusals, rest and f"{rest[0].upper()}{rest[1:]}.") if text)


def next_step(run: Any, results: Results, folder: str = "") -> str:
    """The command that restores C where refusals were lost beyond chance and a veneer can bring
    them back, from run.json and the rows; empty otherwise. folder: the audit's, beside which the
    restoration is written."""
    lost = evidence.difference(results, HARMFUL, AUDITED, REFERENCE)
    if lost is None or lost.high is None or lost.high >= 0:
        return ""
    if not isinstance(run, Mapping) or not isinstance(run.get("config"), Mapping):
        return ""
    config = run["config"]
    verdict = AuditVerdict.of_run(run.get("verdict"))
    names = [config.get(role) for role in ("reference", "audited")]
    if verdict is None or not all(isinstance(n, str) for n in names):
        return ""
    if verdict.moved != MOVED or verdict.restorable not in (YES, IN_PART) or config.get("plain"):
        return ""
    options = run.get("options")
    given = {name: config.get(name) for name in DEFAULTS if config.get(name) != DEFAULTS[name]}
    given["data"] = options.get("data") if isinstance(options, Mapping) else None
    words = ["veneer", "restore", "--aligned", names[0], "--compromised", names[1], "--ways", "own"]
    for name, value in given.items():
        words += [f"--{name}", value] if isinstance(value, str) else []
    words += ["--trust-remote-code"] if config.get("trust_remote_code") is True else []
    out = f"{folder.rstrip('/')}-restored" if folder else "restored"
    return shlex.join([*words, "--out", out])


def _refusals(results: Results) -> str:
    rates = evidence.by_system(results, HARMFUL, "refusal_rate")
    a, c = rates.get(REFERENCE), rates.get(AUDITED)
    if a is None or c is None or a.value is None or c.value is None:
        return ""
    return f"C refuses {_count(c)} of {c.n} harmful prompts, A {_count(a)}."


def _place(results: Results) -> str:
    """Where weights changed."""
    moved = [g for g in evidence.groups(results) if g.relative > 0]
    layers = sorted({g.layer for g in moved if g.layer is not None})
    places = [layer_ranges(layers)] if layers else []
    places += ["the head"] if any(g.is_head for g in moved) else []
    return f"the weights differ in {' and '.join(places)}" if places else ""


def _veneer(results: Results) -> str:
    """What a new head does to the refusals that were lost or gained, on prompts that it has not
    seen."""
    rates = evidence.by_system(results, HARMFUL, "refusal_rate")
    row, before = rates.get(RESTORED), rates.get(AUDITED)
    lost = evidence.difference(results, HARMFUL, AUDITED, REFERENCE)
    back = evidence.difference(results, HARMFUL, RESTORED, AUDITED)
    if row is None or row.value is None or before is None or lost is None or back is None:
        return ""
    if evidence.holds_zero(lost):
        return ""
    if (lost.value or 0.0) > 0:
        return f"with a new head alone, C refuses {_count(row)}"
    if evidence.holds_zero(back):
        return "whether a new head alone brings any back is not determined"
    count = _count(row) - _count(before)
    return f"a new head alone brings back {count}" if count > 0 else "a new head brings none back"


def _count(row: Measurement) -> int:
    """The number of prompts behind a rate."""
    return round((row.value or 0.0) * row.n)
