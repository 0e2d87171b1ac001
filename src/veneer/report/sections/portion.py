"""The superficial portion by task, as a chart with intervals."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from markupsafe import Markup, escape

from veneer.report import charts, tables, words
from veneer.report.basis import counted
from veneer.report.discernment import AUROC, discernment
from veneer.report.discernment import missing as why_no_discernment
from veneer.report.opening import headline
from veneer.report.over_refusal import SOURCES, is_safety, missing, over_refusal
from veneer.report.page_context import PageContext
from veneer.report.section import NextStep, Section
from veneer.report.systems import MAIN, family


def _portions(page: PageContext) -> list[tables.Group]:
    return page.of("measure", metric="portion")


def _applies(page: PageContext) -> bool:
    return bool(tables.headline(_portions(page)))


def _render(page: PageContext) -> Markup:
    portions = [g for g in _portions(page) if not (g.split or "").startswith(tables.GROUP)]
    lead = tables.headline(portions)
    drawn = lines(page, lead)
    scale, off = _scale(lead)
    return page.template(
        "portion.html.j2",
        headline=lead,
        lines=drawn,
        first={one.group.task: one for one in reversed(drawn)},
        off=off,
        portions=portions,
        families=_families(lead),
        refused=over_refusal(page.study.rows),
        discernment=discernment(page.study.rows),
        no_discernment=why_no_discernment(page.study.rows, page.study.run),
        formed={
            g.task: g.systems for g in page.of("measure", metric="well_formed") if g.split == "test"
        },
        is_safety=is_safety,
        missing=missing(page.study.rows),
        variants=[tables.variants(portions, g) for g in lead],
        scale=scale,
    )


@dataclass(frozen=True)
class Line:
    """A line of the chart: the portions of one task whose figures read the same. names: of their
    metrics. verdict: what each of them says, once where they say the same."""

    groups: list[tables.Group]
    names: str
    verdict: Markup

    @property
    def group(self) -> tables.Group:
        return self.groups[0]


def lines(page: PageContext, lead: Sequence[tables.Group]) -> list[Line]:
    """The portions, those of a task together whose veneers read the same."""
    alike: dict[tuple, list[tables.Group]] = {}
    for g in lead:
        row = g.systems["veneer"]
        reads = (words.figure(row.value, 2), words.interval(row, 2), g.n, g.judge)
        alike.setdefault((g.task, *reads, row.value is None and row.note), []).append(g)
    return [
        Line(own, words.listed([escape(words.name(g.of)) for g in own]), _verdict(page, own))
        for own in alike.values()
    ]


def _verdict(page: PageContext, groups: Sequence[tables.Group]) -> Markup:
    by_verdict: dict[str, list[tables.Group]] = {}
    for g in groups:
        by_verdict.setdefault(words.verdict(g, page.anchor).striptags(), []).append(g)
    if len(by_verdict) == 1:
        return words.verdict(groups[0], page.anchor)
    return Markup(" ").join(
        Markup("<b>{}:</b> {}").format(
            words.listed([escape(words.name(g.of)) for g in own]),
            words.verdict(own[0], page.anchor),
        )
        for own in by_verdict.values()
    )


def _scale(lead: Sequence[tables.Group]) -> tuple[charts.Scale, list[str]]:
    """The scale of all systems but the controls, and the families that are hidden at first since
    one of theirs lies beyond it."""
    rows = [r for g in lead for r in g.systems.values()]
    controls = [r for r in rows if family(r.identity) == "control"]
    scale = charts.portion_scale([r for r in rows if r not in controls])
    beyond = any(r.value is not None and not scale.holds(r.value) for r in controls)
    return scale, ["control"] if beyond else []


FAMILIES = (
    ("variant", "veneer-bias", "other veneers"),
    ("baseline", "urial", "baselines"),
    ("control", "shuffled", "controls"),
)


def _families(lead: list[tables.Group]) -> list[tuple[str, str, str]]:
    """(a system with the mark, words, family) of each family that is drawn beside the veneer."""
    drawn = {family(system) for system in tables.identities(lead).values()}
    return [(example, text, kind) for kind, example, text in FAMILIES if kind in drawn]


def _finding(page: PageContext) -> Markup:
    """The portions of the headline figures. Refusing what is harmless is a cost, and stands in a
    sentence of its own; so does telling harmful from harmless prompts."""
    groups = [g for g in headline(page) if g.of != AUROC] or headline(page)
    gains = [g for g in groups if (g.task, g.of) not in SOURCES] or groups
    both = gains is not groups and len(gains) < len(groups)
    return words.lead(gains, page.anchor) + (_cost(page) if both else "") + _discernment(page)


def _discernment(page: PageContext) -> Markup:
    """How well base, veneer and aligned tell harmful from harmless prompts."""
    contrast = discernment(page.study.rows)
    if contrast is None or not set(MAIN) <= set(contrast.systems):
        return Markup()
    base, veneer, aligned = (contrast.systems[s] for s in MAIN)
    return Markup(
        " Base tells harmful from harmless prompts of {} with an AUROC of {} ({}), base with the "
        "veneer with {} ({}), the aligned model with {} ({}; n = {}; 0.50 is chance)."
    ).format(
        words.name(contrast.task),
        *chain.from_iterable(
            (words.linked(row, page.anchor, 2), words.interval(row, 2))
            for row in (base, veneer, aligned)
        ),
        counted([veneer]),
    )


def _cost(page: PageContext) -> Markup:
    """Rates at which base with the veneer and the aligned model refuse harmless prompts."""
    refused = over_refusal(page.study.rows)
    if refused is None or not {"veneer", "aligned"} <= set(refused.systems):
        return Markup()
    veneer, aligned = (refused.systems[s] for s in ("veneer", "aligned"))
    return Markup(
        " Base with the veneer refuses {} ({}) of the harmless prompts of {}, the aligned model {} "
        "({}; n = {})."
    ).format(
        words.linked(veneer, page.anchor, 2),
        words.interval(veneer, 2),
        words.name(refused.task),
        words.linked(aligned, page.anchor, 2),
        words.interval(aligned, 2),
        veneer.n,
    )


def _next_step(page: PageContext) -> NextStep | None:
    """Only a folder with a veneer and the record of its pair can be talked to."""
    folder = Path(page.study.path)
    if not (folder / "veneer" / "veneer.json").is_file() or "pair" not in page.study.run:
        return None
    command = shlex.join(["veneer", "chat", page.study.path, "--web"])
    return NextStep("type questions of your own to the three systems", command)


QUESTION = "How much of the alignment is only its surface?"
SECTION = Section(
    "portion",
    "Superficial portion",
    "Portion",
    _applies,
    _render,
    rank=40,
    question=QUESTION,
    finding=_finding,
    next_step=_next_step,
)
