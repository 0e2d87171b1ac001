"""The marks with which models separate their reasoning. docs/thinking.md lists the models of
each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from re import Pattern

NAME = (
    r"(?:[a-z]\w{0,15}:)?(?:think(?:ing)?|thoughts?|reasoning(?:_scratchpad)?|"
    r"scratchpad|reflection)"
)
ATTRIBUTES = r"(?:[ \t]+\w+=[^<>\]\n]*)?[ \t]*"
BRACKETS = {"<|": r"\|>", "<": r">", "[": r"\]", "◁": r"▷"}


@dataclass(frozen=True)
class Style:
    """open, close: patterns of the marks. prose: the opening mark is an ordinary sentence, which
    counts only where the closing one follows. alone: the closing mark says enough where the opening
    one stands in the prompt."""

    open: Pattern[str]
    close: Pattern[str]
    prose: bool = False
    alone: bool = True


def _style(
    open: str, close: str, *, prose: bool = False, alone: bool = True, flags: int = 0
) -> Style:
    return Style(re.compile(open, flags), re.compile(close, flags), prose, alone)


def _tag(left: str, name: str = NAME, *, closing: bool = False) -> str:
    slash = r"[ \t]*/[ \t]*" if closing else r"[ \t]*"
    return rf"{re.escape(left)}{slash}(?P<name>{name}){ATTRIBUTES}{BRACKETS[left]}"


TAGS = {left: _style(_tag(left), _tag(left, closing=True), flags=re.I) for left in BRACKETS}
PAIRS = (
    _style(
        r"<\|(?:begin|start)_of_(?:thought|think|thinking)\|>",
        r"<\|end_of_(?:thought|think|thinking)\|>",
    ),
    _style(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>|(?=<\|START_(?:RESPONSE|TEXT)\|>)"),
    _style(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    _style(r"<\|channel>[ \t]*(?:thought\b)?", r"<channel\|>"),
    _style(r"<unused94>[ \t]*(?:thought\b)?", r"<unused95>"),
    _style(r"\[unused16\]", r"\[unused17\]"),
    _style(
        r"<\|open\|>think<\|sep\|>", r"<\|close\|>think<\|sep\|>|(?=<\|open\|>response<\|sep\|>)"
    ),
    _style(r"<details[ \t]+type=\"reasoning\"[^>\n]*>", r"</details>", alone=False),
    _style(
        r"Here(?:'s|’s| is) my thought process:",
        r"Here(?:'s|’s| is) my response:",
        prose=True,
        alone=False,
    ),
    _style(r"Here are my reasoning steps:", r"(?=\[BEGIN FINAL RESPONSE\])", prose=True),
    _style(r"Thinking\.\.\.[ \t]*\n", r"\n[ \t]*\.\.\.done thinking\.", prose=True, alone=False),
)
STYLES = (*TAGS.values(), *PAIRS)

# What models put around the answer that follows a thought.
WRAPPERS = tuple(
    (re.compile(rf"\s*{open}", re.I), re.compile(close, re.I))
    for open, close in (
        (r"<answer>", r"</answer>"),
        (r"<response>", r"</response>"),
        (r"<output>", r"</output>"),
        (r"<solution>", r"</solution>"),
        (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>"),
        (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>"),
        (r"<\|START_TEXT\|>", r"<\|END_TEXT\|>"),
        (r"\[BEGIN FINAL RESPONSE\]", r"\[END FINAL RESPONSE\]"),
        (r"<\|open\|>response<\|sep\|>", r"<\|close\|>(?:response|message)<\|sep\|>"),
    )
)
WRAPPED = re.compile("|".join(rf"(?:{open.pattern})" for open, _ in WRAPPERS), re.I)

# Special tokens that are marks only together with others: harmony's, Kimi K3's, and those
# around an answer.
HARMONY = ("start", "channel", "message", "end", "return", "call", "constrain")
KIMI = ("open", "close", "sep")
ANSWER = (
    "START_RESPONSE",
    "END_RESPONSE",
    "START_TEXT",
    "END_TEXT",
    "begin_of_solution",
    "end_of_solution",
)
PARTS = frozenset(f"<|{name}|>" for name in (*HARMONY, *KIMI, *ANSWER))

# Opening marks as they are mostly written, in lower case, for texts that come token by token.
TAG_NAMES = (
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reasoning_scratchpad",
    "scratchpad",
    "reflection",
    "seed:think",
    "mm:think",
)
BEGINNINGS = (
    *(f"<{n}>" for n in TAG_NAMES),
    *(f"<|{n}|>" for n in TAG_NAMES),
    "[think]",
    "◁think▷",
    "<|begin_of_thought|>",
    "<|start_thinking|>",
    "<|inner_prefix|>",
    "<|channel>",
    "<|channel|>a",
    "<unused94>",
    "[unused16]",
    "<|open|>think<|sep|>",
    "here is my thought process:",
    "here's my thought process:",
    "here are my reasoning steps:",
    "thinking...\n",
    "assistantfinal",
)

# What may stand in front of a first thought: white space, and the turn's own header.
HEAD = re.compile(
    r"(?:\s|<\|im_start\|>|<\|start_header_id\|>|<\|end_header_id\|>|<\|start\|>|(?i:assistant|"
    r"model)\b[ \t"
    r"]*:?(?=\s|<))*"
)
ANY = re.compile(
    "|".join(
        f"(?:{re.sub(r'[?]P<name>', '?:', p.pattern)})" for s in STYLES for p in (s.open, s.close)
    ),
    re.I,
)


def style_of(mark: re.Match[str], style: Style) -> Style:
    """Return the style of one opening mark: a tag is closed by the tag of its own name."""
    name = mark.groupdict().get("name")
    if name is None:
        return style
    left = next(left for left, tags in TAGS.items() if tags is style)
    own = re.escape(name)
    return _style(_tag(left, own), _tag(left, own, closing=True), flags=re.I)


def mark_at_the_start(token: str) -> bool:
    """Return whether a token is a mark of reasoning, or a part of one."""
    return token in PARTS or any(
        p.match(token) for s in STYLES if not s.prose for p in (s.open, s.close)
    )


def prose_marks(template: str) -> frozenset[str]:
    """Return the sentences that open a thought, of those that a chat template holds."""
    return frozenset(m[0].strip() for s in STYLES if s.prose for m in s.open.finditer(template))


def may_begin(text: str) -> bool:
    """Return whether a text so far could be the beginning of an opening mark, so that it is too
    early to take it for an answer. Behind an opening mark that is an ordinary sentence, too: the
    closing one decides."""
    begun = text.lstrip().lower()
    return any(
        mark.startswith(begun) or (mark.endswith((":", "\n")) and begun.startswith(mark))
        for mark in BEGINNINGS
    )
