"""Matching two vocabularies by token string: equal sizes prove nothing, and rows beyond the tokenizer are padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from veneer.errors import InputError
from veneer.models.language_model import LanguageModel

EXAMPLES = 5


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary that two models share, in the first model's ids.

    size: ids 0..size-1 are shared (the second model's surplus padding rows are cut off).
    to_other: (size,) the second model's id of each shared id, or None where the ids are the same.
    padding: rows that neither tokenizer names.
    """

    size: int
    to_other: Tensor | None
    padding: int

    def from_other(self, logits: Tensor) -> Tensor:
        """The second model's logits (..., V') in the first one's ids (..., size)."""
        if self.to_other is None:
            return logits[..., : self.size]
        return logits.index_select(-1, self.to_other.to(logits.device))

    def ids_to_other(self, ids: list[int]) -> list[int]:
        return ids if self.to_other is None else [int(self.to_other[i]) for i in ids]

    def ids_from_other(self, ids: list[int]) -> list[int]:
        """Second model's ids in the first one's. Ids in cut-off padding rows cannot occur: they are never sampled."""
        if self.to_other is None:
            return ids
        back = {int(j): i for i, j in enumerate(self.to_other.tolist())}
        return [back[i] for i in ids]

    def facts(self) -> dict[str, Any]:
        return {"size": self.size, "padding_rows": self.padding, "same_ids": self.to_other is None}


def match_vocabularies(first: LanguageModel, second: LanguageModel) -> Vocabulary:
    """Match by token string.

    A token that only one tokenizer names is accepted where the other model has a padding row at the same id (an aligned
    model that took a spare row for a chat token). Raises InputError with examples for anything else.
    """
    own, other = first.tokenizer.get_vocab(), second.tokenizer.get_vocab()
    size = min(first.head.rows, second.head.rows)
    own_named, other_named = set(own.values()), set(other.values())
    moved, problems = {}, []
    for token, i in own.items():
        j = other.get(token)
        if j is None:
            if i in other_named or i >= second.head.rows:
                problems.append(f"{token!r} (id {i}) is missing from {second.name}")
        elif j != i:
            moved[i] = j
        if i >= first.head.rows:
            problems.append(f"{token!r} has id {i} but {first.name} has only {first.head.rows} rows")
    for token, j in other.items():
        if token not in own and (j in own_named or j >= first.head.rows):
            problems.append(f"{token!r} (id {j}) is missing from {first.name}")
    if problems:
        raise InputError(
            f"the vocabularies of {first.name} ({len(own)} tokens, {first.head.rows} rows) and {second.name} ({len(other)} tokens, "
            f"{second.head.rows} rows) differ in {len(problems)} tokens, e.g. {'; '.join(sorted(problems)[:EXAMPLES])}; "
            "expected two models with one tokenizer"
        )
    padding = size - len({i for i in own_named | other_named if i < size})
    if not moved:
        return Vocabulary(size, None, padding)
    table = torch.arange(size)
    for i, j in moved.items():
        table[i] = j
    if table.unique().numel() != size:
        raise InputError(
            f"the vocabularies of {first.name} and {second.name} order their tokens differently and their padding rows collide; "
            "expected two models with one tokenizer"
        )
    return Vocabulary(size, table, padding)
