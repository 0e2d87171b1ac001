"""What the systems do on each task: the main table, every metric, what judges could not judge, and
descriptions of the systems."""

from __future__ import annotations

from markupsafe import Markup

from veneer.judges.accuracy import MeasuredAccuracy, accuracy_of
from veneer.measures.words import train_prompts_left_out
from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.sections.portion import QUESTION
from veneer.report.systems import about

UNSCORED = "_unscored_rate"


def _measured(page: PageContext) -> list[tables.Group]:
    return [
        g
        for g in page.of("measure")
        if g.metric != "portion" and not (g.split or "").startswith(tables.GROUP)
    ]


def _render(page: PageContext) -> Markup:
    measured = _measured(page)
    main = tables.headlines(page.groups)
    identity = tables.identities(h.values for h in main)
    systems = tables.columns(h.values for h in main)
    differences = [g for g in measured if g.metric.startswith("difference_from_")]
    unscored = [g for g in measured if g.metric.endswith(UNSCORED)]
    aside = {id(g) for g in (*differences, *unscored)}
    return page.template(
        "behaviour.html.j2",
        main=main,
        barred=any(
            r.value is not None for h in main if h.portions for r in h.portions.systems.values()
        ),
        systems=systems,
        descriptions=[(s, about(identity[s])) for s in systems if about(identity[s])],
        every=[g for g in measured if id(g) not in aside],
        differences=differences,
        unscored=unscored,
        judges=_judges(page, main),
        kinds={h.values.metric for h in main},
        left_out=train_prompts_left_out(page.study.run.get("train_prompts_left_out")),
    )


def _judges(
    page: PageContext, main: list[tables.Headline]
) -> list[tuple[str, str | None, tuple[MeasuredAccuracy, ...]]]:
    """(judge, its note, its accuracy on people's labels) of the main metrics. A judged row carries
    the judge's note, a portion the reason it is null."""
    notes: dict[str, str | None] = {h.values.judge: None for h in main if h.values.judge}
    for row in page.study.rows:
        if (
            row.study == "measure"
            and row.judge in notes
            and row.note
            and row.value is not None
            and row.metric != "portion"
        ):
            notes[row.judge] = notes[row.judge] or row.note
    return [(judge, note, accuracy_of(judge)) for judge, note in notes.items()]


SECTION = Section(
    "behaviour",
    "What the systems do",
    "Behaviour",
    lambda page: bool(_measured(page)),
    _render,
    ("measure",),
    question=QUESTION,
    rank=50,
)
