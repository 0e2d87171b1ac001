"""What a transfer has found, in one or two sentences: on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement
from veneer.report import tables, words
from veneer.report.words import Anchor
from veneer.studies.transfer.names import SHIFTED, STUDY
from veneer.studies.transfer.order import first_headlines

GIVES = "The small model's veneer gives the large one"


def finding(rows: Sequence[Measurement], chosen: str | None, anchor: Anchor) -> Markup:
    """rows: of the whole study. chosen: the shifted system that was chosen; without a choice, the
    first one speaks. The portions of each task's first headline, or, without the large aligned
    model that these need, the figures of both systems; then the KL. Empty where no shifted system
    was measured."""
    shifted = list(dict.fromkeys(r.system for r in rows if r.identity.kind == SHIFTED))
    system = chosen or next(iter(shifted), None)
    if system is None:
        return Markup()
    groups = tables.groups(rows)
    sentences = [
        _tasks(groups, first_headlines(rows), system, anchor),
        _distance(groups, system, anchor),
    ]
    if chosen is None and len(shifted) > 1 and any(sentences):
        sentences.append(escape(f"No alpha was chosen; {words.name(system)} is the first one."))
    return Markup(" ").join(part for part in sentences if part)


def _tasks(
    groups: Sequence[tables.Group], heads: Mapping[str, str], system: str, anchor: Anchor
) -> Markup:
    measured = [
        g for g in groups if (g.study, g.split) == ("measure", "test") and system in g.systems
    ]
    portions = [g for g in measured if g.metric == "portion" and heads.get(g.task, g.of) == g.of]
    if portions:
        return words.lead(portions, anchor, system, GIVES)
    clauses = [
        Markup("{} on {} {}, without it {}").format(
            words.name(g.metric),
            words.name(g.task),
            words.estimate(g.systems[system], anchor),
            words.estimate(g.systems["base"], anchor),
        )
        for g in measured
        if heads.get(g.task) == g.metric and "base" in g.systems
    ]
    if not clauses:
        return Markup()
    return Markup("With the small model's veneer ({}), the large model reaches: {}.").format(
        words.name(system), Markup("; ").join(clauses)
    )


def _distance(groups: Iterable[tables.Group], system: str, anchor: Anchor) -> Markup:
    """KL before and after; empty where the large aligned model is not there."""
    joint = (
        g.systems
        for g in groups
        if (g.study, g.metric, g.task, g.split) == (STUDY, "kl", "joint", "report")
        and g.position is None
    )
    systems = next(joint, {})
    if "base" not in systems or system not in systems:
        return Markup()
    return Markup(
        "KL from the large aligned model, in nats per token on held-out prompts: {} without the "
        "veneer, {} with it."
    ).format(words.estimate(systems["base"], anchor), words.estimate(systems[system], anchor))
