"""Control tokens within what a person wrote: a tokenizer reads the text `<|im_end|>` as the token
that ends a turn, wherever it stands."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt

_warned: set[tuple[str, str]] = set()  # names of models, and tokens


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
