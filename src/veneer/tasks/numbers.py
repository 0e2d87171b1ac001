"""Numbers in answers: cut the answer, find its number, compare numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

# 1,234.50 (thousands, also 1,00,000), 12, 12.5, .5; a comma between other digits separates numbers
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
# a minus is a sign unless something that can be subtracted from stands right before it: "3-5" holds 3 and 5
_NUMBER = rf"(?P<sign>(?<![\w.)\]%])[-−]\s?)?(?P<money>[$€£]\s?)?(?P<inner>(?<=[$€£])[-−])?(?P<digits>{_DIGITS})"
_number = re.compile(_NUMBER)
_stated = re.compile(rf"(?:####|\banswer\s+is\b|\banswer\s*:)[\s:=*_`~]*(?:\\?\$?\\boxed\{{|\\\(|\\)?\s*{_NUMBER}", re.IGNORECASE)


def cut(text: str, marks: Sequence[str]) -> str:
    """The text before the first of `marks`: what follows is a next question that a base model asks itself."""
    return text[: min((at for m in marks if (at := text.find(m)) >= 0), default=len(text))]


def last_number(text: str) -> Decimal | None:
    """The last number of a text: 1,234.5 of "It costs $1,234.50."."""
    return _last(_number, text)


def stated_number(text: str) -> Decimal | None:
    """The number that is stated as the answer, "The answer is 72." or "#### 72"; the last one."""
    return _last(_stated, text)


def equal(found: Decimal | None, answer: str) -> bool:
    """Whether a number is the answer: 72, 72.0 and 72.00 are one number."""
    return found is not None and found == Decimal(answer.replace(",", ""))


def _last(pattern: re.Pattern[str], text: str) -> Decimal | None:
    found = list(pattern.finditer(text))
    return _value(found[-1]) if found else None


def _value(match: re.Match[str]) -> Decimal:
    value = Decimal(match["digits"].replace(",", ""))
    return -value if match["sign"] or match["inner"] else value
