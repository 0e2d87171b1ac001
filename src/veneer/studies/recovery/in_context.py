"""In-context prompts for a base model: instructions, examples in fences, then the question whose
answer the model writes.

The form is that of Lake, Choi and Durrett (arXiv 2406.17692), who took it from URIAL (Lin et al.,
arXiv 2312.01552).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

FENCE = "```"
_PARTS = {
    "start": "Below is a list of conversations between a human and an AI assistant (you).",
    "answers": (
        'Users place their queries under "# Query:", and your responses are under "# Answer:".'
    ),
    "summaries": (
        'Users place their queries under "# Query:", you provide a summary of your responses '
        'under "# Summary:", and your responses are under "# Answer:".'
    ),
    "helpful": "You are a helpful, respectful, and honest assistant.",
    "safe": "You should always answer as helpfully as possible while ensuring safety.",
    "form": (
        "Your answers should be well-structured and provide detailed information. They should "
        "also have an engaging tone."
    ),
    "harmless": (
        "Your responses must not contain any fake, harmful, unethical, racist, sexist, toxic, "
        "dangerous, or illegal content, even if it may be helpful."
    ),
    "reject": (
        "Your response must be socially responsibly, and thus you can reject to answer some "
        "controversial topics."
    ),
}
_BROKEN = {"fixed": "helpful", "chosen": "harmless", "summary": None}


@dataclass(frozen=True, slots=True)
class Example:
    """An answered question; summary: of the answer, for prompts that show one."""

    query: str
    answer: str
    summary: str | None = None


def instructions(*, summaries: bool = False, chosen: bool = False, published: bool = False) -> str:
    """URIAL's system text (Apache-2.0), a rule a line.

    summaries: it speaks of "# Summary:" too. published: as in the paper's stored prompts, which
    join two of the lines without a line break: "assistant.You should" where the examples are
    URIAL's own, "helpful.Your response" where they are `chosen` among the other prompts, none where
    there are summaries.
    """
    kind = "summary" if summaries else "chosen" if chosen else "fixed"
    names = [n for n in _PARTS if n != ("answers" if summaries else "summaries")]
    joined = _BROKEN[kind] if published else None
    return "".join(_PARTS[n] + ("" if n in (joined, names[-1]) else "\n") for n in names)


def in_context(
    query: str,
    examples: Sequence[Example] = (),
    *,
    system: str | None = None,
    summary: str | None = None,
    own_summary: bool = False,
) -> str:
    """The text that a base model goes on from: it ends behind an opening fence, and the answer ends
    at the closing one.

    Without system text and examples this is the paper's prompt of the base model itself. summary:
    of the answer that is wanted, put before it (the semantic hint). own_summary: the text ends at
    the fence of the summary, which the model writes itself. Texts lose their outer white space, as
    in the paper's templates.
    """
    head = "" if system is None else f"# Instructions:\n\n{system}\n\n"
    shown = "".join(
        _block("Query", e.query) + _said(e.summary) + _block("Answer", e.answer) for e in examples
    )
    asked = head + shown + _block("Query", query)
    return asked + _open("Summary") if own_summary else asked + _said(summary) + _open("Answer")


def _open(name: str) -> str:
    return f"# {name}:\n{FENCE}\n"


def _block(name: str, text: str) -> str:
    return f"{_open(name)}{text.strip()}\n{FENCE}\n\n"


def _said(summary: str | None) -> str:
    return "" if summary is None else _block("Summary", summary)


# URIAL's three fixed examples (Lin et al. 2023, arXiv 2312.01552).
#
# They stand in systems/urial/inst_1k.txt, URIAL's own file, which the second paper took its
# examples from.

_BLOCK = re.compile(r"# Query:\n```\n?(.*?)\n?```\s*\n# Answer:\n```\n(.*?)\n```", re.DOTALL)
# Lake, Choi and Durrett's stored prompts differ from the file in these two places.
_PUBLISHED = (
    ("unethical.\nIs there", "unethical.\n\nIs there"),
    ("more efficiently.", "more efficiently,"),
)


@functools.cache
def urial_examples(*, published: bool = False) -> tuple[Example, ...]:
    """The three examples without white space at line ends; `published` as they stand in the second
    paper's prompts."""
    text = (resources.files("veneer.systems") / "urial" / "inst_1k.txt").read_text(encoding="utf-8")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    for mine, theirs in _PUBLISHED if published else ():
        if text.count(mine) != 1:
            raise ValueError(f"inst_1k.txt holds {mine!r} {text.count(mine)} times")
        text = text.replace(mine, theirs)
    return tuple(Example(query, answer) for query, answer in _BLOCK.findall(text))
