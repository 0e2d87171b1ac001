"""The chat template of a merged checkpoint: it renders just the text that the veneer's base was
fitted behind, so that any engine that renders chat templates asks as `veneer generate` does."""

from __future__ import annotations

import logging
from typing import Any

from veneer.embed.inputs import frame
from veneer.foundation.errors import InputError
from veneer.models.formats import PlainFormat
from veneer.models.templates import render
from veneer.prompts.prompt import PLACE, Prompt
from veneer.prompts.templates import GAP

ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})

TURNS = """\
{{%- set cue = {cue} -%}}
{{%- set first = ({part} if messages[0]["role"] == "user" else "") + messages[0]["content"] -%}}
{{{{- {begin} -}}}}
{{%- for message in messages -%}}
{{%- if message["role"] == "user" -%}}
{{{{- ("" if loop.first else {gap}) + {question} -}}}}
{{%- elif message["role"] == "assistant" -%}}
{{{{- cue + message["content"] + ({end} if loop.last else "") -}}}}
{{%- elif message["role"] in ["system", "developer"] -%}}
{{{{- ("" if loop.first else {gap}) + message["content"] -}}}}
{{%- else -%}}
{{{{- raise_exception("expected the roles system, user and assistant, found " + message["role"]) \
-}}}}
{{%- endif -%}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}
{{{{- cue -}}}}
{{%- endif -%}}"""

TRANSCRIPT = """\
{{%- set answered = messages|length == 2 and messages[1]["role"] == "assistant" -%}}
{{%- set alone = messages[0]["role"] == "user" and (messages|length == 1 or answered) -%}}
{{%- set first = messages[0]["content"] if alone or messages[0]["role"] in ["system", "developer"] \
else "User: " -%}}
{{{{- {begin} -}}}}
{{%- for message in messages -%}}
{{%- if message["role"] not in ["system", "developer", "user", "assistant"] -%}}
{{{{- raise_exception("expected the roles system, user and assistant, found " + message["role"]) \
-}}}}
{{%- endif -%}}
{{%- if not alone -%}}
{{{{- "" if loop.first else {gap} -}}}}
{{{{- "User: " if message["role"] == "user" else ("Assistant: " if message["role"] == "assistant" \
else "") -}}}}
{{%- endif -%}}
{{{{- message["content"] -}}}}
{{{{- {end} if loop.last and message["role"] == "assistant" else "" -}}}}
{{%- endfor -%}}
{{%- if add_generation_prompt and not alone -%}}
{{{{- {gap} + "Assistant:" -}}}}
{{%- endif -%}}"""


def fitted_template(tokenizer: Any, form: PlainFormat) -> str | None:
    """The chat template (Jinja) that gives the very token ids of `form` (`PlainFormat.encode`): BOS
    once where the tokenizer has one, one user message in the template's place, a conversation as
    `templates.wrapped` lays it out, the end token behind an answer that is last. None, with a
    warning, for a tokenizer that cuts a rendered text in another way than a plain one.
    """
    before = tokenizer.chat_template
    try:
        for blank in (False, True):
            tokenizer.chat_template = chat_template(
                form.template, begin=_begin(tokenizer), end=tokenizer.eos_token or "", blank=blank
            )
            if all(_same(tokenizer, form, turns) for turns in _tried()):
                return str(tokenizer.chat_template)
    finally:
        tokenizer.chat_template = before
    logging.getLogger("veneer").warning(
        "veneer: the tokenizer of %s cuts a chat template's text in another way than a plain "
        "text, so the checkpoint has no chat template; prompt it with plain text",
        tokenizer.name_or_path or "this model",
    )
    return None


def chat_template(template: str, *, begin: str = "", end: str = "", blank: bool = False) -> str:
    """The Jinja text for `template`. begin: the special tokens in front of every prompt. end: the
    end token. blank: put a blank in front of the first word, as some tokenizers do at the start of
    a text and not behind a special token."""
    start = _quoted(begin) + (' + ("" if first[:1] == " " else " ")' if blank else "")
    words = {"begin": start, "end": _quoted(end), "gap": _quoted(GAP)}
    if template == PLACE:
        return TRANSCRIPT.format(**words)
    *parts, cue = template.split(PLACE)
    question = " + ".join(f'{_quoted(part)} + message["content"]' for part in parts)
    return TURNS.format(cue=_quoted(cue), part=_quoted(parts[0]), question=question, **words)


def _begin(tokenizer: Any) -> str:
    """The text of the special tokens that the tokenizer puts before every prompt."""
    return "".join(tokenizer.convert_ids_to_tokens(frame(tokenizer)[0]))


def _tried() -> list[tuple[dict[str, str], ...]]:
    """Conversations on which a rendered template is compared."""
    user, answer, system, blank = (
        {"role": role, "content": text}
        for role, text in (
            ("user", 'Is 2 < 3?\n\nSay why, "briefly".'),
            ("assistant", "Yes: 3 - 2 = 1."),
            ("system", "Be kind."),
            ("user", " \u00e0 la carte\u2028"),
        )
    )
    return [(user,), (blank,), (user, answer, user), (system, user)]


def _same(tokenizer: Any, form: PlainFormat, turns: tuple[dict[str, str], ...]) -> bool:
    prompt = Prompt("tried", turns, "", template=PLACE)
    try:
        return render(tokenizer, list(turns), add_generation_prompt=True) == form.encode(
            tokenizer, prompt
        )
    except InputError:
        return False


def _quoted(text: str) -> str:
    """A string of Jinja. Escapes are few: engines know the usual ones, and none in common
    for other signs."""
    return f'"{text.translate(ESCAPED)}"'
