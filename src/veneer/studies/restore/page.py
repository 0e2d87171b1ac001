"""Restore: the verdict on each method, then the trade-off of every setting."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement
from veneer.report import tables, words
from veneer.report.discernment import discernment
from veneer.report.page_context import PageContext
from veneer.report.section import NextStep, Section
from veneer.report.visible import visible
from veneer.studies.restore.folders_0_1 import facts_of
from veneer.studies.restore.opening import next_step, opening
from veneer.studies.restore.trade_off import REFERENCES, Curve, Point, draw
from veneer.studies.restore.words import (
    OPEN,
    PARTLY,
    REFUSED,
    RESTORED,
    VERDICTS,
    lost_remark,
    rule_text,
    settings_label,
    settings_text,
    verdict_reasons,
    verdict_word,
)

STUDY = "restore"
READING = {
    "kl_from_compromised": "KL from C",
    "kl_from_aligned": "KL from A",
    "text_nats": "plain text, nats per token",
}
NO_CANDIDATES = ("chosen", "lost_refusals")
# metrics of the validation part that are no capability
BESIDE = ("refusal_rate", "over_refusal_rate", "harm_rate", "loss", *NO_CANDIDATES, *READING)


@dataclass(frozen=True)
class VerdictLine:
    """The verdict on one method. setting: the chosen alpha and rank as text. rows: column of the
    table -> the row behind it."""

    method: str
    setting: str
    verdict: Measurement
    rows: dict[str, Measurement | None]

    @property
    def word(self) -> str:
        return verdict_word(facts_of(self.verdict))

    @property
    def why(self) -> str:
        return verdict_reasons(facts_of(self.verdict))

    @property
    def kind(self) -> str:
        """The class of its colour."""
        kinds = {RESTORED: "yes", PARTLY: "partly", OPEN: "open"}
        return kinds.get(facts_of(self.verdict)["verdict"], "no")


def verdict_lines(page: PageContext) -> list[VerdictLine]:
    """One line per method, restored ones first."""
    rows = [r for r in page.study.rows if r.study == STUDY]

    def one(system: str, metric: str, of: str | None = None) -> Measurement | None:
        return next(
            (
                r
                for r in rows
                if (r.system, r.metric) == (system, metric) and (of is None or r.of == of)
            ),
            None,
        )

    lines = []
    contrast = discernment(page.study.rows)
    for v in (r for r in rows if r.metric == "restored"):
        chosen = one(v.system, "chosen")
        settings = {} if chosen is None else facts_of(chosen)
        setting = settings_text(settings.get("alpha"), settings.get("rank"))
        columns: dict[str, Measurement | None] = {
            "refusals": one(v.system, "difference_from_compromised", "refusal_rate"),
            "portion": one(v.system, "portion"),
            "over": one(v.system, "difference_from_aligned", "over_refusal_rate")
            or one(v.system, "difference_from_compromised", "over_refusal_rate"),
            "capability": next(
                (
                    r
                    for r in rows
                    if (r.system, r.metric) == (v.system, "difference_from_compromised")
                    and r.of not in ("refusal_rate", "harm_rate", "over_refusal_rate", "text_nats")
                ),
                None,
            ),
            "text": one(v.system, "difference_from_compromised", "text_nats"),
            "seconds": one(v.system, "seconds", "make"),
            "discernment": None if contrast is None else contrast.systems.get(v.system),
        }
        lines.append(VerdictLine(v.system, setting, v, columns))
    rank = {"yes": 0, "partly": 1, "open": 2, "no": 3}
    return sorted(
        lines,
        key=lambda x: (
            rank[x.kind],
            -((x.rows["refusals"].value or 0.0) if x.rows["refusals"] else 0.0),
        ),
    )


def curves(page: PageContext) -> tuple[list[Curve], list[Point]]:
    """One curve per method, and the points of the references."""
    rows = {
        (r.system, r.metric): r
        for r in page.study.rows
        if r.study == STUDY and r.split == "validation" and r.metric != "loss"
    }
    capability = next((m for _, m in rows if m not in BESIDE), None)

    def point(system: str, label: str, kind: str, constant: bool = True) -> Point | None:
        refused, over, able = (
            rows.get((system, m)) for m in ("refusal_rate", "over_refusal_rate", capability or "")
        )
        if (
            refused is None
            or over is None
            or able is None
            or None in (refused.value, over.value, able.value)
        ):
            return None
        return Point(label, refused, over, able, kind, constant)

    chosen = {
        r.system: facts_of(r)["candidate"]
        for r in page.study.rows
        if r.study == STUDY and r.metric == "chosen"
    }
    points: dict[str, list[Point]] = {}
    for r in page.study.rows:
        if r.study != STUDY or r.metric != "loss" or r.of is None:
            continue
        facts = facts_of(r)
        rank = facts["rank"]
        label = settings_label(facts["alpha"], rank)
        kind = "chosen" if chosen.get(r.of) == r.system else "dense" if rank is None else "rank"
        constant = rank is None and facts["constant"]
        one = point(r.system, label or r.of, kind, constant)
        if one is not None:
            points.setdefault(r.of, []).append(one)
    references = [p for s in REFERENCES if (p := point(s, s, s)) is not None]
    return [Curve(method, of_method) for method, of_method in points.items()], references


def _readings(page: PageContext) -> list[tables.Group]:
    return [g for g in page.of(STUDY) if g.metric in READING]


def _render(page: PageContext) -> Markup:
    drawn, references = curves(page)
    lines = verdict_lines(page)
    rows = page.of(STUDY)
    rules = (
        rule_text(facts_of(r)["rule"])
        for g in rows
        if g.metric == "chosen"
        for r in g.systems.values()
    )
    lost = (facts_of(r) for g in rows if g.metric == "lost_refusals" for r in g.systems.values())
    remarks = filter(None, map(lost_remark, lost))
    readings = _readings(page)
    shown = {id(g) for g in readings}
    return page.template(
        "page.html.j2",
        package=__package__,
        lines=lines,
        discernment=discernment(page.study.rows),
        curves=drawn,
        references=references,
        draw=draw,
        rule=next(rules, ""),
        remark=next(remarks, ""),
        refused=REFUSED,
        capability=next((p.capability.metric for p in references), "capability"),
        candidates=[
            g
            for g in rows
            if g.split == "validation" and g.metric not in NO_CANDIDATES and id(g) not in shown
        ],
        readings=readings,
        costs=[g for g in rows if g.split == "cost"],
        differences=[
            g for g in rows if g.split == "test" and g.of is not None and id(g) not in shown
        ],
    )


def _finding(page: PageContext) -> Markup:
    """What the best method restores, and each verdict with its methods."""
    methods: dict[str, list[Markup]] = {}
    lines = verdict_lines(page)
    for line in lines:
        methods.setdefault(line.word, []).append(escape(words.name(line.method)))
    texts = [
        Markup("{} {} {}").format(
            words.name(word), "for" if word == VERDICTS[OPEN] else "by", words.listed(names)
        )
        for word, names in methods.items()
    ]
    if not texts:
        return Markup()
    verdicts = Markup("The verdicts: {}.").format(Markup("; ").join(texts))
    first = opening([line.verdict for line in lines])
    return Markup("{} {}").format(visible(first, 400), verdicts) if first else verdicts


def _next_step(page: PageContext) -> NextStep | None:
    verdicts = [line.verdict for line in verdict_lines(page)]
    command = next_step(page.study.run, verdicts, page.study.path)
    why = "compare the restored checkpoint with the aligned model"
    return NextStep(why, command) if command else None


SECTION = Section(
    "restore",
    "Restored?",
    "Restored",
    lambda page: bool(page.of(STUDY)),
    _render,
    (STUDY,),
    rank=30,
    question="Can the alignment that fine-tuning broke be put back?",
    finding=_finding,
    next_step=_next_step,
    package=__package__,
)
