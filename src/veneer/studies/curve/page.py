"""Curve: style, skill and refusals by number of examples, classes of errors, fits, and veneers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement, Results
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.tables import Group
from veneer.report.visible import visible
from veneer.studies.curve.chart import Series, chart, sign
from veneer.studies.curve.classes import CLASSES
from veneer.studies.curve.names import FAMILY, FIT, STUDY, STYLE, TEST, class_metric
from veneer.studies.curve.published import TABLE_7
from veneer.studies.curve.words import CLASSES as CLASS_WORDS
from veneer.studies.curve.words import CONTROLS, finding, headline, score_words

SKILLS = ("accuracy_strict", "accuracy")  # the first that a task has is drawn
REFUSALS = ("refusal_rate", "unsafe_refusal_rate")
MARKS = {STYLE: "style", **dict.fromkeys(SKILLS, "skill"), **dict.fromkeys(REFUSALS, "refusal")}
HARMLESS = {"xstest": "over_refusal_rate", "lab-harmless": "refusal_rate"}


@dataclass(frozen=True)
class Stack:
    """Shares of the classes of one system, in the order of `CLASSES`."""

    name: str
    rows: Sequence[tuple[str, Measurement]]


def by_size(group: Group, kind: str = "tuned") -> dict[int, Measurement]:
    """Number of examples -> row, of the systems of a kind."""
    rows = {
        r.identity.get("examples"): r for r in group.systems.values() if r.identity.kind == kind
    }
    return {s: r for s, r in sorted(rows.items()) if isinstance(s, int)}


def scores(page: PageContext) -> Iterator[Group]:
    """The scores over all seeds."""
    return (g for g in page.of(STUDY) if g.split == TEST and g.of is None)


def series(page: PageContext) -> list[tuple[str, list[Series]]]:
    """One chart for each task with a style, with the refusals of the other tasks in it; without
    such a task one chart of everything."""
    groups = {(g.task, g.metric): g for g in scores(page)}
    refusals = list(_refusals(page, groups))
    charts = []
    for task in dict.fromkeys(t for t, _ in groups):
        own = [(STYLE, "style")] if (task, STYLE) in groups else []
        skill = next((m for m in SKILLS if (task, m) in groups), None)
        own += [(skill, "skill")] if skill is not None else []
        lines = [
            Series(score_words(m), kind, by_size(groups[task, m]), _fit(page, task, m))
            for m, kind in own
        ]
        if lines:
            charts.append((task, [*lines, *refusals]))
    if not charts and refusals:
        charts.append((", ".join(dict.fromkeys(t for t, _ in groups)), refusals))
    return [(t, known) for t, lines in charts if (known := [s for s in lines if _drawn(s)])]


def _drawn(one: Series) -> bool:
    return any(size > 0 for size in one.known)


def _refusals(page: PageContext, groups: Mapping[tuple[str, str], Group]) -> Iterator[Series]:
    for (task, metric), group in groups.items():
        classed = (task, STYLE) in groups or any((task, m) in groups for m in SKILLS)
        if HARMLESS.get(task) == metric:
            yield Series(f"refuses harmless requests ({task})", "over", by_size(group))
        elif metric in REFUSALS and task not in HARMLESS and not classed:
            rows, fit = by_size(group), _fit(page, task, metric)
            yield Series(f"refuses harmful requests ({task})", "refusal", rows, fit)


def _fit(page: PageContext, task: str, metric: str) -> Mapping[str, Any] | None:
    """The facts of a fitted curve; nothing is assumed about them."""
    for group in page.of(STUDY, metric=FAMILY):
        row = group.systems.get(FIT)
        if row is None or (group.task, group.of) != (task, metric):
            continue
        lists = [row.fact(k) for k in ("at", "curve", "low", "high")]
        whole = all(isinstance(x, list) and len(x) == len(lists[0] or ()) for x in lists)
        if whole and lists[0] and all(_is_number(v) for x in lists for v in x):
            return dict(zip(("at", "curve", "low", "high"), lists, strict=True))
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def stacks(page: PageContext) -> list[tuple[str, str, list[Stack]]]:
    """(task, n, one stack per system) of the tasks whose errors have classes."""
    by_task: dict[str, dict[str, dict[str, Measurement]]] = {}
    counts: dict[str, str] = {}
    metrics = {class_metric(c): c for c in CLASSES}
    for group in scores(page):
        if group.metric in metrics:
            counts.setdefault(group.task, group.n)
            for row in group.systems.values():
                if row.value is not None and row.identity.kind in ("tuned", "tuned-control"):
                    named = by_task.setdefault(group.task, {}).setdefault(_name(row), {})
                    named[metrics[group.metric]] = row
    return [
        (
            task,
            counts[task],
            [
                Stack(name, [(c, rows[c]) for c in CLASSES if c in rows])
                for name, rows in own.items()
            ],
        )
        for task, own in by_task.items()
    ]


def _name(row: Measurement) -> str:
    size, control = row.identity.get("examples"), row.identity.get("control")
    text = "base" if size == 0 else f"{size:,} examples"
    return text if control is None else f"{text}, {CONTROLS.get(str(control), str(control))}"


def surface(page: PageContext) -> list[tuple[str, list[Series]]]:
    """One chart per task: the portions of its style, its skill and its refusals by number of
    examples, and the recovered KL."""
    shared = [
        Series("recovered KL", "kl", by_size(g, "veneer-of-tuned"))
        for g in page.of(STUDY, metric="kl_recovered")
    ]
    portions: dict[str, dict[str, Series]] = {}  # task -> mark -> line
    groups = {(g.task, g.of or ""): g for g in page.of(STUDY, metric="portion")}
    for (task, metric), group in sorted(groups.items(), key=lambda item: _rank(item[0][1])):
        rows = by_size(group, "veneer-of-tuned")
        one = Series(f"portion: {score_words(metric)}", MARKS.get(metric, "over"), rows)
        if _drawn(one):
            portions.setdefault(task, {}).setdefault(one.kind, one)
    charts = [(task, [*lines.values(), *shared]) for task, lines in portions.items()]
    known = [s for s in shared if _drawn(s)]
    return charts or ([("joint", known)] if known else [])


def _rank(metric: str) -> int:
    """The place of a score's portion in a chart; the first of each mark is drawn."""
    return list(MARKS).index(metric) if metric in MARKS else len(MARKS)


def _render(page: PageContext) -> Markup:
    fitted = [g for g in page.of(STUDY) if FIT in g.systems]
    controls = [
        g
        for g in scores(page)
        if any(r.identity.kind == "tuned-control" for r in g.systems.values())
    ]
    shown = (
        "accuracy",
        "accuracy_strict",
        STYLE,
        "style_error_rate",
        "reasoning_error_rate",
        *REFUSALS,
    )
    steps = page.of(STUDY, metric="training_steps")
    return page.template(
        "page.html.j2",
        package=__package__,
        findings=finding(Results(page.study.rows)),
        charts=[
            (t, lines, chart(lines, page.anchor, f"{t} by number of examples"))
            for t, lines in series(page)
        ],
        sign=sign,
        stacks=stacks(page),
        classes=[(c, CLASS_WORDS[c]) for c in CLASSES],
        surface=[
            (t, lines, chart(lines, page.anchor, f"{t}: portion by number of examples"))
            for t, lines in surface(page)
        ],
        fitted=fitted,
        controls=[*(g for g in controls if g.metric in shown), *(steps if controls else ())],
        score_words=score_words,
        published=TABLE_7,
        tables=list(scores(page)),
    )


def _finding(page: PageContext) -> Markup | None:
    sentence = headline(Results(page.study.rows))
    return escape(visible(sentence, 500)) if sentence else None


SECTION = Section(
    "curve",
    "Skill by number of examples",
    "Curve",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=14,
    question="What do more examples teach?",
    finding=_finding,
    package=__package__,
)
