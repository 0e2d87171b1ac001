"""Depth: refusals by the number of forced tokens, base behind a forced refusal, where the systems
differ behind a prefix, and answers side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement, Results
from veneer.report import charts
from veneer.report.marks import mark
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.visible import visible
from veneer.report.words import interval
from veneer.studies.depth.names import ALL, HARMFUL_PREFIX, REFUSAL_PREFIX, STUDY
from veneer.studies.depth.settings import Count
from veneer.studies.depth.words import (
    Rates,
    basis,
    depth_words,
    finding,
    headline,
    rates,
    tokens_words,
)

HEIGHT, TOP, LEFT = 240, 14, 6  # plot and room above it, px; room left of it, % of the width
LONGEST = 500  # characters of a text on the page
SHOWN = ("refusal_rate", "portion", "harm_rate", "well_formed", "half_depth")


@dataclass(frozen=True)
class Lines:
    """Shares by the number of forced tokens. kinds: name -> CSS classes of its line."""

    rows: Rates
    kinds: Mapping[str, str]
    label: str

    @property
    def counts(self) -> list[Count]:
        return list(dict.fromkeys(k for by_count in self.rows.values() for k in by_count))


@dataclass(frozen=True)
class Answer:
    """One system's answer behind a prefix. beginning: the forced text; rest: what it added."""

    forced: Count
    system: str
    beginning: str
    rest: str
    refused: bool


def lines(page: PageContext, prefix: str, label: str) -> Lines | None:
    """The lines of a chart, None without rows; systems (or sets of prompts) in reading order."""
    rows = rates(Results(page.study.rows), prefix)
    if not rows:
        return None
    harmful = prefix == HARMFUL_PREFIX
    order = page.order(rows) if harmful else list(rows)
    series = {name: list(rows[name].values()) if harmful else [] for name in order}
    return Lines({name: rows[name] for name in order}, charts.line_classes(series), label)


def chart(page: PageContext, shown: Lines) -> Markup:
    """Share of refusals against the number of forced tokens, each tested number at equal
    distance; 95 % intervals as bands."""
    counts = shown.counts
    x = {k: LEFT + (100 - LEFT) * (0.5 + i) / len(counts) for i, k in enumerate(counts)}
    bands, paths, dots = [], [], []
    for name, by_count in shown.rows.items():
        known = [(k, r) for k, r in by_count.items() if r.value is not None]
        kind = shown.kinds[name]
        bands.append(_band(name, known, x, kind))
        points = " ".join(f"{x[k] * 10:.1f},{_y(r.value or 0)}" for k, r in known)
        paths.append(
            Markup('<polyline class="line {}" data-series="{}" points="{}"/>').format(
                kind, name, points
            )
        )
        dots += [_dot(page, name, k, r, x[k], kind) for k, r in known]
    height = TOP + HEIGHT + 50
    return Markup(
        '<svg class="chart" height="{h}" role="img"><title>{}</title>{}<svg x="0" y="0" '
        'width="100%" height="{h}" viewBox="0 0 1000 {h}" preserveAspectRatio="none">{}</svg>{}'
        "</svg>"
    ).format(shown.label, _axes(x), Markup("").join(bands + paths), Markup("").join(dots), h=height)


def _band(
    name: str, known: Sequence[tuple[Count, Measurement]], x: Mapping[Count, float], kind: str
) -> Markup:
    ranged = [(k, r) for k, r in known if r.low is not None and r.high is not None]
    upper = [f"{x[k] * 10:.1f},{_y(r.high or 0)}" for k, r in ranged]
    lower = [f"{x[k] * 10:.1f},{_y(r.low or 0)}" for k, r in reversed(ranged)]
    return Markup('<polygon class="band {}" data-series="{}" points="{}"/>').format(
        kind, name, " ".join(upper + lower)
    )


def _dot(page: PageContext, name: str, k: Count, row: Measurement, x: float, kind: str) -> Markup:
    title = f"{name}, {tokens_words(k)}: {row.value:.2f}, 95 % {interval(row, 2)}, n = {row.n}"
    return Markup(
        '<a href="#{}" tabindex="-1" class="{}" data-series="{}">{}<title>{}</title></a>'
    ).format(
        page.anchor(row),
        kind,
        name,
        mark(_identity(row, name), f"{x:.3f}%", _y(row.value or 0), 4),
        title,
    )


def _identity(row: Measurement, name: str) -> Any:
    """What gives a line its mark: a system, or the name of a set of prompts."""
    return row.identity if row.fact("prefix") == HARMFUL_PREFIX else name


def _axes(x: Mapping[Count, float]) -> Markup:
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            Markup(
                '<line class="grid" x1="{}%" x2="100%" y1="{y}" y2="{y}"/>'
                '<text class="tick" x="0" y="{}">{}</text>'
            ).format(LEFT, _y(share) + 4, share, y=_y(share))
        )
    for k, at in x.items():
        parts.append(
            Markup('<text class="tick" x="{:.3f}%" y="{}" text-anchor="middle">{}</text>').format(
                at, TOP + HEIGHT + 18, k
            )
        )
    parts.append(
        Markup('<text class="axis-name" x="53%" y="{}" text-anchor="middle">{}</text>').format(
            TOP + HEIGHT + 42, "forced tokens"
        )
    )
    return Markup("").join(parts)


def _y(share: float) -> float:
    return round(TOP + HEIGHT * (1 - share), 1)


def kl_charts(page: PageContext) -> list[tuple[Count, Markup, list[str]]]:
    """(number of forced tokens, chart, its systems) of KL by position behind the prefix."""
    out = []
    rows = [r for r in page.study.rows if r.study == STUDY and r.metric == "kl" and r.position]
    for k in dict.fromkeys(r.fact("forced") for r in rows):
        own = [r for r in rows if r.fact("forced") == k]
        series = {s: [r for r in own if r.system == s] for s in page.order({r.system for r in own})}
        label = f"KL of the aligned model against each system after {tokens_words(k)}"
        drawn = charts.positions(
            series, label, log=True, chart_id=f"{page.prefix}-depth-kl-{k}", anchor=page.anchor
        )
        out.append((k, drawn, list(series)))
    return out


def examples(page: PageContext) -> list[tuple[str, list[Answer]]]:
    """(prompt, answers) that run.json keeps for the page. Nothing is assumed about it."""
    shown = page.study.run.get("shown")
    out: dict[str, list[Answer]] = {}
    for entry in shown if isinstance(shown, list) else []:
        if not isinstance(entry, dict):
            continue
        texts = [entry.get(name) for name in ("prompt", "system", "beginning", "text")]
        forced = entry.get("forced")
        if not all(isinstance(t, str) for t in texts) or not isinstance(forced, int | str):
            continue
        prompt, system, beginning, text = (str(t) for t in texts)
        rest = text.removeprefix(beginning)
        answer = Answer(forced, system, beginning, rest, entry.get("refused") is True)
        out.setdefault(prompt, []).append(answer)
    return [(prompt, _chosen(answers)) for prompt, answers in out.items()]


def _chosen(answers: Sequence[Answer]) -> list[Answer]:
    """Those behind no token, the fewest tokens and the most."""
    counts = list(dict.fromkeys(a.forced for a in answers))
    kept = {*counts[:2], *counts[-1:]}
    return [a for a in answers if a.forced in kept]


def _render(page: PageContext) -> Markup:
    groups = page.of(STUDY)
    results = Results(page.study.rows)
    halves = {r.system: r for r in results.where(study=STUDY, metric="half_depth")}
    return page.template(
        "page.html.j2",
        package=__package__,
        findings=finding(results, page.study.run),
        harmful=lines(page, HARMFUL_PREFIX, "Refusals by the number of forced tokens"),
        forced_refusal=lines(page, REFUSAL_PREFIX, "Refusals of base after a forced refusal"),
        chart=lambda shown: chart(page, shown),
        halves=halves,
        depth_words=depth_words,
        basis=basis,
        tokens_words=tokens_words,
        kl=kl_charts(page),
        floor=next((r for r in page.study.rows if (r.study, r.split) == (STUDY, "noise")), None),
        examples=examples(page),
        longest=LONGEST,
        all=ALL,
        main=[g for g in groups if g.metric in SHOWN],
        rest=[g for g in groups if g.metric not in SHOWN],
    )


def _finding(page: PageContext) -> Markup | None:
    sentence = headline(Results(page.study.rows))
    return escape(visible(sentence, 600)) if sentence else None


SECTION = Section(
    "depth",
    "How deep the refusals are",
    "Depth",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=11,
    question="How deep are the refusals?",
    finding=_finding,
    package=__package__,
)
