"""Held-out KL from the aligned model, before and after."""

from __future__ import annotations

from markupsafe import Markup

from veneer.report import charts, tables
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.sections.portion import QUESTION


def _render(page: PageContext) -> Markup:
    extract = page.of("extract")
    kl = [g for g in extract if g.metric == "kl" and set(g.systems) - {"base", "aligned"}]
    recovered = {(g.task, g.split, g.judge): g for g in extract if g.metric == "kl_recovered"}
    pairs = [
        {
            "group": g,
            "recovered": recovered.get((g.task, g.split, g.judge)),
            "floor": g.systems.get("aligned")
            or tables.noise_floor(page.study.rows, "extract", g.task),
        }
        for g in kl
    ]
    rows = [(s, r.value or 0.0) for g in kl for s, r in g.systems.items()]
    controls = [s for s in page.order({s for s, _ in rows}) if page.family(s) == "control"]
    scale = charts.Scale(0.0, 1.05 * max([x for s, x in rows if s not in controls] + [1e-6]))
    words = "Held-out KL, share recovered and agreement of the top token."
    if any(g.metric == "nll" for g in extract):
        words = (
            "Likelihood of the held-out responses: nothing else of their author was known, so "
            "there is no KL and no noise floor."
        )
    return page.template(
        "kl.html.j2",
        extract=extract,
        pairs=pairs,
        scale=scale,
        words=words,
        controls=controls,
        off=any(x > scale.high for s, x in rows if s in controls),
    )


SECTION = Section(
    "kl",
    "Distance from the aligned model",
    "KL",
    lambda page: bool(page.of("extract")),
    _render,
    ("extract",),
    question=QUESTION,
    rank=100,
)
