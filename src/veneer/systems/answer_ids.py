"""Prompts and answers as the token ids that a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence

from veneer.foundation.errors import InputError
from veneer.models.formats import ChatFormat, Format, one_bos
from veneer.models.language_model import LanguageModel
from veneer.models.templates import render
from veneer.prompts.prompt import Prompt
from veneer.systems.tuning import Example


def answer_ids(
    lm: LanguageModel, examples: Sequence[tuple[Prompt, str]], format: Format, *, ends: bool
) -> list[Example]:
    """Token ids of each prompt in `format`, and of its answer as the chat template writes an
    answer.

    ends: whether the end of turn follows the answer. Raises InputError for an empty answer.
    """
    out = []
    for prompt, answer in examples:
        prompt_ids = format.encode(lm.tokenizer, prompt)
        ids = (
            _as_written(lm, prompt_ids, format, prompt, answer)
            if isinstance(format, ChatFormat)
            else None
        )
        ids = ids or list(lm.tokenizer(answer, add_special_tokens=False)["input_ids"])
        if not ids:
            raise InputError(
                f"prompt {prompt.id!r} has an empty answer to learn from; expected the words that "
                "the answer begins with"
            )
        end = [lm.end_of_turn] if ends and lm.end_of_turn is not None else []
        out.append((prompt_ids, ids + end))
    return out


def _as_written(
    lm: LanguageModel, prompt_ids: list[int], format: ChatFormat, prompt: Prompt, answer: str
) -> list[int] | None:
    """The ids of an answer after `prompt_ids`, up to its end of turn; None where the template
    writes answers otherwise."""
    turns = [*format.messages(prompt), {"role": "assistant", "content": answer}]
    words = format.words(lm.tokenizer)
    whole = one_bos(
        render(lm.tokenizer, turns, add_generation_prompt=False, words=words), lm.tokenizer
    )
    if whole[: len(prompt_ids)] != prompt_ids or lm.end_of_turn not in whole[len(prompt_ids) :]:
        return None
    return whole[len(prompt_ids) : whole.index(lm.end_of_turn, len(prompt_ids))]
