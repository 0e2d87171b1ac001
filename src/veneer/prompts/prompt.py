"""Prompts: the requests that models answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

PLACE = "{prompt}"  # where the text goes in a template; alone, the template that adds nothing


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt.

    id: unique within its task or file. task: the task's name, or "prompts" for a prompt file.
    messages: chat turns (`{"role", "content"}`), which an aligned model reads through its chat
    template. plain: the text that a base model reads, with the task's own template around it.
    reference: the data that the task needs to score an answer. template: the template, with
    {prompt} in it, that turned `text` into `plain`; None leaves it to `own_template`. cluster:
    prompts of one cluster are not independent, so that a split holds them together; None for a
    prompt by itself. forced: text with which the answer begins (prefilling); every system goes on
    behind it, and it is part of the answer.
    """

    id: str
    messages: tuple[dict[str, str], ...]
    plain: str
    task: str = "prompts"
    reference: dict[str, Any] = field(default_factory=dict)
    template: str | None = field(default=None, compare=False)
    cluster: str | None = field(default=None, compare=False)
    forced: str = ""

    @classmethod
    def from_text(
        cls,
        id: str,
        text: str,
        *,
        plain: str | None = None,
        template: str | None = None,
        task: str = "prompts",
        **reference: Any,
    ) -> Prompt:
        """Return a one-turn prompt: the aligned model reads `text`, the base reads `plain`; without
        that, `template` with the text in the place of {prompt}; without either, the text itself."""
        if plain is None:
            template = PLACE if template is None else template
            plain = template.replace(PLACE, text)
        return cls(id, ({"role": "user", "content": text},), plain, task, reference, template)

    @property
    def text(self) -> str:
        """The request without any template: the content of a single user message, otherwise the
        turns as a transcript."""
        return self.messages[0]["content"] if one_turn(self.messages) else transcript(self.messages)

    @property
    def own_template(self) -> str | None:
        """The template that stands around `text` in `plain`; None where `plain` is another text."""
        if self.template is not None:
            return self.template
        if not self.text or self.plain.count(self.text) != 1:
            return None
        return self.plain.replace(self.text, PLACE)


def one_turn(messages: Iterable[dict[str, str]]) -> bool:
    """Return whether a conversation is one message of a user."""
    return [m["role"] for m in messages] == ["user"]


def transcript(messages: Iterable[dict[str, str]]) -> str:
    """Chat turns as plain text for a base model: "User: ...", "Assistant: ..." in turn, a system
    text first without a label, and "Assistant:" at the end, where the base goes on."""
    turns = [
        m["content"] if m["role"] == "system" else f"{m['role'].capitalize()}: {m['content']}"
        for m in messages
    ]
    return "\n\n".join([*turns, "Assistant:"])
