"""A section of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from veneer.report.page_context import PageContext


class NextStep(NamedTuple):
    """What a reader may do next: `why`, in words that follow "Next,", and the command for it."""

    why: str
    command: str


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page for one study folder; `sections/__init__.py` says how to add one.

    key: end of the section's id and of its file names. title: its heading. menu: its name in the
    page's navigation. applies: whether the folder has anything for it. render: what stands below
    the heading. studies: the `study` of rows that are shown here and hence not under "More
    measurements". last: rendered after all others, into the room they leave. rank: its place on the
    page, from the top; the shared sections (`sections/__init__.py`) stand at 40, 50, 80, 90, ...
    question: the title of a page on which this section leads. finding: the sentence below that
    title, or None to leave it to the next section. next_step: the command below that sentence.
    models: (role, its name on the page, the model's name) of each model, where they are not base,
    aligned and compromised. package: where the section's own page.css and
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
    next_step: Callable[[PageContext], NextStep | None] | None = None
    models: Callable[[PageContext], list[tuple[str, str, str]]] | None = None
    package: str | None = None
