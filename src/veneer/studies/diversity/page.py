"""Diversity: where the drop from base to aligned went, each system's diversity, the quality filter,
coverage with controls, stances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import charts, tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.systems import order
from veneer.report.words import digits_of, figure, interval, name
from veneer.studies.diversity.decompose import REPEATED
from veneer.studies.diversity.settings import ALL_ANSWERS, ASPECTS
from veneer.studies.diversity.words import drop_remark

STUDY = "diversity"
TERMS = ("quality_control", "aggregation", "rest")
KINDS = ("lexical_diversity", "semantic_diversity")
COVERS = {
    None: "aligned sample 0",
    "matched": "cut to equal length",
    "other_prompt": "another prompt's",
    "base": "own other answers",
    "own_first": "own sample 0 (of the other answers)",
}
STEP = 34  # height of a step of the decomposition, px


@dataclass(frozen=True)
class Steps:
    """One decomposition: `drop`, its terms in order with where each begins, and m."""

    of: str
    split: str
    drop: Measurement
    terms: list[tuple[str, Measurement, float]]
    united: Measurement | None
    repeated: list[tuple[str, Measurement]]

    @property
    def remark(self) -> str | None:
        return drop_remark(self.drop)

    @property
    def notes(self) -> list[tuple[str, list[str]]]:
        """Each note once, with the terms that have it."""
        by_note: dict[str, list[str]] = {}
        for term, row in [*((t, r) for t, r, _ in self.terms), *self.repeated]:
            if row.note:
                by_note.setdefault(row.note, []).append(name(term))
        return list(by_note.items())

    @property
    def scale(self) -> charts.Scale:
        ends = [0.0, self.drop.value or 0.0, self.drop.low or 0.0, self.drop.high or 0.0]
        ends += [
            start + x
            for _, row, start in self.terms
            for x in (row.value or 0.0, row.low or 0.0, row.high or 0.0)
        ]
        low, high = min(ends), max(ends)
        return charts.Scale(low - 0.02 * (high - low or 1), high + 0.02 * (high - low or 1))


def decompositions(page: PageContext) -> list[Steps]:
    """Lexical before semantic; filtered by quality before unfiltered."""
    rows = {
        (r.of, r.split, r.metric.removeprefix("decomposition_")): r
        for r in page.study.rows
        if r.metric.startswith("decomposition_")
    }
    steps = []
    for of, split in dict.fromkeys((of, split) for of, split, _ in rows):
        start, terms = 0.0, []
        for term in TERMS:
            row = rows.get((of, split, term))
            if row is not None and row.value is not None:
                terms.append((term, row, start))
                start += row.value
        steps.append(
            Steps(
                of or "",
                split or "",
                rows[of, split, "drop"],
                terms,
                rows.get((of, split, "united")),
                [(t, rows[of, split, t]) for t in REPEATED if (of, split, t) in rows],
            )
        )
    return sorted(steps, key=lambda s: (s.of, s.split == ALL_ANSWERS))


def step(term: str, row: Measurement, start: float, scale: charts.Scale) -> Markup:
    """A bar from where the terms before it end, with the interval of its own length at its end."""
    value = row.value or 0.0
    a, b = sorted((scale.at(start), scale.at(start + value)))
    marks = [
        Markup('<line class="ref" x1="{x}%" x2="{x}%" y1="0" y2="{h}"/>').format(
            x=scale.at(start), h=STEP
        )
    ]
    marks.append(
        Markup('<rect class="step step-{}" x="{}%" width="{}%" y="9" height="16" rx="2"/>').format(
            term, a, max(b - a, 0.3)
        )
    )
    if row.low is not None and row.high is not None:
        low, high = scale.at(start + row.low), scale.at(start + row.high)
        marks.append(
            Markup('<line class="step-whisker" x1="{}%" x2="{}%" y1="17" y2="17"/>').format(
                low, high
            )
        )
        for x in (low, high):
            marks.append(
                Markup('<line class="step-whisker" x1="{x}%" x2="{x}%" y1="12" y2="22"/>').format(
                    x=x
                )
            )
    title = (
        f"{term.replace('_', ' ')}: {figure(value, digits_of(row))}, 95 % interval {interval(row)}"
    )
    return Markup('<svg class="lane" height="{}" role="img"><title>{}</title>{}</svg>').format(
        STEP, title, Markup("").join(marks)
    )


def filtered(split: str | None) -> bool:
    """Whether a row is about the answers that reach a score of quality."""
    return (split or "").partition(">=")[0] in ASPECTS


def by_quality(group: tables.Group) -> bool:
    """Whether the novelty is that of the answers of one score of quality."""
    return any(r.fact("score") is not None for r in group.systems.values())


def filter_lines(page: PageContext) -> list[dict]:
    """For each system and kind, one line per threshold: kept and unfiltered diversity,
    and the share kept."""
    rows = {
        (r.metric, r.split, r.system): r
        for r in page.study.rows
        if r.study == STUDY and filtered(r.split)
    }
    panels = []
    for kind in KINDS:
        for system in order(s for metric, _, s in rows if metric == kind):
            lines, seen = [], []
            for split in (p for metric, p, s in rows if (metric, s) == (kind, system)):
                kept, whole = (
                    rows[kind, split, system],
                    rows.get((f"{kind}_unfiltered", split, system)),
                )
                if whole is not None and kept.value is not None and whole.value is not None:
                    lines.append(
                        {
                            "split": split,
                            "kept": kept,
                            "all": whole,
                            "share": rows.get(("kept", split, system)),
                        }
                    )
                    seen += [kept, whole]
            if lines:
                panels.append(
                    {"system": system, "kind": kind, "lines": lines, "scale": _scale(seen)}
                )
    return panels


def _scale(rows: Sequence[Measurement]) -> charts.Scale:
    seen = [x for r in rows for x in (r.value, r.low, r.high) if x is not None] or [0.0, 1.0]
    room = 0.05 * (max(seen) - min(seen) or 1)
    return charts.Scale(min(seen) - room, max(seen) + room)


def _render(page: PageContext) -> Markup:
    rows = page.of(STUDY)
    plain = [g for g in rows if g.split is None and g.of is None]
    diversity = [
        g
        for g in plain
        if g.metric in (*KINDS, "lexical_diversity_nonempty", "lexical_diversity_matched")
    ]
    coverage = [g for g in rows if "_coverage" in g.metric and not g.metric.startswith("stance")]
    leads = [g for g in coverage if g.metric == "lexical_coverage"] + [
        g for g in coverage if g.metric == "semantic_coverage_0.7"
    ]
    return page.template(
        "page.html.j2",
        package=__package__,
        steps=decompositions(page),
        draw=step,
        diversity=[g for g in diversity if any(r.value is not None for r in g.systems.values())],
        unit=charts.Scale(0.0, 1.0),
        filters=filter_lines(page),
        leads=leads,
        coverage=coverage,
        stance=[g for g in rows if g.metric.startswith("stance")],
        new=[g for g in rows if g.metric.startswith(("novelty", "topic")) and not by_quality(g)],
        new_by_quality=[g for g in rows if g.metric.startswith("novelty") and by_quality(g)],
        measures=[
            g
            for g in plain
            if not g.metric.startswith(
                ("stance", "novelty", "topic", "lexical_coverage", "semantic_coverage")
            )
        ]
        + [g for g in rows if g.metric == "portion" or (g.metric in ASPECTS and g.split)],
        every=[
            g
            for g in rows
            if g.metric.startswith("decomposition_")
            or (filtered(g.split) and not g.metric.startswith("stance"))
        ],
        covers=COVERS,
    )


def _finding(page: PageContext) -> Markup | None:
    """Whether each kind of diversity drops, over all answers; None without a decomposition."""
    sentences = []
    open_kinds: dict[str, list[str]] = {}
    for steps in decompositions(page):
        if steps.split != ALL_ANSWERS:
            continue
        drop, kind = steps.drop, name(steps.of)
        if steps.remark is not None:
            open_kinds.setdefault(steps.remark, []).append(kind)
            continue
        sentences.append(
            Markup("{} drops from base to aligned by {} ({}, n = {} prompts).").format(
                kind.capitalize(), page.link(drop, 2), interval(drop, 2), drop.n
            )
        )
    for remark, kinds in open_kinds.items():
        sentences.append(Markup("{}: {}.").format(" and ".join(kinds).capitalize(), remark))
    return Markup(" ").join(sentences) or None


SECTION = Section(
    "diversity",
    "Diversity",
    "Diversity",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=60,
    package=__package__,
    question="Do aligned answers vary less than base's?",
    finding=_finding,
)
