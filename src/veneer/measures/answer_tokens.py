"""Answers side by side: the tokens of each answer, and what several systems make of them.

A row of tokens.jsonl is one answer (docs/architecture.md). At each of its tokens it holds the KL
of one system's distribution, the yardstick's, from every other system's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from veneer.measures.given_texts import Passages, exact_kl
from veneer.measures.shift_groups import CONTEXT_TOKENS, shift_group
from veneer.measures.shifts import CLASSES, shift_classes
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.vocabulary import Vocabulary
from veneer.prompts.prompt import Prompt
from veneer.systems.responses import Response
from veneer.systems.speculative import Local
from veneer.systems.system import System

SHOWN = 5  # most likely tokens per system
ALIGNED = "aligned"


@dataclass(frozen=True)
class ShownAnswer:
    """An answer of the report. scores: metric -> its score of this answer; None: no verdict."""

    prompt: Prompt
    response: Response
    scores: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TokenReader:
    """The systems that read every answer.

    systems: by name, in reading order, the yardstick among them. yardstick: name of the system from
    whose distribution the KL goes (the aligned model, the reference). lm: the model in whose token
    ids answers are read. other: a second model and the vocabulary that both share, or None.
    foreign: names of systems whose responses hold ids of that second model.
    """

    systems: Mapping[str, Local]
    yardstick: str
    lm: LanguageModel
    other: tuple[LanguageModel, Vocabulary] | None = None
    foreign: frozenset[str] = frozenset()

    @classmethod
    def of_pair(cls, pair: Pair, systems: Sequence[System]) -> TokenReader:
        """Base, its veneer and the aligned model of a pair, the aligned model as the yardstick.
        systems: as `systems.system.pair_systems` gives them."""
        by_name: dict[str, Local] = {s.name: s for s in systems}
        other = (pair.aligned, pair.vocabulary)
        return cls(by_name, ALIGNED, pair.base, other, frozenset({ALIGNED}))

    @property
    def compared(self) -> list[str]:
        """Names of the systems beside the yardstick."""
        return [name for name in self.systems if name != self.yardstick]

    @torch.inference_mode()
    def rows(self, answers: Sequence[ShownAnswer]) -> Iterator[dict[str, Any]]:
        """The row of tokens.jsonl of each of these answers to one prompt, which is read once for
        all of them: KL(yardstick || system) in nats over the shared vocabulary at each position of
        the answer, whichever system wrote it. A thought in front of an answer is read, but not
        shown."""
        ids = [self._ids(answer.response) for answer in answers]
        prompts: list[Prompt | None] = [answer.prompt for answer in answers]
        texts = Passages(prompts, [tuple(own) for own in ids], self.lm.pad_id, self.other)
        for answer, own, text in zip(answers, ids, texts.each(self.systems.values()), strict=True):
            yield self._row(answer, own, self._log_probabilities(text))

    def _row(self, answer: ShownAnswer, ids: list[int], logs: dict[str, Tensor]) -> dict[str, Any]:
        start = self._answer_start(ids, answer.response)
        ids, logs = ids[start:], {name: log[start:] for name, log in logs.items()}
        first, second = self.compared[0], self.compared[min(1, len(self.compared) - 1)]
        target = logs[self.yardstick]
        return {
            **text_row(answer),
            "yardstick": self.yardstick,
            "tokens": [self._name(i) for i in ids],
            **{f"kl_{name}": _kl(target, logs[name]) for name in self.compared},
            "shift": _classes(target, logs[first]),
            "group": self._groups(ids, (logs[first], logs[second], target)),
            "top": {name: self._top(log) for name, log in logs.items()},
        }

    def _ids(self, response: Response) -> list[int]:
        """The answer in the ids of `lm`, up to one that both models do not share; its text
        in tokens where the system does not give them."""
        ids = list(response.token_ids)
        if not ids and response.text:
            return list(self.lm.tokenizer(response.text, add_special_tokens=False)["input_ids"])
        if self.other is None:
            return ids
        shared = self.other[1]  # only rows of padding are not
        if response.system in self.foreign:
            own = map(shared.from_other_id, ids)
            return [i for i in itertools.takewhile(lambda i: i is not None, own) if i is not None]
        return list(itertools.takewhile(lambda i: i < shared.size, ids))

    def _log_probabilities(self, text: Passages) -> dict[str, Tensor]:
        """(T, V) of each system, V the vocabulary that all share. text: one passage."""
        logits = {
            name: torch.cat(list(text.logits(system))).float()
            for name, system in self.systems.items()
        }
        size = min(x.shape[-1] for x in logits.values())
        return {name: x[:, :size].log_softmax(-1) for name, x in logits.items()}

    def _answer_start(self, ids: Sequence[int], response: Response) -> int:
        """The place of the answer's first token: 0 without a thought, behind the last token where a
        thought is all there is."""
        answer = response.text.strip()
        if response.reasoning is None or not answer:
            return 0 if response.reasoning is None else len(ids)
        tails = (
            t
            for t in range(len(ids) - 1, -1, -1)
            if answer in self.lm.tokenizer.decode(ids[t:], skip_special_tokens=True)
        )
        return next(tails, 0)

    def _name(self, token: int) -> str:
        return self.lm.tokenizer.decode([token])

    def _groups(self, ids: Sequence[int], logs: Sequence[Tensor]) -> list[str | None]:
        """The group of the shift at each position (shift_groups.shift_group) of the first compared
        system, the second one and the yardstick; None where all three agree."""
        tops = [log.argmax(-1).tolist() for log in logs]
        out: list[str | None] = []
        for at, (first, second, target) in enumerate(zip(*tops, strict=True)):
            if first == second == target:
                out.append(None)
                continue
            context = self.lm.tokenizer.decode(ids[max(0, at - CONTEXT_TOKENS) : at])
            group = shift_group(self._name(first), self._name(second), self._name(target), context)
            out.append(group and group.value)
        return out

    def _top(self, log: Tensor) -> list[list[list[Any]]]:
        values, ids = log.topk(SHOWN, dim=-1)
        return [
            [[self._name(i), round(p, 3)] for i, p in zip(row, probabilities, strict=True)]
            for row, probabilities in zip(ids.tolist(), values.exp().tolist(), strict=True)
        ]


def token_rows(
    reader: TokenReader,
    answers: Sequence[ShownAnswer],
    progress: Callable[[int, int, str], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """The row of each answer, in the order given; the answers to one prompt are read together."""
    together: dict[tuple[str, str], list[int]] = {}
    for number, answer in enumerate(answers):
        together.setdefault((answer.response.task, answer.response.prompt_id), []).append(number)
    rows: dict[int, dict[str, Any]] = {}
    for numbers in together.values():
        rows |= zip(numbers, reader.rows([answers[n] for n in numbers]), strict=True)
        if progress:
            progress(len(rows), len(answers), "tokens")
    return (rows[number] for number in range(len(answers)))


def text_row(answer: ShownAnswer) -> dict[str, Any]:
    """What a row holds without any model: for answers whose models share no vocabulary."""
    response = answer.response
    return {
        "prompt_id": response.prompt_id,
        "task": response.task,
        "prompt": answer.prompt.messages[-1]["content"],
        "system": response.system,
        "text": response.text,
        "finish_reason": response.finish_reason,
        **({"reasoning": response.reasoning} if response.reasoning is not None else {}),
        **({"scores": dict(answer.scores)} if answer.scores else {}),
    }


def _kl(p: Tensor, q: Tensor) -> list[float]:
    """(T,) from log-probabilities (T, V), rounded to what a reader can use."""
    return [round(x, 4) for x in exact_kl(p, q).clamp(min=0).tolist()]


def _classes(target: Tensor, first: Tensor) -> list[str]:
    three = first.topk(3, dim=-1).indices.cpu().numpy()
    return [
        CLASSES[k]
        for k in shift_classes(
            np.asarray(target.argmax(-1).cpu()), three[:, 0], three[:, 1], three[:, 2]
        )
    ]
