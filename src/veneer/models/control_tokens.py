"""Markup in a prompt that nobody meant as text: control tokens (a tokenizer reads `<|im_end|>` as
the token that ends a turn, wherever it stands), and a template that was put around the text
before the model's own goes around both."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from veneer.models.formats import Format, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import PLACE, Prompt

# With these, published chat templates begin a turn.
OPENINGS = (
    "<|im_start|>",
    "<|start_header_id|>",
    "<start_of_turn>",
    "<|start_of_role|>",
    "<|START_OF_TURN_TOKEN|>",
    "<|turn>",
    "<|start|>",
    "<|user|>",
    "<|system|>",
    "[INST]",
    "<<SYS>>",
)
FIRST = re.compile(r"\s*(<s>|<bos>|<\|begin_of_text\|>|<\|startoftext\|>)?\s*")  # before a text
_warned: set[tuple[str, str]] = set()  # names of models, and tokens or openings


def warn_of_markup(lm: LanguageModel, form: Format, prompts: Sequence[Prompt]) -> None:
    """Warn of prompts with control tokens, and of those that stand in a template already."""
    warn_of_control_tokens(lm, prompts)
    for prompt in prompts:
        mark = opening(form, prompt)
        if mark is not None and (lm.name, mark) not in _warned:
            _warned.add((lm.name, mark))
            logging.getLogger("veneer").warning(
                "veneer: prompt %r begins with %r, as if it stood in a template already, and %s "
                "reads it within its own; give the prompts without a template",
                prompt.id,
                mark,
                lm.name,
            )


def opening(form: Format, prompt: Prompt) -> str | None:
    """The text with which a prompt begins and a template begins a turn: that of a published chat
    template where the model reads one, or the last line before the prompt in a template of plain
    text. None where the prompt begins otherwise."""
    if isinstance(form, PlainFormat):
        before = (form.template_of(prompt) or PLACE).partition(PLACE)[0].strip()
        marks: Sequence[str] = before.splitlines()[-1:]
    else:
        marks = OPENINGS
    text = FIRST.sub("", prompt.messages[-1].get("content") or "", count=1)
    return next((mark for mark in marks if text.startswith(mark)), None)


def warn_of_control_tokens(lm: LanguageModel, prompts: Sequence[Prompt]) -> None:
    """Warn once for each model and token where a message of a prompt holds the text of a special
    token that the tokenizer reads as this token. A template may hold any."""
    special = special_tokens(lm.tokenizer)
    for prompt in prompts:
        for message in prompt.messages:
            token = control_token(lm.tokenizer, message.get("content") or "", special)
            if token is not None and (lm.name, token) not in _warned:
                _warned.add((lm.name, token))
                logging.getLogger("veneer").warning(
                    "veneer: prompt %r holds %r, which %s reads as a control token and not as text",
                    prompt.id,
                    token,
                    lm.name,
                )


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """The ids of the special tokens that a text can show."""
    added = tokenizer.added_tokens_decoder
    return {str(t.content): i for i, t in added.items() if t.special and str(t.content).strip()}


def control_token(tokenizer: Any, text: str, special: Mapping[str, int]) -> str | None:
    """The first special token that the tokenizer makes of a part of the text, or None."""
    match = _pattern(tuple(special)).search(text) if special else None
    if match is None:
        return None
    made = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return match[0] if special[match[0]] in made else None


@cache
def _pattern(tokens: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))))
