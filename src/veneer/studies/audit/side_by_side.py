"""The answers that an audit's page shows side by side, token by token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from veneer.head.veneer import Veneer
from veneer.measures.answer_tokens import ShownAnswer, TokenReader, text_row, token_rows
from veneer.measures.shown_prompts import ShownPrompts, choose_prompts
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.audit.answers import Answers
from veneer.studies.audit.names import AUDITED, REFERENCE, RESTORED
from veneer.studies.audit.restorable import veneer_folders
from veneer.systems.speculative import Local
from veneer.systems.system import System


def shown_prompts(
    answers: Sequence[Answers], prompts: Sequence[Prompt]
) -> tuple[ShownPrompts, list[int]]:
    """The choice by the systems' refusals, and the number of each chosen prompt."""
    numbers: dict[str, list[int]] = {}
    for number, prompt in enumerate(prompts):
        numbers.setdefault(prompt.task, []).append(number)
    chosen = choose_prompts(
        {task: [a.refused[own] for a in answers] for task, own in numbers.items()}
    )
    return chosen, [numbers[task][place] for task, place in chosen.keys]


def shown_answers(
    answers: Sequence[Answers], prompts: Sequence[Prompt], number: int
) -> list[ShownAnswer]:
    """Every system's answer to one prompt: audited, with the veneer, reference."""
    order = (AUDITED, RESTORED, REFERENCE)
    return [
        ShownAnswer(prompts[number], a.responses[number], {"refusal_rate": _score(a, number)})
        for a in sorted(answers, key=lambda a: order.index(a.system))
    ]


def _score(answers: Answers, number: int) -> float | None:
    refused = float(answers.refused[number])
    return None if math.isnan(refused) else refused


def rows_of_texts(
    answers: Sequence[Answers], prompts: Sequence[Prompt], numbers: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Rows of tokens.jsonl without tokens: for two models that share no vocabulary."""
    for number in numbers:
        yield from map(text_row, shown_answers(answers, prompts, number))


def rows_of_tokens(
    answers: Sequence[Answers],
    prompts: Sequence[Prompt],
    numbers: Sequence[int],
    pair: Pair,
    folds: Sequence[Sequence[int]],
    out: Path,
) -> Iterator[dict[str, Any]]:
    """Rows of tokens.jsonl, prompt by prompt. Each prompt is read with the veneer that has not seen
    it. folds: the prompts that each veneer leaves out; none without a veneer."""
    readers: dict[int | None, TokenReader] = {}
    for number in numbers:
        fold = next((i for i, held in enumerate(folds) if number in held), None)
        if fold not in readers:
            folder = None if fold is None else veneer_folders(out, len(folds))[fold]
            readers[fold] = _reader(pair, folder)
        yield from token_rows(readers[fold], shown_answers(answers, prompts, number))


def _reader(pair: Pair, veneer: Path | None) -> TokenReader:
    """veneer: its folder, or None without one."""
    systems: dict[str, Local] = {
        AUDITED: System(AUDITED, pair.base, pair.base_format, pair.base.stop_ids)
    }
    if veneer is not None:
        systems[RESTORED] = System.of_model(
            pair.base, Veneer.load(veneer), format=pair.base_format, name=RESTORED
        )
    systems[REFERENCE] = System(REFERENCE, pair.aligned, pair.aligned_format, pair.aligned.stop_ids)
    return TokenReader(systems, REFERENCE, pair.base, (pair.aligned, pair.vocabulary))
