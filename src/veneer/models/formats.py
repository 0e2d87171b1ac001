"""Prompt formats: explicit objects that turn a prompt into token ids, with one BOS at most."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from veneer.errors import InputError
from veneer.models.within import within
from veneer.prompts import Prompt

SECONDS = 10.0  # of one rendering, which takes milliseconds
LONGEST = 16 * 2**20  # characters of one rendering


def one_bos(ids: list[int], tokenizer: Any) -> list[int]:
    """Drop a second BOS at the start (a rendered template that was tokenised with special tokens) and a closing EOS."""
    bos = tokenizer.bos_token_id
    while bos is not None and len(ids) > 1 and ids[0] == ids[1] == bos:
        ids = ids[1:]
    return ids


class Format(Protocol):
    """How a prompt becomes what a model reads."""

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Token ids up to where the answer starts."""
        ...

    def facts(self) -> dict[str, Any]:
        """What decides the ids, for manifests."""
        ...


@runtime_checkable
class TextFormat(Format, Protocol):
    """A format whose prompts are one text, so that prompt and answer can be tokenised as a whole."""

    def text(self, prompt: Prompt) -> str: ...

    def encode_text(self, tokenizer: Any, text: str) -> list[int]: ...


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text with the tokenizer's own BOS, if it has one, and no EOS: the model is to go on."""
    ids = list(tokenizer(text, verbose=False)["input_ids"])
    if ids and ids[-1] == tokenizer.eos_token_id and not text.endswith(tokenizer.eos_token or "\0"):
        ids = ids[:-1]
    return one_bos(ids, tokenizer)


@dataclass(frozen=True, slots=True)
class PlainFormat:
    """Plain text, as a base model reads it. template: text around the prompt, with `{prompt}` where it goes."""

    template: str = "{prompt}"

    def __post_init__(self) -> None:
        if "{prompt}" not in self.template:
            raise InputError(f"the template {self.template!r} has no {{prompt}}; put {{prompt}} where the text goes")

    def text(self, prompt: Prompt) -> str:
        return self.template.replace("{prompt}", prompt.plain)

    def encode_text(self, tokenizer: Any, text: str) -> list[int]:
        return encode_text(tokenizer, text)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Token ids with the tokenizer's own BOS, if it has one, and no EOS."""
        return encode_text(tokenizer, self.text(prompt))

    def facts(self) -> dict[str, Any]:
        return {"kind": "plain", **asdict(self)}


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """The tokenizer's chat template, as an aligned model reads it. system: a system text, or None for the template's own."""

    system: str | None = None

    def messages(self, prompt: Prompt) -> list[dict[str, str]]:
        start = [] if self.system is None else [{"role": "system", "content": self.system}]
        return start + list(prompt.messages)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        """Token ids up to where the answer starts. Raises InputError without a template or where it refuses the messages."""
        return one_bos(render(tokenizer, self.messages(prompt), add_generation_prompt=True), tokenizer)

    def facts(self) -> dict[str, Any]:
        return {"kind": "chat", **asdict(self)}


def render(tokenizer: Any, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> list[int]:
    if not tokenizer.chat_template:
        raise InputError(
            f"the tokenizer of {tokenizer.name_or_path or 'this model'} has no chat template; expected one for an aligned model: "
            "use a plain format instead, or save the tokenizer with a template"
        )
    try:
        text = within(
            SECONDS, lambda: tokenizer.apply_chat_template(messages, add_generation_prompt=add_generation_prompt, tokenize=False)
        )
        if len(text) > LONGEST:
            raise ValueError(f"it makes {len(text):,} characters of them, more than {LONGEST:,}")
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    except Exception as error:  # a template is a program of strangers: it may divide by zero or recurse as well as refuse
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the chat template refuses these messages ({said}); expected roles and contents that it accepts"
        ) from None


def end_of_turn(tokenizer: Any) -> int | None:
    """The token that the chat template puts right behind an assistant's words, or None where it puts none."""
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    try:
        prompt = render(tokenizer, turns[:1], add_generation_prompt=True)
        whole = render(tokenizer, turns, add_generation_prompt=False)
    except InputError:
        return None
    special = set(tokenizer.all_special_ids) | {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    return next((i for i in whole[len(prompt) :] if i in special), None)


def format_from_facts(facts: dict[str, Any]) -> Format:
    """The format that a manifest describes."""
    kinds: dict[Any, type[PlainFormat] | type[ChatFormat]] = {"plain": PlainFormat, "chat": ChatFormat}
    try:
        return kinds[facts.get("kind")](**{k: v for k, v in facts.items() if k != "kind"})
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"unknown prompt format {facts!r}; expected kind 'plain' with a template, or 'chat' with a system text"
        ) from None
