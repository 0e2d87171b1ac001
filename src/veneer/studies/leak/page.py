"""Leak: what was found, the rate against the threshold, repeats, and samples beside the examples
that they give away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement, Results
from veneer.report import charts
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.tables import Group
from veneer.report.visible import visible
from veneer.report.words import figure
from veneer.studies.leak.names import (
    CALIBRATED,
    HELD_OUT,
    INDEL,
    LEVENSHTEIN,
    STUDY,
    VERBATIM,
)
from veneer.studies.leak.rows import CURVE
from veneer.studies.leak.words import copies_words, finding, headline, nearest_by

HEIGHT = 220  # height of a chart's plot, px
TOP, LEFT = 14, 7  # room above the plot, px; left of it, % of the width
LONGEST = 600  # characters of a text on the page


@dataclass(frozen=True)
class Curve:
    """Share of texts that reach each threshold. kinds: name -> CSS classes of its line. threshold:
    the calibrated one, or None."""

    field: str
    judge: str
    shares: dict[str, Sequence[float]]
    kinds: dict[str, str]
    threshold: float | None


@dataclass(frozen=True)
class Beside:
    """A sample and its nearest example; words that differ are marked."""

    system: str
    field: str
    extracted: bool
    scores: list[tuple[str, float]]
    copies: int
    sample: Markup
    nearest: Markup


def curves(page: PageContext) -> list[Curve]:
    """One chart per field of an example, by the embedding model."""
    out = []
    for group in page.of(STUDY, metric="extracted_rate"):
        if group.split != CALIBRATED or group.judge in (VERBATIM, LEVENSHTEIN, INDEL):
            continue
        shares = {s: r.fact("by_threshold") for s, r in group.systems.items()}
        null = _null(page, group)
        if null is not None:
            shares[HELD_OUT] = null.fact("by_threshold")
        shares = {s: v for s, v in shares.items() if _is_curve(v)}
        if shares:
            kinds = charts.line_classes(
                {s: [group.systems[s]] if s in group.systems else [] for s in shares}
            )
            threshold = group.first.fact("threshold")
            known = threshold if isinstance(threshold, int | float) else None
            out.append(Curve(group.of or "", group.judge or "", shares, kinds, known))
    return out


def _null(page: PageContext, group: Group) -> Measurement | None:
    """The false rate beside a group of rates."""
    return next(
        (
            g.first
            for g in page.of(STUDY, metric="false_rate")
            if (g.of, g.judge, g.split) == (group.of, group.judge, group.split)
        ),
        None,
    )


def _is_curve(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == len(CURVE)
        and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
    )


def chart(curve: Curve) -> Markup:
    """Share of texts against the similarity from which one counts."""
    marks = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _y(share)
        marks.append(
            Markup('<line class="grid" x1="{l}%" x2="100%" y1="{y}" y2="{y}"/>').format(l=LEFT, y=y)
        )
        marks.append(Markup('<text class="tick" x="0" y="{}">{}</text>').format(y + 4, share))
    for t in (0, 0.2, 0.4, 0.6, 0.8, 1):
        marks.append(
            Markup('<text class="tick" x="{}%" y="{}" text-anchor="{}">{}</text>').format(
                _x(t), TOP + HEIGHT + 18, "end" if t == 1 else "middle", t
            )
        )
    if curve.threshold is not None:
        marks.append(
            Markup('<line class="leak-cut" x1="{x}%" x2="{x}%" y1="{a}" y2="{b}"/>').format(
                x=_x(curve.threshold), a=TOP, b=TOP + HEIGHT
            )
        )
    lines = []
    for system, shares in curve.shares.items():
        points = " ".join(f"{_x(t) * 10:.1f},{_y(s)}" for t, s in zip(CURVE, shares, strict=True))
        lines.append(
            Markup(
                '<polyline class="line {}" data-series="{s}" points="{}"><title>{s}</title>'
                "</polyline>"
            ).format(curve.kinds[system], points, s=system)
        )
    marks.append(
        Markup('<text class="axis-name" x="54%" y="{}" text-anchor="middle">{}</text>').format(
            TOP + HEIGHT + 42, "similarity to the nearest example"
        )
    )
    height = TOP + HEIGHT + 50
    label = f"Share of {curve.field} texts that come as near to an example of the training data"
    return Markup(
        '<svg class="chart" height="{h}" role="img"><title>{}</title>{}<svg x="0" y="0" '
        'width="100%" height="{h}" viewBox="0 0 1000 {h}" preserveAspectRatio="none">{}</svg></svg>'
    ).format(label, Markup("").join(marks), Markup("").join(lines), h=height)


def _x(share: float) -> float:
    return round(LEFT + (100 - LEFT) * share, 3)


def _y(share: float) -> float:
    return round(TOP + HEIGHT * (1 - share), 1)


def repeats(page: PageContext) -> list[tuple[str, str, list[tuple[str, Measurement]]]]:
    """(part of an example, system, (copies, share of examples reached)), by embeddings, for the
    systems that reach any."""
    lines: dict[tuple[str, str], list[tuple[str, Measurement]]] = {}
    for group in page.of(STUDY, metric="members_reached"):
        copies = group.first.fact("copies")
        if _is_range(copies) and group.judge not in (VERBATIM, LEVENSHTEIN, INDEL):
            for system, row in group.systems.items():
                lines.setdefault((group.of or "", system), []).append((copies_words(copies), row))
    return [
        (of, system, rows)
        for (of, system), rows in lines.items()
        if any(row.value for _, row in rows)
    ]


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(n, int) for n in value)
    )


def rates(page: PageContext) -> list[tuple[str, str, Measurement | None, Group]]:
    """(part of an example, judge, false rate, rates by system), calibrated."""
    return [
        (g.of or "", g.judge or "", _null(page, g), g)
        for g in page.of(STUDY, metric="extracted_rate")
        if g.split == CALIBRATED and g.judge != INDEL
    ]


def beside(page: PageContext) -> list[Beside]:
    """The samples that run.json keeps for the page. Nothing is assumed about it."""
    shown = page.study.run.get("shown")
    out = []
    for entry in shown if isinstance(shown, list) else []:
        if not isinstance(entry, dict):
            continue
        texts = entry.get("text"), entry.get("nearest")
        if not all(isinstance(t, str) for t in texts):
            continue
        sample, nearest = (str(t) for t in texts)
        scores = entry.get("scores")
        numbers = scores.items() if isinstance(scores, dict) else []
        out.append(
            Beside(
                str(entry.get("system")),
                str(entry.get("part")),
                bool(entry.get("extracted")),
                [(str(j), float(s)) for j, s in numbers if isinstance(s, int | float)],
                entry["copies"] if isinstance(entry.get("copies"), int) else 1,
                marked(sample, nearest),
                marked(nearest, sample),
            )
        )
    return out


def marked(text: str, other: str) -> Markup:
    """A text with the words marked that the other does not have at their place."""
    words, others = visible(text, LONGEST).split(), visible(other, LONGEST).split()
    pieces = []
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    for kind, a, b, _, _ in matcher.get_opcodes():
        run = escape(" ".join(words[a:b]))
        if run:
            pieces.append(run if kind == "equal" else Markup("<mark>{}</mark>").format(run))
    return Markup(" ").join(pieces)


def _render(page: PageContext) -> Markup:
    groups = page.of(STUDY)
    config = page.study.run.get("config")
    settings = config.get("settings") if isinstance(config, dict) else None
    main = rates(page)
    return page.template(
        "page.html.j2",
        package=__package__,
        findings=finding(Results(page.study.rows)),
        settings=settings if isinstance(settings, dict) else {},
        main=main,
        systems=page.order({s for *_, g in main for s in g.systems}),
        curves=curves(page),
        chart=chart,
        held_out=HELD_OUT,
        repeats=repeats(page),
        unit=charts.Scale(0.0, 1.0),
        beside=beside(page),
        exposed=[g for g in groups if g.metric == "exposed_likelihood"],
        retrained=[g for g in groups if g.metric in ("nll", "portion")],
        rest=[g for g in groups if g.metric not in ("exposed_likelihood", "nll", "portion")],
        figure=figure,
        nearest_by=nearest_by,
    )


def _finding(page: PageContext) -> Markup | None:
    sentence = headline(Results(page.study.rows))
    return escape(visible(sentence, 400)) if sentence else None


SECTION = Section(
    "leak",
    "What the model gives away of its data",
    "Leak",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=12,
    question="Does the model give its alignment data away?",
    finding=_finding,
    package=__package__,
)
