"""Numbers in answers: cut the answer, find its number, compare numbers. docs/files.md has
the rule in words.

The forms are those that public extractors were reported to misread: 9{,}500 and 8,000 in a box
(opencompass#2647), a comma behind the number (HELM#4337), 2 2/3 (Math-Verify#81), \\frac12
(Math-Verify#35), 1 000 and 1.234.567 (followthemoney#331).
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Value = Decimal | Fraction

_MINUS = r"\-−–－"
_MONEY = r"\\?[$€£¥₹₩]"
# what parts thousands: a comma, LaTeX's {,} and ,\! and \, an underscore, an apostrophe, blanks
# that do not break a line
_PART = r"(?:,\\!|,|\{,\}|\\,|_|['’]|[\u00a0\u2009\u202f])"
# 12 345 678, 1 000; but not "2 300 g bags"
_BLANK = r"(?:[ ]\d{3}(?!\d)(?:[ ]\d{3}(?!\d))+|[ ]0\d\d(?!\d))"
# 1,234.50 (thousands, also 1,00,000), 1.234.567, 1.234,56, 12, 12.5, .5; a comma between other
# digits separates numbers
_GROUPED = rf"\d{{1,3}}(?:{_PART}\d{{2,3}}){{0,20}}{_PART}\d{{3}}(?!\d)"
_DIGITS = rf"""(?:
    \d{{1,3}}(?:\.\d{{3}})+,\d{{1,2}}(?!\d) | \d{{1,3}}(?:\.\d{{3}}){{2,9}}(?![\d.]*\d)
  | (?:{_GROUPED} | \d{{1,3}}{_BLANK} | \d+)(?:\.\d+)?
  | (?<![\w.)\]}}])\.\d+
)"""
# m2 is a unit, also behind its number as in 10m2
_SQUARED = "|".join(rf"(?<=\b{u})|(?<=\d{u})" for u in ("m", "cm", "km", "mm", "ft"))
_UNIT = rf"(?!(?:{_SQUARED})[23](?!\d))"
_VULGAR = r"[¼-¾⅐-⅞]"
_FRACTION = (
    r"\\[dt]?frac\s*(?:\{\s*(?P<up>\d{1,30})\s*\}\s*\{\s*(?P<down>\d{1,30})\s*\}|(?P<up1>"
    r"\d)\s*(?P<down1>\d))"
)
_TEXT = r"\\(?:text|mathrm|textrm)\{\s*"
_SCALE = rf"(?:{_TEXT}k\s*\}}|[kK]|(?:\\[,;]|\s)?(?:{_TEXT})?(?:thousand|million|billion|trillion))"
_number = re.compile(
    rf"""
    (?<![\^])(?<!\^\{{)(?<!\^[{_MINUS}])(?<!\^\{{[{_MINUS}])(?<![A-Za-z}}]_)(?<![A-Za-z}}]_\{{)
    # neither an exponent nor an index; the sign:
    (?P<sign>(?<![\w.)\]%}}])[{_MINUS}](?=[^\s])
           | (?:(?<=[=(\[{{:])|(?<=[=(\[{{:]\ )|(?<=\bis\ ))[{_MINUS}]\ )?
    (?P<money>{_MONEY}\s?)?(?P<inner>(?<=[$€£¥₹₩])[{_MINUS}])?
    (?:
        {_FRACTION}
      | (?P<vulgar>{_VULGAR})
      | (?<!\d){_UNIT}(?P<digits>{_DIGITS})
        (?:
            (?P<part>{_VULGAR}) | \s?{_FRACTION.replace("up", "mixup").replace("down", "mixdown")}
          | [ ](?P<over>\d{{1,9}})/(?P<under>\d{{1,9}})(?![\d/]|\.\d|,\d)
          | (?<!/\d)(?<!/\d\d)(?<!/\d{{4}})/(?P<below>\d{{1,30}})(?![\d/]|\.\d|,\d)
          | [eE](?P<e>[+{_MINUS}]?\d{{1,3}})(?!\w)
          | \s*(?:\\times|\\cdot|×|\*|x)\s*10\s*\^\s*\{{?\s*(?P<ten>[{_MINUS}]?\d{{1,3}})\s*\}}?
          | \^\s*\{{?(?P<power>\d{{1,2}})\}}?
        )?
        (?P<scale>{_SCALE}(?![A-Za-z0-9])|(?<=\d)[MB](?![A-Za-z0-9]))?
    )
    """,
    re.VERBOSE,
)
# signs, quotes and brackets that may stand before a stated answer, and a full-width colon
_BEFORE = r"[\s:\uff1a=*_`~≈+\"'“‘«(\[]*"
_marker = re.compile(
    rf"(?:####|\banswer\s+is\b|\banswer[*_\s]*[:\uff1a]){_BEFORE}"
    r"(?:\\?\$?\$?\\(?:boxed|fbox)\{|\$\$|\\\(|\\\[|\\(?![a-z$]))?\s*",
    re.IGNORECASE,
)
_box = re.compile(r"\\(?:boxed|fbox)\s*\{")
_joined = re.compile(r"(?<![\d.,])(\d{1,3})((?: \d{3})+)(?![\d-]|[.,]\d{3})")
_step = re.compile(
    r"[\s$)]*(?:[A-Za-z]+|%)?[\s$)]*(?P<op>\\times|\\div|\\cdot|"
    rf"[+*/×÷·x=≈{_MINUS}])[\s$]*(?=[\d$€£¥₹₩.{_MINUS}\\])"
)
_SCALES = {
    "k": 10**3,
    "thousand": 10**3,
    "million": 10**6,
    "M": 10**6,
    "billion": 10**9,
    "B": 10**9,
    "trillion": 10**12,
}
LONGEST = 2000  # characters that are read behind a marker or in a box
MARKS = 50
_LONGEST_POWER = 30  # digits of a number that is raised to a power


@dataclass(frozen=True, slots=True)
class _Reading:
    """A number read from a text. value: with its scale, 1,200 of "1.2k". bare: without it, for an
    answer that counts in thousands. end: the index behind it."""

    value: Value
    bare: Value
    end: int


def cut(text: str, marks: Sequence[str]) -> str:
    """Return the text before the first of `marks`, behind which a base model writes the next
    question itself."""
    return text[: min((at for m in marks if (at := text.find(m)) >= 0), default=len(text))]


def last_number(text: str) -> Value | None:
    """Return the last number of a text: 1,234.5 of "It costs $1,234.50."."""
    reading = _last(text)
    return reading.value if reading else None


def stated_number(text: str) -> Value | None:
    """The number that is stated as the answer, "The answer is 72.", "#### 72" or \\boxed{72}; the
    last one. In "The answer is 5 + 3 = 8" it is the result."""
    reading = _stated(text)
    return reading.value if reading else None


def last_is(text: str, answer: str) -> bool:
    """Return whether the last number of a text is the answer."""
    return _is(_last(text), answer)


def stated_is(text: str, answer: str) -> bool:
    """Return whether the number stated as the answer is the right one."""
    return _is(_stated(text), answer)


def equal(value: Value | None, answer: str) -> bool:
    """Return whether a number is the answer: 72, 72.0 and 72.00 are one number."""
    return value is not None and value == Decimal(answer.replace(",", ""))


def plain_decimal(text: str) -> str | None:
    """Return a number that is written alone, as an answer of a task, without its thousands commas;
    None for anything else, such as 1,5."""
    if re.fullmatch(r"-?(?:[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}|[0-9]+)(?:\.[0-9]+)?", text) is None:
        return None
    return text.replace(",", "")


def _is(reading: _Reading | None, answer: str) -> bool:
    return reading is not None and (equal(reading.value, answer) or equal(reading.bare, answer))


def _last(text: str) -> _Reading | None:
    return next(iter(deque(_readings(text), maxlen=1)), None)


def _readings(text: str) -> Iterator[_Reading]:
    at = 0
    while match := _number.search(text, at):
        yield _value(match)
        at = match.end()


def _stated(text: str) -> _Reading | None:
    """Return the last of the numbers behind a marker and the last numbers in boxes; of the last
    MARKS markers and boxes."""
    places = [(m.start(), m.end(), _behind) for m in _marker.finditer(text)]
    places += [(m.start(), m.end(), _inside) for m in _box.finditer(text)]
    readings = (
        read(text, end) for _, end, read in sorted(places, key=lambda p: p[0], reverse=True)[:MARKS]
    )
    return next((r for r in readings if r is not None), None)


def _behind(text: str, at: int) -> _Reading | None:
    behind = _joined.sub(_without_blanks, text[at : at + LONGEST])
    match = _number.match(behind)
    return _result(behind, _value(match)) if match else None


def _inside(text: str, at: int) -> _Reading | None:
    return _last(_joined.sub(_without_blanks, _braced(text, at)))


def _without_blanks(match: re.Match[str]) -> str:
    """12 500 as 12500: where one number is stated, a blank before three digits parts thousands."""
    return match[0].replace(" ", "")


def _braced(text: str, at: int) -> str:
    """Return what stands between an opened brace and the one that closes it; at most LONGEST
    characters."""
    depth = 1
    for end in range(at, min(len(text), at + LONGEST)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[at:end]
    return text[at : at + LONGEST]


def _result(text: str, first: _Reading) -> _Reading:
    """Return the result of the calculation that begins with `first`: 8 of "5 + 3 = 8", but 8 of "8
    = 5 + 3", and `first` where there is none."""
    at, result, open_ = first.end, first, False
    while step := _step.match(text, at):
        match = _number.match(text, step.end())
        if match is None:
            break
        reading = _value(match)
        open_ = step["op"] not in "=≈"
        result = result if open_ else reading
        at = match.end()
    return first if open_ else result


def _value(match: re.Match[str]) -> _Reading:
    bare = (
        _fraction(match["up"], match["down"], match["up1"], match["down1"])
        or _vulgar(match["vulgar"])
        or _decimal(match)
    )
    if match["sign"] or match["inner"]:
        bare = bare.copy_negate() if isinstance(bare, Decimal) else -bare
    scale = _scale(match)
    return _Reading(bare if scale == 1 else Fraction(bare) * scale, bare, match.end())


def _decimal(match: re.Match[str]) -> Value:
    """Return the value of the digits and what belongs to them; of a fraction over 0, what stands
    above it."""
    value = Decimal(_plain(match["digits"] or match["up"] or match["up1"]))
    part = (
        _fraction(match["mixup"], match["mixdown"], match["mixup1"], match["mixdown1"])
        or _fraction(match["over"], match["under"])
        or _vulgar(match["part"])
    )
    if part is not None:  # "3 4/2" are two numbers, of which the last counts
        return Fraction(value) + part if part < 1 and "." not in match["digits"] else part
    if match["below"]:
        return Fraction(value) / int(match["below"]) if int(match["below"]) else value
    if tens := match["e"] or match["ten"]:
        return Fraction(value) * Fraction(10) ** int(re.sub(f"[{_MINUS}]", "-", tens))
    if match["power"] and len(match["digits"]) <= _LONGEST_POWER:
        return Fraction(value) ** int(match["power"])
    return value


def _vulgar(sign: str | None) -> Fraction | None:
    """½ and its like."""
    return (
        Fraction(str(round(unicodedata.numeric(sign), 12))).limit_denominator(10) if sign else None
    )


def _plain(digits: str) -> str:
    """Return the digits with a decimal point and nothing else between them."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{1,2}", digits):
        return digits.replace(".", "").replace(",", ".")
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", digits):
        return digits.replace(".", "")
    return re.sub(r"[^\d.]", "", digits)


def _fraction(*parts: str | None) -> Fraction | None:
    given = [int(p) for p in parts if p]
    return Fraction(given[0], given[1]) if len(given) == 2 and given[1] else None


def _scale(match: re.Match[str]) -> int:
    """1,000 of "k" and "thousand", and so on; M and B count behind a sign of money alone, since 5
    M may be metres."""
    if not match["scale"]:
        return 1
    word = re.sub(r"\\(?:text|mathrm|textrm)|[\\{}\s,;]", "", match["scale"])
    if word in ("M", "B") and not match["money"]:
        return 1
    return _SCALES[word if word in _SCALES else word.lower()]
