"""Options of every command that renders a chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from veneer.foundation.settings import Option

if TYPE_CHECKING:
    from veneer.models.formats import ChatFormat

RESERVED = frozenset(
    (
        "messages",
        "conversation",
        "chat_template",
        "add_generation_prompt",
        "continue_final_message",
        "tokenize",
        "padding",
        "truncation",
        "sanitize_control_tokens",
        "max_length",
        "return_tensors",
        "return_dict",
        "return_assistant_tokens_mask",
        "tokenizer_kwargs",
        "strftime_now",
        "raise_exception",
    )
)  # set by Veneer, or of transformers' apply_chat_template and not of a template


@dataclass(frozen=True, kw_only=True)
class TemplateOptions:
    """What chat templates are given beside the messages."""

    template_arg: Annotated[tuple[str, ...], Option(repeat=True, metavar="KEY=VALUE")] = ()
    """A value for the chat template, such as enable_thinking=false or reasoning_effort=low; it is
    read as JSON, or else as text. May be given several times. A name that the template never reads
    is refused."""
    template_date: str | None = None
    """Date that a chat template writes where it asks for today's, such as 2026-11-29. Default:
    today's; a command that resumes keeps the date of its first run."""

    def chat_format(self, system: str | None) -> ChatFormat:
        from veneer.models.formats import ChatFormat

        return ChatFormat(system, arguments(self.template_arg), self.template_date)

    def refuse_template_options(self, where: str) -> None:
        """Raise InputError where no chat template is read. where: "beside --plain", "without
        --chat"."""
        from veneer.foundation.errors import InputError

        for option, given in (
            ("--template-arg", self.template_arg),
            ("--template-date", self.template_date),
            ("--system", getattr(self, "system", None)),
        ):
            if given:
                raise InputError(
                    f"found {option} {where}, where no chat template is read; leave {option} out"
                )

    def template_words(self) -> dict[str, Any]:
        """Settings that a second run of the same command must share: only the given ones."""
        given = {"template_arg": arguments(self.template_arg), "template_date": self.template_date}
        return {k: v for k, v in given.items() if v}


def arguments(words: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE words as values. Raises InputError for another form, a repeated name or
    one that Veneer sets itself, and for a Python value where JSON is expected: the text "False" is
    true in a template."""
    from veneer.foundation.errors import InputError

    values: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name.isidentifier():
            raise InputError(
                f"--template-arg is {word!r}; expected KEY=VALUE, such as enable_thinking=false"
            )
        if name in RESERVED:
            raise InputError(
                f"--template-arg sets {name!r}, which Veneer sets itself; leave it out"
            )
        if name in values:
            raise InputError(f"--template-arg gives {name!r} twice; give it once")
        if text.strip().lower() in ("true", "false", "none", "null") and text.strip() not in (
            "true",
            "false",
            "null",
        ):
            mend = "null" if text.strip().lower() == "none" else text.strip().lower()
            raise InputError(
                f"--template-arg is {word!r}; expected JSON: {name}={mend}, or "
                f"{name}='\"{text}\"' for that text"
            )
        try:
            values[name] = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError):
            values[name] = text
    return values


def _no_number(word: str) -> Any:
    raise ValueError(word)
