"""Chat templates: rendering them within bounds, and the variables that one reads.

A template is a program of strangers (Jinja, run by transformers in a sandbox). It may leave out
what a person says, read arguments such as enable_thinking, or write today's date.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from veneer.foundation.errors import InputError, first_sentence
from veneer.models.within import within

SECONDS = 10.0  # limit of one rendering, which takes milliseconds
LONGEST = 16 * 2**20  # characters of one rendering
MARK = "Pelican"  # a word that no template writes by itself
SHORT = 16  # characters; a template may hold a shorter text by chance
CLOCK = "strftime_now"  # the function with which transformers lets a template write the date
# by transformers, not by a user
GIVEN = frozenset({"messages", "add_generation_prompt", "raise_exception", "strftime_now"})

LISTS = ("tools", "documents")  # what a template may loop over beside the messages

Message = Mapping[str, Any]


def template_of(tokenizer: Any) -> str | None:
    """The text of the template that the tokenizer uses, or None where it has none.

    Raises InputError where it has several and none of them is the default.
    """
    if not getattr(tokenizer, "chat_template", None):
        return None
    if isinstance(tokenizer.chat_template, str):
        return tokenizer.chat_template
    try:
        return str(tokenizer.get_chat_template())
    except (ValueError, KeyError, TypeError):
        names = ", ".join(sorted(map(str, tokenizer.chat_template)))
        raise InputError(
            f"the tokenizer of {_name(tokenizer)} has chat templates with names ({names}), and "
            "none of them is named default; save it with one template, or name one of them default"
        ) from None


@lru_cache(maxsize=32)
def variables(template: str) -> frozenset[str] | None:
    """The names that a template reads from outside, its own loops and assignments aside; None where
    it cannot be parsed."""
    from jinja2 import Environment, TemplateError, meta, nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class Generation(Extension):
        """`{% generation %}`, with which transformers marks the assistant's words."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return list(parser.parse_statements(("name:endgeneration",), drop_needle=True))

    environment = Environment(extensions=[Generation, "jinja2.ext.loopcontrols"])
    try:
        names = meta.find_undeclared_variables(environment.parse(template))
    except (TemplateError, RecursionError):
        return None
    return frozenset(names) - environment.globals.keys()


def arguments_read(template: str) -> list[str]:
    """The names that a user may give a value, sorted; not those of special tokens, which the
    tokenizer gives."""
    return sorted(
        n for n in (variables(template) or frozenset()) - GIVEN if not n.endswith("_token")
    )


def writes_date(tokenizer: Any) -> bool:
    """Whether the template asks for today's date."""
    template = template_of(tokenizer)
    return template is not None and CLOCK in (variables(template) or frozenset())


@lru_cache(maxsize=8)
def clock(day: str) -> str:
    """A Jinja macro in the place of `strftime_now` whose day stands still, at midnight; to be put
    in front of a template. day: as 2026-11-29. Raises ValueError for anything else.

    transformers gives a template texts and numbers but no functions, so the macro replaces each
    directive by itself. Its line break is the one that Jinja (with trim_blocks) takes off behind a
    block: what follows is rendered as if it stood alone.
    """
    moment = datetime.combine(date.fromisoformat(day), time())
    directives = [
        f"%{flag}{letter}" for flag in ("-", "") for letter in "dmyHIMSjUWaAwbBYpfGuVceDFTRhxXzZ"
    ] + ["%%"]
    changes = "".join(
        f" | replace({json.dumps(d)}, {json.dumps(moment.strftime(d))})" for d in directives
    )
    return f"{{%- macro {CLOCK}(format) -%}}{{{{- format{changes} -}}}}{{%- endmacro %}}\n"


def render_text(
    tokenizer: Any,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool,
    words: Mapping[str, Any] | None = None,
) -> str:
    """The conversation as the template writes it. words: what else the template may read.

    Raises InputError without a template, where it refuses the messages, or where it leaves out the
    user's or the system's text. Contents are given as lists of parts where the template reads
    nothing else (some multimodal ones).
    """
    text = _rendered(tokenizer, messages, add_generation_prompt, words)
    for role in _missing(text, messages):
        probe = _probe(role)
        if _reads(tokenizer, probe, words):
            continue  # the template changes contents (it may strip them), but it reads them
        if not _reads(tokenizer, _in_parts(probe), words):
            mend = (
                "leave out the system text"
                if role == "system"
                else "use a plain format, or mend the template"
            )
            raise InputError(
                f"the chat template of {_name(tokenizer)} leaves out what the {role} says; {mend}"
            )
        text = _rendered(tokenizer, _in_parts(messages), add_generation_prompt, words)
    return text


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool,
    words: Mapping[str, Any] | None = None,
) -> list[int]:
    """The token ids of `render_text`, which raises InputError."""
    text = render_text(
        tokenizer, messages, add_generation_prompt=add_generation_prompt, words=words
    )
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _rendered(
    tokenizer: Any, messages: Sequence[Message], prompt: bool, words: Mapping[str, Any] | None
) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"the tokenizer of {_name(tokenizer)} has no chat template; expected one for an "
            "aligned model: use a plain format instead, or save the tokenizer with a template"
        )
    if "chat_template" not in (words or {}):
        template_of(tokenizer)  # several without a default are no fault of the messages
    words = words or {}
    try:
        return _applied(tokenizer, messages, prompt, words)
    except Exception as error:  # a template may divide by zero or recurse as well as refuse
        if needed := _lists_needed(tokenizer, messages, prompt, words):
            empty = " and ".join(f"{name}=[]" for name in needed)
            raise InputError(
                f"the chat template of {_name(tokenizer)} reads {' and '.join(needed)}, and none "
                f"are given; give {empty} among the template's arguments for none, or save the "
                "tokenizer with its template for plain chat"
            ) from None
        raise InputError(
            f"the chat template refuses these messages ({first_sentence(error)}); "
            f"{_mend(tokenizer, messages, prompt, words, error)}"
        ) from None


def _applied(
    tokenizer: Any, messages: Sequence[Message], prompt: bool, words: Mapping[str, Any]
) -> str:
    """The conversation as transformers renders it. Raises whatever the template raises, and
    ValueError for a text that is too long."""
    text: str = within(
        SECONDS,
        lambda: tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=prompt, tokenize=False, **words
        ),
    )
    if len(text) > LONGEST:
        raise ValueError(f"it makes {len(text):,} characters of them, more than {LONGEST:,}")
    return text


def _lists_needed(
    tokenizer: Any, messages: Sequence[Message], prompt: bool, words: Mapping[str, Any]
) -> tuple[str, ...]:
    """The lists without which a template fails and with which, even empty, it does not: that of a
    variant for tools or for documents (Command R+, Hermes). transformers gives it None for each."""
    known = arguments_read(template_of(tokenizer) or "")
    read = [n for n in LISTS if n in known and n not in words]
    for names in (*((n,) for n in read), tuple(read)):
        with contextlib.suppress(Exception):
            if names:
                _applied(tokenizer, messages, prompt, {**words, **{n: [] for n in names}})
                return names
    return ()


def _mend(
    tokenizer: Any,
    messages: Sequence[Message],
    prompt: bool,
    words: Mapping[str, Any],
    error: BaseException,
) -> str:
    """What to do about a template's error: a name that it reads may have no value, or it may need a
    system text, or take none."""
    lost = re.match(r"'(\w+)' is undefined", str(error))
    if lost and lost[1] in arguments_read(template_of(tokenizer) or ""):
        return f"give {lost[1]} a value among the template's arguments"
    others = [m for m in messages if m["role"] != "system"]
    begins = len(others) < len(messages)
    with contextlib.suppress(Exception):
        _applied(tokenizer, others if begins else with_system(messages), prompt, words)
        return (
            "leave out the system text, which it does not take"
            if begins
            else "give a system text (--system, or a message of the role system), which it needs"
        )
    return "expected roles and contents that it accepts"


def with_system(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation behind a system text, for a template that needs one."""
    return [{"role": "system", "content": "Help."}, *map(dict, messages)]


def _reads(tokenizer: Any, probe: Sequence[Message], words: Mapping[str, Any] | None) -> bool:
    for turns in (probe, with_system(probe)):
        with contextlib.suppress(InputError):
            return MARK.lower() in _rendered(tokenizer, turns, True, words).lower()
        if probe[0]["role"] == "system":
            break
    return False


def _missing(text: str, messages: Sequence[Message]) -> list[str]:
    """Roles whose contents are not in the text unchanged, or are so short that the template's own
    words may hold them."""
    gone = [
        m["role"]
        for m in messages
        if isinstance(m.get("content"), str)
        and (m["content"].strip() not in text or 0 < len(m["content"].strip()) < SHORT)
    ]
    return [role for role in ("user", "system") if role in gone]


def _probe(role: str) -> list[dict[str, Any]]:
    return (
        [{"role": "user", "content": MARK}]
        if role == "user"
        else [{"role": role, "content": MARK}, {"role": "user", "content": "a"}]
    )


def _in_parts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    parts = [
        {"type": "text", "text": m["content"]} if isinstance(m.get("content"), str) else None
        for m in messages
    ]
    return [
        {**m, "content": [part]} if part else dict(m)
        for m, part in zip(messages, parts, strict=True)
    ]


def _name(tokenizer: Any) -> str:
    return getattr(tokenizer, "name_or_path", None) or "this model"
