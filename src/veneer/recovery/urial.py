"""URIAL's three fixed examples (Lin et al. 2023, arXiv 2312.01552).

They stand in systems/urial/inst_1k.txt, URIAL's own file, which the second paper took its examples from.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

from veneer.recovery.in_context import Example

_BLOCK = re.compile(r"# Query:\n```\n?(.*?)\n?```\s*\n# Answer:\n```\n(.*?)\n```", re.DOTALL)
# Lake, Choi and Durrett's stored prompts differ from the file in these two places.
_PUBLISHED = (("unethical.\nIs there", "unethical.\n\nIs there"), ("more efficiently.", "more efficiently,"))


@functools.cache
def urial_examples(*, published: bool = False) -> tuple[Example, ...]:
    """The three examples without white space at line ends; `published` as they stand in the second paper's prompts."""
    text = (resources.files("veneer.systems") / "urial" / "inst_1k.txt").read_text(encoding="utf-8")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    for mine, theirs in _PUBLISHED if published else ():
        if text.count(mine) != 1:
            raise ValueError(f"inst_1k.txt holds {mine!r} {text.count(mine)} times")
        text = text.replace(mine, theirs)
    return tuple(Example(query, answer) for query, answer in _BLOCK.findall(text))
