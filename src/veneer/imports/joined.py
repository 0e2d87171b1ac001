"""One id for one prompt in several files of answers, so that their answers can be compared.

A prompt is known by its text. Files number prompts in their own order, so an id decides only where
it is a name: a file of its own ids, whose texts are unknown or stand within a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.text import one_line
from veneer.imports.imported import Imported
from veneer.prompts.clusters import same_text
from veneer.prompts.prompt import Prompt


def join_answers(
    files: Mapping[str, Imported], given: Sequence[Prompt] = (), source: str = ""
) -> list[str]:
    """Give the prompts and answers of every file (name -> file) the ids that the prompts of the
    same text have in the others, and return sentences on what was noticed. given: prompts read from
    `source`, which must hold every prompt that was answered; their ids and texts then count.

    Raises InputError for an answer that has no prompt among the given ones, for one id that stands
    for two prompts, and where numbers of lines would have to be taken for ids.
    """
    joined = _Joined(given, source)
    # files that number their prompts come last: their ids are no names
    for name, file in sorted(files.items(), key=lambda item: item[1].numbered):
        joined.add(name, file)
    return joined.notes


@dataclass(frozen=True)
class _Known:
    """A prompt known so far. prompt: None where its text is unknown. where: the file that has it.
    named: whether its id is a name and no number of a line."""

    prompt: Prompt | None
    where: str
    named: bool


class _Joined:
    def __init__(self, given: Sequence[Prompt], source: str):
        self.given, self.source = bool(given), source
        self.known: dict[str, _Known] = {}
        self.by_text: dict[Any, list[str]] = {}
        self.notes: list[str] = []
        for prompt in given:
            self._know(prompt.id, _Known(prompt, source, True))

    def add(self, name: str, file: Imported) -> None:
        own = {p.id: p for p in file.prompts}
        ids = self._by_text(file.prompts)
        # one text under another id shows that the file has names of its own
        named = not file.numbered and all(old == new for old, new in ids.items())
        framed = 0
        for id in dict.fromkeys([*own, *(r.prompt_id for r in file.responses)]):
            prompt = own.get(id)
            if id not in ids:
                new = _Known(prompt, file.source, named or prompt is None)
                ids[id], inside = self._by_id(id, new)
                framed += inside
                if (before := self.known.get(ids[id])) is None or before.prompt is None:
                    self._know(ids[id], new)
        file.rename(ids)
        if framed:
            self.notes.append(
                f"{name}: {framed} prompts have the ids of other prompts whose texts they contain, "
                "or that contain theirs; they are taken for the same in a template"
            )

    def _by_text(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        """Return the id in a file -> the known prompt's of the same text. Of several with one text,
        the one of the same id counts, otherwise the first that is free."""
        own_to_known: dict[str, str] = {}
        taken: set[str] = set()
        for prompt in prompts:
            ids = next((ids for key in _keys(prompt) if (ids := self.by_text.get(key))), [])
            free = [i for i in ids if i not in taken]
            if free:
                own_to_known[prompt.id] = prompt.id if prompt.id in free else free[0]
                taken.add(own_to_known[prompt.id])
        return own_to_known

    def _by_id(self, id: str, new: _Known) -> tuple[str, bool]:
        """Return the id of a prompt whose text no other file has, and whether it is a known prompt
        within a template."""
        before = self.known.get(id)
        if self.given and (before is None or not new.named):
            text = "" if new.prompt is None else f" ({new.prompt.text[:60]!r})"
            raise InputError(
                f"{new.where} answers the prompt {id!r}{text}, and {self.source} has none with "
                f"that {'id' if new.prompt is None else 'text'}; give the prompts that were "
                "answered"
            )
        if before is None:
            return id, False
        if not (new.named and before.named):
            if new.prompt is None or before.prompt is None:
                raise InputError(
                    f"{before.where} and {new.where} have the id {id!r}, and it is the number of a "
                    "line in one of them and stands without its prompt in the other; give the "
                    "prompts of both with --prompts, or their ids in both files"
                )
            return f"{new.where}:{id}", False
        if new.prompt is None or before.prompt is None:
            return id, False
        if not one_within_the_other(new.prompt, before.prompt):
            raise InputError(
                f"{new.where} has {new.prompt.text[:60]!r} as the prompt {id!r}, and "
                f"{before.where} has {before.prompt.text[:60]!r}; expected ids that stand for the "
                "same prompts in all files: give answers to the same prompts, or other ids"
            )
        return id, True

    def _know(self, id: str, known: _Known) -> None:
        self.known[id] = known
        for key in [] if known.prompt is None else _keys(known.prompt):
            self.by_text.setdefault(key, []).append(id)


def one_within_the_other(one: Prompt, other: Prompt) -> bool:
    """Return whether two prompts are one text, perhaps in a template in one of them."""
    inner, outer = sorted((same_text(p.text) for p in (one, other)), key=len)
    return inner in outer


def _keys(prompt: Prompt) -> list[Any]:
    """Return what prompts of one text have in common: their turns, and those without a system text,
    which perhaps one of two models alone reads."""
    turns = [(t["role"], one_line(t["content"])) for t in prompt.messages]
    return [("all", *turns), ("asked", *(t for t in turns if t[0] != "system"))]
