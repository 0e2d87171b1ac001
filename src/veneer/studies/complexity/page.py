"""The section of a complexity study: score against bits, and the least bytes for a score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement
from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.visible import visible
from veneer.studies.complexity.chart import LOWEST, SHAPES, Placed, chart, sign
from veneer.studies.complexity.names import EVERY, STUDY
from veneer.studies.complexity.words import (
    VIEWS,
    bytes_words,
    headline,
    interval_words,
    left_out,
    target_words,
)
from veneer.tasks.registry import TASKS

SIZES = ("program_bits", "decoder_bits", "published_bits")
REFERENCES = ("base", "veneer", "aligned")


def sizes(page: PageContext) -> dict[str, dict[str, Measurement]]:
    """System -> metric -> row, of every program with all three sizes."""
    by_system: dict[str, dict[str, Measurement]] = {}
    for metric in SIZES:
        for g in page.of(STUDY, metric=metric):
            for system, row in g.systems.items():
                if row.value is not None and row.value >= 0:
                    by_system.setdefault(system, {})[metric] = row
    return {s: rows for s, rows in by_system.items() if len(rows) == len(SIZES)}


def scores(page: PageContext) -> list[tables.Group]:
    """The drawn and tabulated scores: recovered KL, the tasks' headlines, well-formed answers."""
    joint = [g for g in page.of(STUDY, metric="kl_recovered") if g.task == "joint"]
    heads = [h.values for h in tables.headlines(page.of("measure"))]
    formed = [g for g in page.of("measure", metric="well_formed") if g.split == "test"]
    return [*joint, *heads, *formed]


def _view(row: Measurement) -> str:
    view = str(row.fact("view"))
    return view if view in SHAPES else "empty"


def _charts(page: PageContext) -> Iterator[dict[str, Any]]:
    known = sizes(page)
    for g in scores(page):
        placed = [
            Placed(row, _view(own["program_bits"]), *_bits(own))
            for system, own in known.items()
            if system != "aligned"
            and (row := g.systems.get(system)) is not None
            and row.value is not None
        ]
        if not any(p.bits for p in placed):
            continue
        values = {s: g.systems[s].value for s in REFERENCES if s in g.systems}
        references = {s: v for s, v in values.items() if v is not None and s != "base"}
        down = _is_down(g)
        svg = chart(placed, references, page.anchor, up=not down)
        yield {
            "task": g.task,
            "metric": g.metric,
            "n": g.n,
            "judge": g.judge,
            "down": down,
            "svg": svg,
            "cut": any((p.row.value or 0) < LOWEST for p in placed),
        }


def _bits(own: dict[str, Measurement]) -> tuple[int, int]:
    """Bits of the file, and bits by the published formula; both without a decoder."""
    return int(own["program_bits"].value or 0), int(own["published_bits"].value or 0)


def _is_down(g: tables.Group) -> bool:
    """Whether less is better, by the task's own headlines."""
    if g.study != "measure" or g.task not in TASKS:
        return False
    return TASKS.get(g.task)(None).headlines.get(g.metric) == "down"


def _least(page: PageContext) -> tuple[list[dict[str, Any]], list[str]]:
    """One line per task and score, one column per view."""
    lines, columns = [], ["all"]
    for g in page.of(STUDY, metric="complexity_bits"):
        rows = {}
        for row in g.systems.values():
            view = "all" if row.identity.kind == EVERY else str(row.identity.get("view"))
            rows[view] = row
            if view not in columns:
                columns.append(view)
        target = target_words(g.of or "")
        lines.append({"task": g.task, "target": target, "n": g.n, "rows": rows})
    return lines, columns


def _render(page: PageContext) -> Markup:
    known = sizes(page)
    least, columns = _least(page)
    programs = [
        {
            "system": system,
            "view": _view(rows["program_bits"]),
            "about": rows["program_bits"].note or "",
            "sizes": [rows[m] for m in SIZES],
        }
        for system, rows in known.items()
    ]
    views = dict.fromkeys(p["view"] for p in programs)
    tried, out = page.study.run.get("programs_tried"), page.study.run.get("programs_left_out")
    counts = tried.items() if isinstance(tried, dict) else ()
    return page.template(
        "page.html.j2",
        package=__package__,
        sign=sign,
        bytes=bytes_words,
        interval_of=interval_words,
        views=[(v, VIEWS[str(v)]) for v in views],
        charts=list(_charts(page)),
        least=least,
        columns=[visible(c, 20) for c in columns],
        scores=scores(page),
        programs=programs,
        tried=", ".join(f"{visible(k, 20)} {visible(n, 10)}" for k, n in counts),
        left_out=[
            visible(left_out(facts), 200)
            for facts in (out if isinstance(out, list) else ())
            if isinstance(facts, dict)
        ],
    )


def _finding(page: PageContext) -> Markup | None:
    """The least bytes for the first score that any program may reach; None without scores."""
    rows = [
        row
        for g in page.of(STUDY, metric="complexity_bits")
        for row in g.systems.values()
        if row.identity.kind == EVERY
    ]
    if not rows:
        return None
    row = next((r for r in rows if r.value is not None), rows[0])
    return escape(visible(headline(row), 500))


SECTION = Section(
    "complexity",
    "How many bytes base needs",
    "Complexity",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=20,
    question="How many bytes must be added to base?",
    finding=_finding,
    package=__package__,
)
