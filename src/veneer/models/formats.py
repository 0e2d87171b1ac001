"""Prompt formats: explicit objects that turn a prompt into token ids, with one BOS at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from veneer.embed.inputs import frame
from veneer.foundation.errors import InputError
from veneer.models.templates import (
    arguments_read,
    clock,
    render,
    template_of,
    variables,
    writes_date,
)
from veneer.prompts.prompt import PLACE, Prompt
from veneer.prompts.templates import CHAT, given_template, wrapped


def one_bos(ids: list[int], tokenizer: Any) -> list[int]:
    """Drop a second BOS at the start (a rendered template that was tokenised with special tokens)
    and a closing EOS."""
    bos = tokenizer.bos_token_id
    while bos is not None and len(ids) > 1 and ids[0] == ids[1] == bos:
        ids = ids[1:]
    return ids


class Format(Protocol):
    """Turns a prompt into the token ids that a model reads."""

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Token ids up to where the answer starts."""
        ...

    def facts(self) -> dict[str, Any]:
        """The settings that decide the ids, for manifests."""
        ...


@runtime_checkable
class TextFormat(Format, Protocol):
    """A format whose prompts are one text, so that prompt and answer can be
    tokenised as a whole."""

    def text(self, prompt: Prompt) -> str: ...

    def encode_text(self, tokenizer: Any, text: str) -> list[int]: ...


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text behind the special tokens that the tokenizer puts in front of one, and
    without those that it puts at the end, whatever they are (EOS, [SEP]): the model is to go on."""
    before, behind = frame(tokenizer)
    own = not (before or behind)  # none, or none that can be told from the text
    ids = tokenizer(text, add_special_tokens=own, verbose=False)["input_ids"]
    return one_bos([*before, *ids], tokenizer)


@dataclass(frozen=True, slots=True)
class PlainFormat:
    """Plain text, as a base model reads it.

    template: text around the question, with `{prompt}` where it goes. It replaces the template
    that a task's prompt brings, so that nothing is wrapped twice. The default, "{prompt}", leaves
    each prompt in its own template; with `bare` it takes that away.
    """

    template: str = PLACE
    bare: bool = False

    def __post_init__(self) -> None:
        if PLACE not in self.template:
            raise InputError(
                f"the template {self.template!r} has no {{prompt}}; put {{prompt}} where the "
                "text goes"
            )

    @property
    def own(self) -> bool:
        """Whether each prompt keeps its own template."""
        return self.template == PLACE and not self.bare

    def text(self, prompt: Prompt) -> str:
        # a text of the prompt's own, which no template made
        if self.own or prompt.own_template is None:
            return self.template.replace(PLACE, prompt.plain)
        return wrapped(self.template, prompt.messages)

    def template_of(self, prompt: Prompt) -> str | None:
        """The template in which base reads this prompt; None where the prompt brings a
        text of its own."""
        return prompt.own_template if self.own else self.template

    def encode_text(self, tokenizer: Any, text: str) -> list[int]:
        return encode_text(tokenizer, text)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Token ids with the tokenizer's own BOS, if it has one, and no EOS."""
        return encode_text(tokenizer, self.text(prompt))

    def facts(self) -> dict[str, Any]:
        return {"kind": "plain", "template": self.template, **({"bare": True} if self.bare else {})}


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """The tokenizer's chat template, as an aligned model reads it.

    system: a system text, or None for the template's own. arguments: further values that the
    template reads, such as {"enable_thinking": False}. day: the date that a template writes which
    asks for today's, as 2026-11-29; None: today's.
    """

    system: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    day: str | None = None

    def __post_init__(self) -> None:
        try:
            clock(self.day or "2000-01-01")
        except (TypeError, ValueError):
            raise InputError(
                f"the date for a chat template is {self.day!r}; expected one such as 2026-11-29"
            ) from None

    def messages(self, prompt: Prompt) -> list[dict[str, str]]:
        start = [] if self.system is None else [{"role": "system", "content": self.system}]
        return start + list(prompt.messages)

    def words(self, tokenizer: Any) -> dict[str, Any]:
        """Words for the tokenizer's apply_chat_template: the arguments, and a template whose date
        stands still where it writes one."""
        frozen = self.day is not None and writes_date(tokenizer)
        template = (
            {"chat_template": clock(self.day or "") + (template_of(tokenizer) or "")}
            if frozen
            else {}
        )
        return {**self.arguments, **template}

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Token ids up to where the answer starts. Raises InputError without a template or where it
        refuses the messages."""
        return one_bos(
            render(
                tokenizer,
                self.messages(prompt),
                add_generation_prompt=True,
                words=self.words(tokenizer),
            ),
            tokenizer,
        )

    def facts(self) -> dict[str, Any]:
        """Arguments and day are included only where they are given."""
        more = {"arguments": dict(self.arguments)} if self.arguments else {}
        return {
            "kind": "chat",
            "system": self.system,
            **more,
            **({"day": self.day} if self.day is not None else {}),
        }


def forced_ids(tokenizer: Any, prompt: Prompt) -> tuple[int, ...]:
    """Token ids of the text with which the prompt's answer begins (`Prompt.forced`), tokenised by
    itself, as a model that begins an answer writes it."""
    if not prompt.forced:
        return ()
    return tuple(tokenizer(prompt.forced, add_special_tokens=False)["input_ids"])


def dated(form: Format, day: str, *tokenizers: Any) -> Format:
    """The format with the date `day` where one of the templates writes the date and none was
    chosen; without a date where none does."""
    if not isinstance(form, ChatFormat):
        return form
    if not any(map(writes_date, tokenizers)):
        return replace(form, day=None) if form.day is not None else form
    return form if form.day is not None else replace(form, day=day)


def check_arguments(form: Format, *tokenizers: Any) -> None:
    """Raise InputError for an argument that none of these tokenizers' templates reads: it
    would change nothing."""
    if not isinstance(form, ChatFormat) or not form.arguments:
        return
    templates = [t for t in map(template_of, tokenizers) if t is not None]
    names_of_templates = [variables(t) for t in templates]
    if not templates or None in names_of_templates:
        return
    unread = [
        name
        for name in form.arguments
        if not any(name in names for names in names_of_templates if names is not None)
    ]
    if unread:
        read = sorted({name for t in templates for name in arguments_read(t)})
        raise InputError(
            f"the chat template does not read {', '.join(map(repr, unread))}; it reads "
            f"{', '.join(read) or 'no arguments'}: correct the name, or leave the argument out"
        )


def given_format(template: str | None, chat: ChatFormat | None = None) -> Format:
    """The format that a person asks for: a template with {prompt}, a template's name, or "chat" for
    the tokenizer's chat template (`chat`, or the template as it is); None leaves each prompt in its
    own template. Raises InputError for anything else."""
    if template is None:
        return PlainFormat()
    if template == CHAT:
        return chat or ChatFormat()
    text = given_template(template)
    return PlainFormat(text, bare=text == PLACE)


def format_from_facts(facts: dict[str, Any]) -> Format:
    """The format that a manifest describes."""
    kinds: dict[Any, type[PlainFormat] | type[ChatFormat]] = {
        "plain": PlainFormat,
        "chat": ChatFormat,
    }
    try:
        return kinds[facts.get("kind")](**{k: v for k, v in facts.items() if k != "kind"})
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"unknown prompt format {facts!r}; expected kind 'plain' with a template, or 'chat' "
            "with a system text"
        ) from None
