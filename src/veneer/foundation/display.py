"""How objects show themselves in a notebook and at a Python prompt. Texts of models and files are
untrusted: they are escaped, and what cannot be seen is spelled out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from veneer.foundation.invisible import spelled

ROWS = 30  # of a table that a notebook shows
LONGEST = 200  # characters of a cell
_HEAD = '<th style="text-align: left">{}</th>'
_CELL = '<td style="text-align: left; vertical-align: top; white-space: pre-wrap">{}</td>'


def shown(value: Any) -> str:
    """Return a value as a text: a number with four significant digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return spelled(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> str:
    """Return the first rows as an HTML table, with the number of those that are left out."""
    head = "".join(_HEAD.format(escape(shown(c))) for c in columns)
    body = "".join(
        "<tr>" + "".join(_CELL.format(escape(shown(x))) for x in row) + "</tr>"
        for row in rows[:ROWS]
    )
    left = len(rows) - ROWS
    more = f"<p>and {left:,} more rows</p>" if left > 0 else ""
    caption = f"<p><b>{escape(shown(title))}</b></p>" if title else ""
    return (
        f"<div>{caption}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"{more}</div>"
    )


def html_facts(title: str, facts: Mapping[str, Any]) -> str:
    """Return an object's facts as an HTML table of two columns."""
    body = "".join(
        f"<tr>{_HEAD.format(escape(shown(name)))}{_CELL.format(escape(shown(value)))}</tr>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<div><p><b>{escape(shown(title))}</b></p><table><tbody>{body}</tbody></table></div>"


def line(title: str, facts: Mapping[str, Any]) -> str:
    """Return an object's facts as one line: `<System: name: veneer, model: lab:base>`."""
    parts = (
        f"{name}: {' '.join(shown(value).split())}"
        for name, value in facts.items()
        if value is not None
    )
    return f"<{title}: {', '.join(parts)}>"


class Shown(ABC):
    """Base of classes that show the facts of `_shown` in a notebook and at a prompt."""

    __slots__ = ()

    @abstractmethod
    def _shown(self) -> dict[str, Any]:
        """Return label -> value, the most important first; None is left out."""

    def __repr__(self) -> str:
        return line(type(self).__name__, self._shown())

    def _repr_html_(self) -> str:
        return html_facts(type(self).__name__, self._shown())
