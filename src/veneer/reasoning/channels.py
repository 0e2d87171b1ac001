"""Harmony, the form in which gpt-oss writes: messages in channels, of which only
"final" is the answer.

`<|channel|>analysis<|message|>...<|end|>`, then
`<|start|>assistant<|channel|>final<|message|>...<|return|>`; without its special tokens, as many
tools store it, `analysis...assistantfinal...`. OpenAI, "Harmony
response format", https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from veneer.reasoning.parts import ResponseParts, joined

MARK = re.compile(r"<\|(start|channel|message|end|return|call|constrain)\|>")
BEGIN = re.compile(r"\s*(?:<\|start\|>\s*)?(?:assistant\s*)?<\|channel\|>\s*\w")
CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
HEADER_AT_THE_END = re.compile(r"<\|channel\|>\s*\w+[^<\n]*<\|message\|>\s*\Z")

# Without special tokens "analysis" is glued to the first word of the thought: a capital letter and
# a sentence, no name as in code.
GLUED = re.compile(
    r"""\s*(?:assistant)?analysis(?=[A-Z"“'(\[*][\w'’.,:?!"“-]* +["“'(]?[A-Za-z0-9])"""
)
BARE = re.compile(r"\s*(?:assistant)?(analysis|commentary)(?=\S|\s)")
NEXT = re.compile(r"assistant\s*(analysis|commentary|final)")
ONLY_FINAL = re.compile(r"\s*assistantfinal(?=\S)")

Message = tuple[str, str]  # channel, or "call" for what is addressed to a tool; text


def header_at_the_end(prompt: str) -> str:
    """Return the header of the message that a prompt has begun, or nothing."""
    mark = HEADER_AT_THE_END.search(prompt)
    return mark[0].strip() if mark else ""


def split_channels(text: str, opened: str, certain: Collection[str]) -> ResponseParts | None:
    """None for a text in no channels. The answer is every message of "final"; without one, what
    "commentary" tells the user."""
    whole = opened + text if "<|message|>" in opened else text
    if BEGIN.match(whole) or (("<|channel|>" in certain) and CHANNEL.search(whole)):
        return _parts(*_messages(whole))
    if opened:
        return None
    if mark := ONLY_FINAL.match(text):
        return ResponseParts(None, text[mark.end() :].lstrip())
    bare = BARE.match(text)
    if bare and (GLUED.match(text) or re.compile(r"assistant\s*final").search(text, bare.end())):
        return _parts(_stripped(text, bare), closed=False)
    return None


def _parts(messages: list[Message], closed: bool) -> ResponseParts:
    final = [t for c, t in messages if c == "final"]
    texts = final or [t for c, t in messages if c == "commentary"]
    thoughts = [
        t for c, t in messages if c == "analysis" or c == "call" or (final and c == "commentary")
    ]
    answer = "\n\n".join(t.strip() for t in texts[:-1] if t.strip())
    last = texts[-1].lstrip() if texts else ""
    answer = f"{answer}\n\n{last}" if answer and last else answer or last
    closed = closed or bool(answer.strip())
    return ResponseParts(joined(thoughts, closed=closed), answer, closed)


def _messages(text: str) -> tuple[list[Message], bool]:
    """(channel, text) of each message up to the end of the turn, and whether the
    last one was ended."""
    out: list[Message] = []
    header: str | None = ""
    channel, at, ended = "final", 0, True
    for mark in MARK.finditer(text):
        kind, piece = mark[1], text[at : mark.start()]
        at = mark.end()
        if kind == "message":
            header = f"{header or ''}{piece}"
            named = CHANNEL.search(header)
            channel = named[1] if named else "final"
            channel = "call" if channel == "commentary" and " to=" in header else channel
            header, ended = None, False
        elif header is not None:
            header += piece + mark[0]
        else:
            out.append((channel, piece))
            ended, channel = True, "final"
            header = mark[0] if kind in ("start", "channel") else ""
            if kind in ("return", "call"):
                return out, True
    rest = text[at:]
    if header is None:
        out.append((channel, rest))
    # words behind an ended message, without a header of their own
    elif not MARK.search(header) and rest.strip():
        out.append(("final", rest))
    return out, ended


def _stripped(text: str, first: re.Match[str]) -> list[Message]:
    """Return the messages of a text whose special tokens are gone."""
    out: list[Message] = []
    channel, at = first[1], first.end()
    for mark in NEXT.finditer(text, at):
        out.append((channel, text[at : mark.start()]))
        channel, at = mark[1], mark.end()
    out.append((channel, text[at:]))
    return [
        ("call" if c == "commentary" and t.lstrip().startswith("to=") else c, t) for c, t in out
    ]
