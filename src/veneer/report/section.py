"""A section of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from veneer.report.page_context import PageContext


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page for one study folder; `sections/__init__.py` says how to add one.

    key: end of the section's id and of its file names. title: its heading. menu: its name in the
    page's navigation. applies: whether the folder has anything for it. render: what stands below
    the heading. studies: the `study` of rows that are shown here and hence not under "More
    measurements". last: rendered after all others, into the room they leave. rank: its place on the
    page, from the top; the shared sections (`sections/__init__.py`) stand at 40, 50, 80, 90, ...
    question: the title of a page on which this section leads. finding: the sentence below that
    title, or None to leave it to the next section. package: where the section's own page.css and
    page.js are, if it has any.
    """

    key: str
    title: str
    menu: str
    applies: Callable[[PageContext], bool]
    render: Callable[[PageContext], Markup]
    studies: tuple[str, ...] = ()
    last: bool = False
    rank: int = 70
    question: str | None = None
    finding: Callable[[PageContext], Markup | None] | None = None
    package: str | None = None
