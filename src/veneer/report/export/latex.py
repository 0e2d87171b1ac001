"""The tables of a paper: LaTeX with the package booktabs, and nothing that a name could break."""

from __future__ import annotations

import re
from collections.abc import Sequence

from veneer.foundation.results import Measurement
from veneer.report import tables
from veneer.report.systems import family
from veneer.report.visible import visible
from veneer.report.words import UNDEFINED, figure

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "−": "$-$",
    "–": "--",
    "…": r"\ldots{}",
    "[": "{[}",
    "]": "{]}",
    "\n": " ",
    "\t": " ",
}


def escape(text: str, limit: int = 200) -> str:
    """Any text as LaTeX that typesets it; what cannot be seen, or needs another
    font, by its number."""
    shown = re.sub(r"⟨(U\+[0-9A-F]+)⟩", r"\1", visible(text, limit))
    return "".join(
        _SPECIAL.get(c)
        or (c if c.isascii() or (c.isalpha() and ord(c) < 0x250) else f"U+{ord(c):04X}")
        for c in shown
    )


def main_table(groups: Sequence[tables.Group]) -> str:
    """Each system by task: the figure, its interval, and in brackets the portion. Empty where
    nothing was measured."""
    heads = tables.headlines(groups)
    if not heads:
        return ""
    identities = tables.identities(h.values for h in heads)
    systems = tables.columns(h.values for h in heads)
    lines = [
        _row(["", *(_centred(escape(h.values.task)) for h in heads)]),
        _row(["System", *(_centred(escape(_words(h.values.metric))) for h in heads)]),
        r"\midrule",
    ]
    for before, system in zip([None, *systems], systems, strict=False):
        if before is not None and family(identities[before]) != family(identities[system]):
            lines.append(r"\addlinespace")
        lines.append(_row([escape(system), *(_main_cell(h, system) for h in heads)]))
    sizes = "; ".join(
        f"{escape(h.values.task)}: $n = {h.values.n}$" + _judged(h.values.judge) for h in heads
    )
    caption = (
        "Each system by task with 95\\,\\% intervals; in brackets the portion (system $-$ base) "
        f"/ (aligned $-$ base). {sizes}."
    )
    return _table("l" + "r" * len(heads), lines, caption, "main")


def portion_table(groups: Sequence[tables.Group]) -> str:
    """The veneer's portion by task, beside that of the head-capacity control."""
    lead = tables.headline(groups)
    if not lead:
        return ""
    lines = [
        _row(["Task", "Metric", "$n$", "Veneer", "Head-capacity control", "Judge"]),
        r"\midrule",
    ]
    for g in lead:
        row, control = g.systems["veneer"], g.systems.get("shuffled")
        judge = escape(g.judge) if g.judge else "--"
        lines.append(
            _row(
                [
                    escape(g.task),
                    escape(_words(g.of or "")),
                    g.n,
                    _cell(row, 2),
                    _cell(control, 2),
                    judge,
                ]
            )
        )
    caption = (
        "Superficial portion: (veneer $-$ base) / (aligned $-$ base), with 95\\,\\% intervals; "
        f"n.d.\\ where {UNDEFINED}."
    )
    return _table("llrrrl", lines, caption, "portions")


def cross_table(groups: Sequence[tables.Group]) -> str:
    """Portions of veneers extracted on one task (lines) and measured on another (columns)."""
    columns = tables.cross(groups)
    if not columns:
        return ""
    sources = list(dict.fromkeys(s for _, rows in columns for s in rows))
    lines = [
        _row(["Extracted on", *(_centred(f"{escape(g.task)}") for g, _ in columns)]),
        r"\midrule",
    ]
    lines += [_row([escape(s), *(_cell(rows.get(s), 2) for _, rows in columns)]) for s in sources]
    caption = (
        "Portion of a veneer extracted on one task and measured on another, with "
        "95\\,\\% intervals."
    )
    return _table("l" + "r" * len(columns), lines, caption, "cross")


def _main_cell(head: tables.Headline, system: str) -> str:
    text = _cell(head.values.systems.get(system), 3)
    portion = head.portions.systems.get(system) if head.portions else None
    return (
        text
        if portion is None or portion.value is None
        else f"{text} ({_number(portion.value, 2)})"
    )


def _cell(row: Measurement | None, digits: int) -> str:
    if row is None:
        return "--"
    if row.value is None:
        return "n.d."
    text = _number(row.value, digits)
    if row.low is None or row.high is None:
        return text
    return f"{text} {{\\scriptsize [{_number(row.low, digits)}, {_number(row.high, digits)}]}}"


def _number(x: float, digits: int) -> str:
    return escape(figure(x, digits))


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _judged(judge: str | None) -> str:
    return f", judged by {escape(judge)}" if judge else ""


def _centred(text: str) -> str:
    return f"\\multicolumn{{1}}{{c}}{{{text}}}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _table(columns: str, lines: Sequence[str], caption: str, label: str) -> str:
    body = "\n".join([r"\toprule", *lines, r"\bottomrule"])
    return (
        "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}\n"
        f"\\begin{{table}}\n\\centering\n\\small\n\\begin{{tabular}}{{{columns}}}\n{body}\n"
        f"\\end{{tabular}}\n"
        f"\\caption{{{caption}}}\n\\label{{tab:{label}}}\n\\end{{table}}\n"
    )
