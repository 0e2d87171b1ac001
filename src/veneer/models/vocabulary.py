"""Matching two vocabularies by token string: equal sizes prove nothing, and rows beyond the
tokenizer are padding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from veneer.foundation.errors import InputError, VeneerError
from veneer.models.language_model import LanguageModel
from veneer.models.templates import template_of

EXAMPLES = 5
PLACEHOLDER = re.compile(r"(image|video|audio)_token_(id|index)")  # in a config.json


class Worded(Protocol):
    """What matching reads of a model: its name, its tokenizer, how many rows its head has, and its
    end tokens."""

    @property
    def name(self) -> str: ...

    @property
    def tokenizer(self) -> Any: ...

    @property
    def head(self) -> Any: ...

    @property
    def stop_ids(self) -> Sequence[int]: ...


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary that two models share, in the first model's ids.

    size: ids 0..size-1 are shared (the second model's surplus padding rows are cut off).
    to_other: (size,) the second model's id of each shared id, or None where the ids are the same.
    padding: rows that neither tokenizer names.
    other_rows: rows of the second model's head, or None where all of them are shared.
    renamed: special tokens that have another name in the second model.
    """

    size: int
    to_other: Tensor | None
    padding: int
    other_rows: int | None = None
    renamed: int = 0

    def from_other(self, logits: Tensor) -> Tensor:
        """The second model's logits (..., V') in the first one's ids (..., size)."""
        if self.to_other is None:
            return logits[..., : self.size]
        return logits.index_select(-1, self.to_other.to(logits.device))

    def ids_to_other(self, ids: list[int]) -> list[int]:
        """First model's ids in the second one's. Raises VeneerError for an id that is not
        shared."""
        if max(ids, default=0) >= self.size:
            raise VeneerError(self._unshared("first", max(ids)))
        return ids if self.to_other is None else [int(self.to_other[i]) for i in ids]

    def ids_from_other(self, ids: list[int]) -> list[int]:
        """Second model's ids in the first one's. Raises VeneerError for an id
        that is not shared."""
        own = [self.from_other_id(i) for i in ids]
        if None in own:
            raise VeneerError(self._unshared("second", ids[own.index(None)]))
        return [i for i in own if i is not None]

    def _unshared(self, which: str, id: int) -> str:
        return (
            f"the {which} model produced the id {id}, which is not in the vocabulary that both "
            "models share; expected a model that never produces its padding"
        )

    def from_other_id(self, id: int) -> int | None:
        """The first model's id of one of the second model's, or None where it is not shared."""
        if self.to_other is None:
            return id if self.other_rows is None or id < self.size else None
        return self._back.get(id)

    @cached_property
    def _back(self) -> dict[int, int]:
        return (
            {}
            if self.to_other is None
            else {int(j): i for i, j in enumerate(self.to_other.tolist())}
        )

    def bar_unshared(self, logits: Tensor) -> Tensor:
        """The second model's logits (..., V') with the lowest number where an id is not shared, so
        that it is never chosen."""
        if self.other_rows is None:
            return logits
        barred = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
        barred[: self.size] = False
        if self.to_other is not None:
            barred[:] = True
            barred[self.to_other.to(logits.device)] = False
        return logits.masked_fill(barred, torch.finfo(logits.dtype).min)

    def facts(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "padding_rows": self.padding,
            "same_ids": self.to_other is None,
            **({"renamed_tokens": self.renamed} if self.renamed else {}),
        }


def match_vocabularies(first: Worded, second: Worded) -> Vocabulary:
    """Match by token string.

    Ids without a row in the head are ignored: no model can produce them. A token that only one
    tokenizer names is accepted where the other model has a padding row at the same id (an aligned
    model that took a spare row for a chat token), where both call the same row a special token (a
    reserved one that was renamed: no text shows it), and where it is never produced (a pad token
    that ends nothing and stands in no chat template, a placeholder of an image). Raises InputError
    with examples for anything else.
    """
    own, other = _with_rows(first), _with_rows(second)
    size = min(first.head.rows, second.head.rows)
    own_named, other_named = set(own.values()), set(other.values())
    here = {i: token for token, i in own.items() if token not in other}
    there = {i: token for token, i in other.items() if token not in own}
    both = here.keys() & there.keys()
    renamed = both & _special(first) & _special(second)
    unsaid = _unsaid(first) | _unsaid(second)
    problems = [
        f"{token!r} (id {i}) is missing from {lm.name}"
        for names, taken, lm in ((here, other_named, second), (there, own_named, first))
        for i, token in names.items()
        if (i in taken or i >= lm.head.rows) and i not in renamed and token not in unsaid
    ]
    moved = {i: j for token, i in own.items() if (j := other.get(token, i)) != i}
    problems += [
        f"{token!r} has id {i} in {first.name} and id {moved[i]} in {second.name}, which has only "
        f"{size} rows"
        for token, i in own.items()
        if i in moved and i >= size
    ]
    if problems:
        raise InputError(
            f"the vocabularies of {first.name} ({len(own)} tokens, {first.head.rows} rows) and "
            f"{second.name} ({len(other)} tokens, {second.head.rows} rows) differ in "
            f"{len(problems)} tokens, e.g. {'; '.join(sorted(problems)[:EXAMPLES])}; expected two "
            f"models with one tokenizer{_mend(first, second, here, there)}"
        )
    padding = size - len({i for i in own_named | other_named if i < size})
    unshared = second.head.rows if second.head.rows > size else None
    if not moved:
        return Vocabulary(size, None, padding, unshared, len(renamed))
    table = torch.arange(size)
    for i, j in moved.items():
        table[i] = j
    if table.unique().numel() != size:
        raise InputError(
            f"the vocabularies of {first.name} and {second.name} order their tokens differently "
            "and their padding rows collide; expected two models with one tokenizer"
        )
    return Vocabulary(size, table, padding, unshared, len(renamed))


def check_readable(lm: LanguageModel, ids: Sequence[int], prompt_id: str) -> None:
    """Raise InputError where a prompt holds a token for which the model has no row:
    it cannot read it."""
    highest = max(ids, default=0)
    if highest >= lm.readable:
        raise InputError(
            f"prompt {prompt_id!r} holds {lm.tokenizer.convert_ids_to_tokens(highest)!r} (id "
            f"{highest}), but {lm.name} has only {lm.readable} rows in its embeddings; take the "
            "token out of the prompt or template, or resize the embeddings"
        )


def _with_rows(lm: Worded) -> dict[str, int]:
    return {token: i for token, i in lm.tokenizer.get_vocab().items() if i < lm.head.rows}


def _mend(first: Worded, second: Worded, here: Mapping[int, str], there: Mapping[int, str]) -> str:
    """What to do where all differences are rows that have another name. here, there: the names
    (by id) that only one of the two has."""
    if not here or here.keys() != there.keys():
        return ""
    i = min(here)
    return (
        f": where {second.name} has only renamed tokens of {first.name} (such as {here[i]!r} to "
        f"{there[i]!r}), give a copy of {first.name} that has the tokenizer files of {second.name}"
    )


def _special(lm: Worded) -> set[int]:
    """Ids of the tokens that no text shows."""
    added = getattr(lm.tokenizer, "added_tokens_decoder", {})
    return {i for i, token in added.items() if getattr(token, "special", False)}


def _unsaid(lm: Worded) -> set[str]:
    """Tokens that the model never produces: a pad token, and those in whose place it reads an
    image, a film or a sound."""
    config: Any = getattr(lm, "config", None)
    fields = config.to_dict() if config is not None else {}
    ids = {i for name, i in fields.items() if PLACEHOLDER.fullmatch(name) and isinstance(i, int)}
    tokens = {token for token, i in lm.tokenizer.get_vocab().items() if i in ids}
    return tokens | ({pad} if (pad := _padding(lm)) is not None else set())


def _padding(lm: Worded) -> str | None:
    """The pad token where it serves as nothing else, so that no model produces it."""
    pad, template = lm.tokenizer.pad_token, template_of(lm.tokenizer) or ""
    others = {lm.tokenizer.bos_token, lm.tokenizer.eos_token, lm.tokenizer.unk_token}
    if (
        pad is None
        or pad in others
        or lm.tokenizer.pad_token_id in lm.stop_ids
        or pad in template
        or "pad_token" in template
    ):
        return None
    return str(pad)
