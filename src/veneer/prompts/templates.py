"""Templates around a prompt for a base model: their names, conversations within one, and the
strings that end an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import PLACE, one_turn, transcript

# the instruction template of Alpaca (Taori et al. 2023) without an input
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes "
    "the request.\n\n"
    "### Instruction:\n{prompt}\n\n### Response:"
)
# of word problems (Chen et al., arXiv 2502.04602)
QUESTION = "Answer the following question.\n\nQuestion: {prompt}\nAnswer:"
NAMED = {
    "alpaca": ALPACA,
    "question": QUESTION,
    "answer": "{prompt}\n\nAnswer:",
    "qa": "Q: {prompt}\nA:",
    "user": "User: {prompt}\n\nAssistant:",
    "plain": PLACE,
}
CHAT = "chat"  # as a name: the tokenizer's own chat template
GAP = "\n\n"  # between the turns of a conversation
SHOWN = 60  # characters of a template without a name


def given_template(value: str) -> str:
    """Return the template of a name in `NAMED`, or `value` itself where it has {prompt} in it.
    Raises InputError for anything else."""
    if value in NAMED:
        return NAMED[value]
    if PLACE not in value:
        raise InputError(
            f"the template {value!r} has no {{prompt}} and is no name of a template; put "
            f"{{prompt}} where the text goes, or give one of {', '.join([*NAMED, CHAT])}"
        )
    return value


def short(template: str | None) -> str:
    """Return a template's name, or its text in quotes, shortened."""
    if template is None:
        return "a text of each prompt's own"
    for name, text in NAMED.items():
        if text == template:
            return name
    return repr(template if len(template) <= SHOWN else f"{template[: SHOWN - 3]}...")


def wrapped(template: str, messages: Sequence[dict[str, str]]) -> str:
    """Chat turns as the text that a base model reads behind `template`, up to where
    its answer begins.

    One user message takes the place of {prompt}. In a longer conversation each user message stands
    in a template of its own, the answer that was given directly behind it, and a system text in
    front, each with an empty line between. The template that adds nothing gives a `transcript`.
    """
    if one_turn(messages):
        return template.replace(PLACE, messages[0]["content"])
    if template == PLACE:
        return transcript(messages)
    out = ""
    *_, cue = template.split(PLACE)
    before = template[: len(template) - len(cue)]
    for turn in messages:
        if turn["role"] == "assistant":
            out += cue + turn["content"]
            continue
        text = before.replace(PLACE, turn["content"]) if turn["role"] == "user" else turn["content"]
        out += (GAP if out else "") + text
    return out + cue


def marks(template: str) -> tuple[str, ...]:
    """Strings that end an answer behind this template: the line that begins the next turn, as a
    model writes it that goes on alone ("\\n### Instruction:"). None where no line of words stands
    in front of {prompt}."""
    lines = [line for line in template.split(PLACE)[0].split("\n") if line.strip()]
    if not lines or re.search(r"\w", lines[-1]) is None:
        return ()
    return (f"\n{lines[-1].strip()}",)
