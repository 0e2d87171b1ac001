"""What was taught, on the audit's page: tokens with their places, topics, directions of the head,
and samples side by side. All texts are a model's own, and escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.report import charts
from veneer.report.page_context import PageContext
from veneer.studies.audit.names import STUDY
from veneer.studies.audit.taught.names import HEAD_CHANGE, RAISED, SAMPLES, SHOWN_SAMPLES, TASKS
from veneer.studies.audit.taught.words import (
    begun_text,
    strength_text,
    taught_sentences,
    token_sign,
)


@dataclass(frozen=True)
class TokenLine:
    """One token: its rows, and where C says it (the text before, behind)."""

    text: str
    share: Measurement
    lift: Measurement
    top: Measurement
    contexts: list[tuple[str, str]]


@dataclass(frozen=True)
class SampleLine:
    """One beginning: what A and each strength write behind it."""

    where: str
    begun: str
    texts: list[str]


def taught_part(page: PageContext) -> Markup:
    """The part of the page; empty where the audit did not ask."""
    sentences = taught_sentences(page.study.rows)
    strengths, samples = shown_samples(page.study.run)
    directions = [
        (g.first, *(_texts(g.first.fact(side)) for side in ("raised", "lowered")))
        for g in page.of(STUDY, metric="direction_share")
        if g.task == HEAD_CHANGE
    ]
    if not (sentences or samples or directions):
        return Markup("")
    tokens = {direction: token_lines(page.study.rows, task) for direction, task in TASKS.items()}
    shares = [line.share for lines in tokens.values() for line in lines]
    high = max(charts.linear_top({"": shares})[0], 1e-6)
    return page.template(
        "taught.html.j2",
        package=__package__,
        sentences=sentences,
        tokens=tokens,
        raised=RAISED,
        scale=charts.Scale(0.0, high * 1.02),
        sign=token_sign,
        topics=[
            (g.first, _texts(g.first.fact("tokens"))) for g in page.of(STUDY, metric="topic_share")
        ],
        directions=directions,
        strengths=strengths,
        samples=samples,
        words=[g for g in page.of(STUDY, metric="word_share") if g.task == SAMPLES],
    )


def token_lines(rows: Sequence[Measurement], task: str) -> list[TokenLine]:
    """The tokens of a direction in their order, those without all three figures left out."""
    by_split: dict[str | None, dict[str, Measurement]] = {}
    for row in rows:
        if row.study == STUDY and row.task == task and row.split is not None:
            by_split.setdefault(row.split, {})[row.metric] = row
    lines = []
    for figures in by_split.values():
        if {"distance_share", "lift", "top_share"} <= set(figures):
            share = figures["distance_share"]
            lines.append(
                TokenLine(
                    str(share.fact("token")),
                    share,
                    figures["lift"],
                    figures["top_share"],
                    _contexts(share.fact("contexts")),
                )
            )
    return lines


def _contexts(value: Any) -> list[tuple[str, str]]:
    """(before, behind) of each place. Nothing is assumed about the fact."""
    several = value if isinstance(value, list) else []
    return [
        (str(c.get("before", "")), str(c.get("behind", "")))
        for c in several
        if isinstance(c, Mapping)
    ]


def _texts(value: Any) -> list[str]:
    return [str(x) for x in value] if isinstance(value, list | tuple) else []


def shown_samples(run: Any) -> tuple[list[str], list[SampleLine]]:
    """Names of the strengths, and a line for each beginning, from run.json. Nothing is assumed
    about it."""
    value = run.get(SHOWN_SAMPLES) if isinstance(run, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(value.get("lines"), list):
        return [], []
    strengths = _texts(value.get("strengths"))
    lines = [
        SampleLine(str(x.get("where")), begun_text(str(x.get("begun", ""))), _texts(x.get("texts")))
        for x in value["lines"]
        if isinstance(x, Mapping)
    ]
    whole = [x for x in lines if len(x.texts) == len(strengths)]
    return [strength_text(s) for s in strengths], whole
