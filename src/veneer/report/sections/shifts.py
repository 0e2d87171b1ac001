"""Token shifts: how many, of which kind, and which the veneer restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import pack, tables
from veneer.report.load import GROUPS, Shift
from veneer.report.page_context import PageContext
from veneer.report.section import Section

RATES = ("unshifted_rate", "marginal_rate", "shifted_rate", "restored_rate")


def _render(page: PageContext) -> Markup:
    packed = pack.pack_shifts(page.study.shifts)
    shift_groups = page.of("shift")
    return page.template(
        "shifts.html.j2",
        outcomes=outcomes(page.study.shifts),
        restored=_restored(shift_groups),
        rates=_rates(shift_groups),
        groups=shift_groups,
        notes=packed.notes,
        data=packed.data,
        shifts=page.study.shifts,
    )


@dataclass(frozen=True, slots=True)
class ShiftOutcome:
    """Outcomes of the shifts of one group: numbers of positions."""

    group: str
    total: int
    restored: int
    kept: int

    @property
    def shares(self) -> list[tuple[str, float]]:
        elsewhere = self.total - self.restored - self.kept
        return [
            (k, x / self.total)
            for k, x in (("restored", self.restored), ("kept", self.kept), ("elsewhere", elsewhere))
        ]


def outcomes(shifts: Sequence[Shift]) -> list[ShiftOutcome]:
    """Per group, the places where aligned's top token is not base's; one line `all` for
    files without groups."""
    changed = [s for s in shifts if s.aligned != s.base]
    names = [g for g in GROUPS if any(s.group_of_aligned == g for s in changed)]
    result = []
    for group in names or ["all"]:
        in_group = [s for s in changed if not names or s.group_of_aligned == group]
        total = sum(s.count for s in in_group)
        restored = sum(s.count for s in in_group if s.veneer == s.aligned)
        if total:
            result.append(
                ShiftOutcome(
                    group, total, restored, sum(s.count for s in in_group if s.veneer == s.base)
                )
            )
    return result


def _restored(groups: Sequence[tables.Group]) -> dict[str, Measurement]:
    """Per group, the row with the share that the veneer restores on all tasks together."""
    suffix = "_restored_rate"
    rows = {
        g.metric.removesuffix(suffix): g.systems
        for g in groups
        if g.task == "joint" and g.metric.endswith(suffix)
    }
    return {group: systems["veneer"] for group, systems in rows.items() if "veneer" in systems}


def _rates(groups: Sequence[tables.Group]) -> list[dict[str, Any]]:
    """The shares of the shift classes, one card per task, from the first system that has a rate."""
    cards: dict[str, dict[str, Measurement]] = {}
    for g in groups:
        if g.metric in RATES:
            system = next((s for s in ("veneer", "base") if s in g.systems), next(iter(g.systems)))
            cards.setdefault(g.task, {}).setdefault(g.metric, g.systems[system])
    result = []
    for task, rates in sorted(cards.items(), key=lambda c: c[0] != "joint"):
        three = [(m.removesuffix("_rate"), rates[m].value) for m in RATES[:3] if m in rates]
        shares = [(m, v) for m, v in three if v is not None and 0 <= v <= 1]
        whole = len(shares) == 3 and abs(sum(v for _, v in shares) - 1) < 0.02
        present = [rates[m] for m in RATES if m in rates]
        result.append({"task": task, "rates": present, "shares": shares if whole else []})
    return result


SECTION = Section(
    "shifts",
    "Token shifts",
    "Token shifts",
    lambda page: bool(page.study.shifts or page.of("shift")),
    _render,
    ("shift",),
    rank=120,
)
