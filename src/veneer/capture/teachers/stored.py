"""Stored answers as the teacher of a capture: only their tokens are available, so each distribution
is one-hot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.models.decode import Decoded
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One stored answer. text: without special tokens. token_ids: base's own, with the end token,
    or None where only the text is stored. ended: False where a token limit cut it."""

    text: str
    token_ids: tuple[int, ...] | None = None
    ended: bool = True


@dataclass(frozen=True)
class StoredTeacher:
    """See teacher.py. With one-hot targets the objective is the likelihood of the answers with a
    ridge: cross-entropy to a distribution whose log-probability is 0 at the answer's token and -inf
    elsewhere.

    answers: by (task, prompt id). source: the name of the system that answered, for manifests.
    ends: ids (base's) that end its answers, beside base's own stop ids. teacher_facts: further
    facts for the manifest; `reasoning` (see thoughts.py) moves to its top.
    """

    base: LanguageModel
    answers: Mapping[tuple[str, str], StoredAnswer]
    source: str
    ends: tuple[int, ...] = ()
    teacher_facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.source

    @property
    def size(self) -> int:
        return self.base.head.rows

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return tuple(sorted({*self.base.stop_ids, *self.ends}))

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        return ()

    def inputs(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Return the answers' token ids. Raises InputError for a prompt without an answer, or with
        an empty one."""
        return [self._tokens(p) for p in prompts]

    def lengths(self, inputs: Sequence[list[int]]) -> list[int]:
        return [len(ids) for ids in inputs]

    def longest(self) -> int | None:
        return None

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """Return the stored answers, cut at `config.sampling.max_new_tokens`."""
        decoded = []
        for ids in self.inputs(prompts):
            kept = ids[: config.sampling.max_new_tokens]
            decoded.append(
                Decoded(tuple(kept), "", "stop" if kept[-1] in self.stop_ids else "length")
            )
        return decoded, [one_hot(d.token_ids) for d in decoded]

    def facts(self) -> dict[str, Any]:
        facts = dict(self.teacher_facts)
        reasoning = facts.pop("reasoning", None)
        every = sorted(
            (task, id, a.text, a.token_ids, a.ended) for (task, id), a in self.answers.items()
        )
        return {
            "aligned": {"name": self.source, "fingerprint": sha256_text(json.dumps(every))},
            "aligned_format": None,
            "vocabulary": match_vocabularies(self.base, self.base).facts(),
            "stop_ids": list(self.stop_ids),
            "teacher": {"kind": "responses", "targets": "one-hot", "measure": MEASURE, **facts},
            **({"reasoning": reasoning} if reasoning else {}),
        }

    def _tokens(self, prompt: Prompt) -> list[int]:
        answer = self.answers.get((prompt.task, prompt.id))
        if answer is None:
            raise InputError(
                f"{self.source} has no answer to prompt {prompt.id!r} of {prompt.task}; leave "
                "the prompt out"
            )
        ids = tokens_of(self.base, answer)
        if not ids:
            raise InputError(
                f"the answer of {self.source} to prompt {prompt.id!r} of {prompt.task} is empty; "
                "leave the prompt out"
            )
        if max(ids) >= self.size or min(ids) < 0:
            raise InputError(
                f"the answer of {self.source} to prompt {prompt.id!r} holds the token id "
                f"{max(ids, key=abs)}, but {self.base.name} has {self.size} rows; give the "
                "text without ids"
            )
        return ids


MEASURE = "negative log-likelihood of the responses in nats a token, in the place of KL"


def end_of(base: LanguageModel) -> int | None:
    """Return the id that stands for "the answer ended here": base's end of turn, or else its end of
    text."""
    return base.end_of_turn if base.end_of_turn is not None else base.tokenizer.eos_token_id


def tokens_of(base: LanguageModel, answer: StoredAnswer) -> list[int]:
    """Return an answer's ids: its own, or those of its text, with an end token where it ended.
    Special tokens written in a text are read as text; an empty text has no ids."""
    if answer.token_ids is not None:
        return list(answer.token_ids)
    ids = list(
        base.tokenizer(
            answer.text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]
    )
    end = end_of(base)
    return [*ids, end] if ids and answer.ended and end is not None else ids


def one_hot(ids: Sequence[int]) -> TopK:
    """Return the distributions that give all probability to these tokens."""
    n = len(ids)
    return TopK(
        torch.tensor(ids, dtype=torch.int32)[:, None],
        torch.zeros(n, 1),
        torch.full((n,), -torch.inf),
        torch.zeros(n),
    )
