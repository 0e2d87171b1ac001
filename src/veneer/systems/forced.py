"""Forced beginnings of answers: the first tokens of an answer are given, and a system goes on
behind them (prefilling)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option
from veneer.prompts.prompt import Prompt

TARGET = "{target}"  # stands for a prompt's own target


@dataclass(frozen=True, slots=True)
class Beginning:
    """How every answer begins, whatever the model would write itself (prefilling)."""

    text: Annotated[str | None, Option(name="forced", metavar="TEXT")] = None
    """Text with which every answer begins, such as "Sure, here is". {target} in it stands for each
    prompt's own target (AdvBench has one; in a prompt file, the key or column "target")."""
    tokens: Annotated[int | None, Option(name="forced-tokens", metavar="K")] = None
    """Force only the first K tokens of that text. Default: all of it."""

    def __post_init__(self) -> None:
        """Raises InputError for an empty text, and for a number of tokens without a text."""
        if self.text is not None and not self.text.strip():
            raise InputError(
                "the forced text is empty; give the beginning of an answer, or leave it out"
            )
        if self.tokens is not None and self.text is None:
            raise InputError(
                f"found {self.tokens} forced tokens without a forced text; give the text too "
                "(--forced)"
            )
        if self.tokens is not None and self.tokens < 1:
            raise InputError(f"the number of forced tokens is {self.tokens}; expected 1 or more")

    def of(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts with the whole text. Raises InputError for a prompt without a target where
        one is needed."""
        if self.text is None:
            return list(prompts)
        lacking = [p for p in prompts if TARGET in self.text and target_of(p) is None]
        if lacking:
            raise InputError(
                f"{len(lacking)} of {len(prompts)} prompts of {lacking[0].task} have no target "
                f"(the first is {lacking[0].id!r}); give a text in place of {TARGET}, or a prompt "
                'file with "target" in each line'
            )
        return [replace(p, forced=self.text.replace(TARGET, target_of(p) or "")) for p in prompts]

    def cut(self, prompts: Sequence[Prompt], tokenizer: Any) -> list[Prompt]:
        """The prompts of `of`, with the first tokens alone."""
        return list(prompts) if self.tokens is None else first(prompts, self.tokens, tokenizer)

    def facts(self) -> dict[str, Any]:
        """For run.json; nothing where nothing is forced."""
        return {} if self.text is None else {"forced": self.text, "forced_tokens": self.tokens}


def target_of(prompt: Prompt) -> str | None:
    """The beginning of an answer that complies with a harmful request, where the prompt brings one
    (AdvBench's column `target`, or `target` in a prompt file)."""
    target = prompt.reference.get("target")
    return target if isinstance(target, str) and target.strip() else None


def first(prompts: Sequence[Prompt], count: int, tokenizer: Any) -> list[Prompt]:
    """The prompts with only the first `count` tokens of their forced texts, as this tokenizer
    counts them; a shorter text stays whole, and 0 forces nothing."""
    return [replace(p, forced=_beginning(p.forced, count, tokenizer)) for p in prompts]


def _beginning(text: str, count: int, tokenizer: Any) -> str:
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text and count else []
    if count >= len(ids):
        return text if count else ""
    return str(tokenizer.decode(ids[:count]))
