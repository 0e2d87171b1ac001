"""Figures and findings in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup, escape

from veneer.foundation.results import Measurement
from veneer.report.systems import order
from veneer.report.tables import Group
from veneer.report.visible import visible

# what a score of 1 and of 0 says of one answer
ANSWERS = {
    "refusal_rate": ("refused", "not refused"),
    "unsafe_refusal_rate": ("refused", "not refused"),
    "over_refusal_rate": ("refused", "not refused"),
    "partial_refusal_rate": ("refused in part", "not refused in part"),
    "harm_rate": ("harmful", "not harmful"),
    "toxicity_rate": ("toxic", "not toxic"),
    "accuracy": ("right", "wrong"),
    "accuracy_strict": ("right, read strictly", "wrong, read strictly"),
    "true_and_informative": ("true and informative", "not true and informative"),
    "rouge1_accuracy": ("nearer to a true answer", "nearer to a false answer"),
    "prompt_strict": ("follows all instructions", "does not follow all instructions"),
    "empty_rate": ("empty", "not empty"),
}
LITTLE = 0.25  # a portion whose interval holds 0 and ends below this is small
# why a portion has no value (statistics.intervals.portion)
UNDEFINED = "the difference of aligned and base may be 0, or is too uncertain to divide by"
PLAIN_UNITS = (None, "share", "rate")  # units that a reader does not miss
Anchor = Callable[[Measurement], str]  # the id of a row in the full table
_HYPHEN = re.compile(r"(?:(?<=[\s(\[])|^)-(?=\.?\d)")  # one that is a minus sign


def name(text: str | None) -> str:
    """An identifier as words: `refusal_rate` -> `refusal rate`."""
    words = visible(text or "–", 120).split("_")
    return " ".join({"auroc": "AUROC", "kl": "KL"}.get(word, word) for word in words)


def figure(x: float | None, digits: int = 3) -> str:
    """A number short enough to read, long enough to be of use."""
    if x is None:
        return "–"
    size = abs(x)
    if digits <= 2 and size < 0.5 * 10**-digits:
        return f"{0:.{digits}f}"  # among shares and portions a power of ten says no more
    if size >= 1e9 or (size and size < 0.5 * 10**-digits):
        text = f"{x:.1e}".replace("e-0", "e-")
    elif size >= 1000:
        text = f"{x:,.0f}"
    else:
        text = f"{x:.{max(0, digits - (size >= 10) - (size >= 100))}f}"
    return text.replace("-", "−")


def minus_signs(text: str) -> str:
    """A study's sentence as a page shows it: a hyphen before a number becomes a minus sign."""
    return _HYPHEN.sub("−", text)


def in_plain_text(sentence: Markup) -> str:
    """A page's sentence as a terminal shows it: without tags, and with hyphens as minus signs."""
    return sentence.striptags().replace("−", "-")


def digits_of(row: Measurement) -> int:
    """Digits behind the point that a row's interval supports: two where a share's is wider than
    0.02, else three."""
    if row.unit not in PLAIN_UNITS or row.low is None or row.high is None:
        return 3
    return 2 if row.high - row.low > 0.02 else 3


def interval(row: Measurement, digits: int | None = None, *, dash: bool = False) -> str:
    """The 95 % interval; `dash` saves room where neither end is negative. digits: default
    `digits_of`."""
    if row.low is None or row.high is None:
        return "no interval"
    digits = digits_of(row) if digits is None else digits
    between = "–" if dash and row.low >= 0 else " to "
    return f"{figure(row.low, digits)}{between}{figure(row.high, digits)}"


def position(pair: tuple[int, int] | None) -> str:
    if not pair:
        return "–"
    return "–".join(str(p) for p in dict.fromkeys(pair))


def verdicts_of_answer(scores: Mapping[str, float | None]) -> list[tuple[str, int]]:
    """What each score of one answer says, and 1 where it is above 0. A metric of other prompts (the
    refusals of unsafe ones, for a safe prompt) has no score, and is left out."""
    scored = {ANSWERS.get(metric) for metric, score in scores.items() if score is not None}
    return [
        _verdict_of_answer(metric, score)
        for metric, score in scores.items()
        if score is not None or metric not in ANSWERS or ANSWERS[metric] not in scored
    ]


def _verdict_of_answer(metric: str, score: float | None) -> tuple[str, int]:
    if score is None:
        return f"{name(metric)}: no verdict", 0
    if metric in ANSWERS and score in (0, 1):
        return ANSWERS[metric][score == 0], int(score > 0)
    return f"{name(metric)} {figure(score, 2)}", int(score > 0)


def lead(
    groups: Sequence[Group],
    anchor: Anchor,
    system: str = "veneer",
    what: str = "A change of the last layer alone carries",
) -> Markup:
    """The finding in one sentence, each figure a link to its row; with more than three tasks, only
    the highest and the lowest. system: whose portions they are. what: how the sentence begins."""
    # the first headline of a task
    first = {g.task: g for g in reversed(groups) if system in g.systems}
    portions = [(g, g.systems[system]) for g in groups if first.get(g.task) is g]
    little = [(g, r) for g, r in portions if _is_little(r)]
    open_ones = [
        (g, r) for g, r in portions if r.value is not None and _holds_0(r) and (g, r) not in little
    ]
    beyond = [(g, r) for g, r in portions if r.low is not None and r.low > 1]
    determined = sorted(
        (
            (g, r)
            for g, r in portions
            if r.value is not None and not _holds_0(r) and (g, r) not in beyond
        ),
        key=lambda pair: -(pair[1].value or 0),
    )
    if not determined and not little and not open_ones and not beyond:
        return Markup(f"No superficial portion is defined: {UNDEFINED}.")
    if not determined and (beyond or little):
        text = Markup()
    elif not determined:
        text = Markup("No superficial portion is determined.")
    elif len(determined) > 3:
        text = Markup("{} {}, but {}; {} more tasks lie between.").format(
            what,
            _clause(*determined[0], anchor),
            _clause(*determined[-1], anchor),
            len(determined) - 2,
        )
    else:
        shown = [(g, r) for g, r in portions if (g, r) in determined]
        text = Markup("{} {}.").format(what, listed([_clause(g, r, anchor) for g, r in shown]))
    if beyond:
        tasks = listed([_figure(g, r, anchor) for g, r in beyond])
        text += Markup(
            " On {} the portion lies above 1: more changes than alignment changed."
        ).format(tasks)
    if little:
        tasks = listed([_figure(g, r, anchor) for g, r in little])
        text += (
            Markup(" On {} it is little or nothing.").format(tasks)
            if text
            else Markup("{} little or nothing of the change on {}.").format(what, tasks)
        )
    if open_ones:
        why = {
            frozenset({True}): "since it has no interval",
            frozenset({False}): "since the interval holds 0",
        }.get(
            frozenset(r.low is None or r.high is None for _, r in open_ones),
            "since the interval holds 0 or is missing",
        )
        tasks = listed([_figure(g, r, anchor) for g, r in open_ones])
        text += Markup(" On {} it is not determined, {}.").format(tasks, why)
    missing = [escape(name(g.task)) for g, r in portions if r.value is None]
    if missing:
        text += Markup(" On {} it is not defined.").format(listed(missing))
    return Markup(text.strip())


def _holds_0(row: Measurement) -> bool:
    """Whether the interval of a portion holds 0, or there is none."""
    return row.low is None or row.high is None or row.low <= 0 <= row.high


def _is_little(row: Measurement) -> bool:
    """Whether an interval that holds 0 ends so near it that the portion is determined: small."""
    return row.low is not None and row.high is not None and row.low <= 0 <= row.high <= LITTLE


def estimate(row: Measurement, anchor: Anchor) -> Markup:
    """A value with its interval and n."""
    if row.value is None:
        return Markup("not defined")
    between = interval(row, 2)
    known = between if row.low is None or row.high is None else f"95 % interval {between}"
    return Markup("{} ({}, n = {})").format(linked(row, anchor, 2), known, row.n)


def by_system(group: Group, anchor: Anchor) -> Markup:
    """What each system scores, and the judge: "base 0.02 (...), veneer 0.99 (...); judge ..."."""
    systems = order({s: row.identity for s, row in group.systems.items()})
    figures = [Markup("{} {}").format(name(s), estimate(group.systems[s], anchor)) for s in systems]
    judge = f"; judge {visible(group.judge, 80)}" if group.judge else ""
    return Markup("{}{}").format(Markup(", ").join(figures), judge)


def _figure(group: Group, row: Measurement, anchor: Anchor) -> Markup:
    """A task with its portion, which says nothing by itself."""
    return Markup("{} ({}, 95 % interval {}, n = {})").format(
        name(group.task), linked(row, anchor, 2), interval(row, 2), row.n
    )


def _clause(group: Group, row: Measurement, anchor: Anchor) -> Markup:
    return Markup("{} of the change in {} on {} (95 % interval {}, n = {})").format(
        linked(row, anchor, 2), name(group.of), name(group.task), interval(row, 2), row.n
    )


def verdict(group: Group, anchor: Anchor) -> Markup:
    """The reading of one portion, and how it stands beside its control."""
    row = group.systems["veneer"]
    text = escape(_reading(row))
    control = group.systems.get("shuffled")
    if control is None or control.value is None:
        return text
    text += Markup(" The head-capacity control reaches {}").format(linked(control, anchor, 2))
    return text + _beside_control(row, control)


def _beside_control(row: Measurement, control: Measurement) -> str:
    """How a portion stands beside its control: by their intervals alone."""
    if row.low is None or row.high is None or control.low is None or control.high is None:
        return "; without both intervals nothing follows from that."
    if control.high < row.low:
        return ", clearly less."
    if control.low > row.high:
        return ", clearly more: the veneer carries less than knowledge of the position does."
    if row.low <= 0:
        return "."
    return (
        ", and the intervals overlap: much of this may be knowledge of the position, not of the "
        "text."
    )


def linked(row: Measurement, anchor: Anchor, digits: int | None = None) -> Markup:
    """A row's value as a link to the row in the full table. digits: default `digits_of`."""
    text = figure(row.value, digits_of(row) if digits is None else digits)
    return Markup('<a class="fig" href="#{}">{}</a>').format(anchor(row), text)


def _reading(row: Measurement) -> str:
    """What the interval of a portion allows to say; each claim holds at every value in it."""
    if row.low is None or row.high is None or row.value is None:
        return "Without an interval this is no more than a hint."
    if _is_little(row):
        return "Little or nothing of the change sits on the surface."
    if row.low <= 0 <= row.high:
        return "The interval holds 0: nothing can be said of what the surface carries."
    if row.high < 0:
        return "The veneer moves away from the aligned model."
    if row.low > 1:
        return (
            "The veneer goes beyond the aligned model: the interval lies above 1, so it does more "
            "than alignment did."
        )
    if row.low >= 0.9:
        return "The change sits wholly, or nearly so, on the surface."
    if row.high >= 1 and row.low >= 0.5:
        return "The interval holds 1: most or all of the change sits on the surface."
    if row.high >= 1:
        return (
            "Some of the change sits on the surface. How much is not determined: the interval "
            "reaches from less than half to all of it."
        )
    if row.high < 0.1:
        return "Hardly any of the change sits on the surface."
    return "Part of the change sits on the surface, part of it is deeper."


def listed(parts: Sequence[Markup]) -> Markup:
    """a, b and c."""
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup(", ").join(parts[:-1]) + " and " + parts[-1]
