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


def opening(run: Any, rows: Iterable[Measurement]) -> str:
    """Such as "C refuses 0 of 40 harmful prompts, A 40. The change is in layers 15 to 29. With a
    veneer that has not seen them, C refuses 40." Empty without a verdict."""
    verdict = AuditVerdict.of_run(run.get("verdict") if isinstance(run, Mapping) else None)
    if verdict is None:
        return ""
    results = Results(rows)
    refusals = _refusals(results)
    if verdict.moved == UNCHANGED:
        return f"{refusals} The two models give the same distributions.".strip()
    return " ".join(text for text in (refusals, _place(results), _veneer(results)) if text)


def next_step(run: Any) -> str:
    """The command that restores C where refusals were lost and a veneer can bring them back, from
    run.json; empty otherwise."""
    if not isinstance(run, Mapping) or not isinstance(run.get("config"), Mapping):
        return ""
    verdict = AuditVerdict.of_run(run.get("verdict"))
    names = [run["config"].get(role) for role in ("reference", "audited")]
    if verdict is None or not all(isinstance(n, str) for n in names):
        return ""
    if verdict.moved != MOVED or verdict.restorable not in (YES, IN_PART):
        return ""
    aligned, compromised = (shlex.quote(n) for n in names)
    return (
        f"veneer restore --aligned {aligned} --compromised {compromised} --ways own --out restored"
    )


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
    return f"The change is in {' and '.join(places)}." if places else ""


def _veneer(results: Results) -> str:
    row = evidence.by_system(results, HARMFUL, "refusal_rate").get(RESTORED)
    lost = evidence.difference(results, HARMFUL, AUDITED, REFERENCE)
    if row is None or row.value is None or lost is None or evidence.holds_zero(lost):
        return ""
    return f"With a veneer that has not seen them, C refuses {_count(row)}."


def _count(row: Measurement) -> int:
    """The number of prompts behind a rate."""
    return round((row.value or 0.0) * row.n)
