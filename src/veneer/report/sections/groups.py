"""Tasks whose prompts fall into groups: each system on each group."""

from __future__ import annotations

from dataclasses import dataclass, field

from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section


@dataclass
class Map:
    """One metric of one task: `lines` has for each group its name and the group's rows."""

    task: str
    metric: str
    judge: str | None
    lines: list[tuple[str, tables.Group]] = field(default_factory=list)
    portions: dict[str, tables.Group] = field(default_factory=dict)

    @property
    def systems(self) -> list[str]:
        return tables.columns(g for _, g in self.lines)

    @property
    def high(self) -> float:
        return (
            max((r.value or 0 for _, g in self.lines for r in g.systems.values()), default=0) or 1.0
        )


def maps(page: PageContext) -> list[Map]:
    maps_by_metric: dict[tuple, Map] = {}
    for g in page.of("measure"):
        if not (g.split or "").startswith(tables.GROUP) or g.metric.startswith("difference_from_"):
            continue
        name = (g.split or "").removeprefix(tables.GROUP)
        one = maps_by_metric.setdefault(
            (g.task, g.of or g.metric, g.judge), Map(g.task, g.of or g.metric, g.judge)
        )
        if g.metric == "portion":
            one.portions[name] = g
        else:
            one.lines.append((name, g))
    return [m for m in maps_by_metric.values() if m.lines]


SECTION = Section(
    "groups",
    "By group",
    "Groups",
    lambda page: bool(maps(page)),
    lambda page: page.template("groups.html.j2", maps=maps(page)),
    rank=80,
)
