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

from veneer.tasks.number_words import number_in_words

Value = Decimal | Fraction

_MINUS = r"\-−–‒－﹣"
_MONEY = r"\\?[$€£¥₹₩]"
# what parts thousands: a comma, LaTeX's {,} and ,\! and \, an underscore, an apostrophe, blanks
# that do not break a line or are narrow
_PART = r"(?:,\\!|,|\{,\}|\\[,;: ]|_|['’]|[\u00a0\u2004-\u200a\u202f])"
# 12 345 678, 1 000; but not "2 300 g bags"
_BLANK = r"(?:[ ]\d{3}(?!\d)(?:[ ]\d{3}(?!\d))+|[ ]0\d\d(?!\d))"
# 1,234.50 (thousands, also 1,00,000), 1.234.567, 1.234,56, 12, 12.5, .5
_GROUPED = rf"\d{{1,3}}(?:{_PART}\d{{2,3}}){{0,20}}{_PART}\d{{3}}(?!\d)"
_DIGITS = rf"""(?:
    \d{{1,3}}(?:\.\d{{3}})+,\d{{1,2}}(?!\d) | \d{{1,3}}(?:\.\d{{3}}){{2,9}}(?![\d.]*\d)
  | (?:{_GROUPED} | \d{{1,3}}{_BLANK} | \d+)(?:\.\d+)?
  | (?<![\w.)\]}}])\.\d+
)"""
# other digits with a comma between them are one number to one reader and several to another
_CLEAR = r"""(?:
    \d{1,3}(?:,\d{2,3}){0,20},\d{3}(?:\.\d+)? | \d{1,3}(?:\.\d{3})+,\d{1,2}
)(?!\d|[.,]\d)"""
_UNCLEAR = rf"(?!{_CLEAR})\d+(?:\.\d+){{0,9}}(?:,\d+)+(?:\.\d+)?"
# m2 is a unit, also behind its number as in 10m2
_SQUARED = "|".join(rf"(?<=\b{u})|(?<=\d{u})" for u in ("m", "cm", "km", "mm", "ft"))
_UNIT = rf"(?!(?:{_SQUARED})[23](?!\d))"
_VULGAR = r"[¼-¾⅐-⅞]"
_RAISED = r"[⁰¹²³⁴-⁹]"
_OF = rf"[{_MINUS}]?(?:\d{{1,3}}(?:,\d{{3}}){{1,9}}|\d{{1,30}})(?:\.\d{{1,30}})?"
_FRAC = r"\\[dtc]?frac\s*"
_FRACTION = (
    rf"{_FRAC}(?:\{{\s*(?P<up>{_OF})\s*\}}\s*\{{\s*(?P<down>{_OF})\s*\}}"
    r"|(?P<up1>\d)\s*(?P<down1>\d))"
)
# what no rule here computes: a fraction or a root of other things, and pi
_INNER = r"\{(?:[^{}]|\{[^{}]{0,60}\}){0,60}\}"
_OTHER = (
    rf"{_FRAC}{_INNER}\s*{_INNER}|\\sqrt\s*(?:\[[^\]]{{0,9}}\])?\s*(?:{_INNER}|\d)|\\pi\b|[√π]\d*"
)
_TEXT = r"\\(?:text|mathrm|textrm)\{\s*"
_WORD = "(?:hundred|thousand|million|billion|trillion|lakh|crore|dozen)"
_SCALE = rf"(?:{_TEXT}k\s*\}}|[kK]|(?:\\[,;]|\s)?(?:{_TEXT})?{_WORD}s?)"
_SLASH = "[/⁄∕]"
_number = re.compile(
    rf"""
    (?<![\^])(?<!\^\{{)(?<!\^[{_MINUS}])(?<!\^\{{[{_MINUS}])(?<![A-Za-z0-9}}]_)(?<![A-Za-z0-9}}]_\{{)
    # neither an exponent nor an index; the sign:
    (?P<sign>(?<![\w.)\]%}}{_MINUS}])[{_MINUS}](?=[^\s])
           | (?:(?<=[=(\[{{:])|(?<=[=(\[{{:]\ )|(?<=\bis\ ))[{_MINUS}]\ )?
    (?P<money>{_MONEY}\s?)?(?P<inner>(?<=[$€£¥₹₩])[{_MINUS}])?
    (?:
        {_FRACTION}
      | (?P<other>{_OTHER})
      | (?P<vulgar>{_VULGAR})
      | (?<!\d)(?P<unclear>{_UNCLEAR})
      | (?<!\d){_UNIT}(?P<digits>{_DIGITS})
        (?:
            (?P<mixed>{_VULGAR}) | \s?{_FRACTION.replace("up", "mixup").replace("down", "mixdown")}
          | [ ](?:and[ ])?(?P<over>\d{{1,9}}){_SLASH}(?P<under>\d{{1,9}})(?![\d/]|\.\d|,\d)
          | [ ]and[ ](?P<half>an?[ ]half|one[ ]half|{_VULGAR})
          | (?<!/\d)(?<!/\d\d)(?<!/\d{{4}}){_SLASH}(?P<below>\d{{1,30}})(?![\d/]|\.\d|,\d)
          | [eE](?P<e>[+{_MINUS}]?\d{{1,3}})(?!\w)
          | \s*(?:\\times|\\cdot|×|\*|x)\s*10\s*
            (?:\^\s*\{{?\s*(?P<ten>[{_MINUS}]?\d{{1,3}})\s*\}}?|(?P<tens>⁻?{_RAISED}{{1,3}}))
          | [ ]?\^\s*\{{?\s*(?P<power>[{_MINUS}]?\d{{1,3}})(?!\d)\s*\}}?
          | (?P<raised>⁻?{_RAISED}{{1,3}})
        )?
        (?P<scale>(?:{_SCALE}|(?(money)(?<=\d)(?:\s?(?:[MB]|bn|mn)|m)|(?!)))(?![A-Za-z0-9]))?
    )
    """,
    re.VERBOSE,
)
# 18 dollars and 50 cents: the large unit, the small one, and how many of it are in the large one
_UNITS = (
    (r"dollars?|bucks?|euros?|pounds?", r"cents?|pence", 100),
    (r"years?", r"months?", 12),
    (r"weeks?", r"days?", 7),
    (r"days?", r"hours?|hrs?", 24),
    (r"hours?|hrs?|h", r"minutes?|mins?|m", 60),
    (r"minutes?|mins?", r"seconds?|secs?", 60),
    (r"feet|foot|ft", r"inch(?:es)?", 12),
    (r"pounds?|lbs?", r"ounces?|oz", 16),
    (r"met(?:er|re)s?|m", r"centimet(?:er|re)s?|cm", 100),
    (r"kilograms?|kg", r"grams?|g", 1000),
)
_GAP = rf"(?:\s|\\[,;: ]|{_TEXT}|\}}){{0,9}}"
_pairs = [
    (
        re.compile(rf"{_GAP}(?P<large>{large})\b,?{_GAP}(?:and\b)?{_GAP}", re.IGNORECASE),
        re.compile(rf"{_GAP}(?:{small})\b", re.IGNORECASE),
        ratio,
    )
    for large, small, ratio in _UNITS
]
_and = re.compile(rf"{_GAP}and\b{_GAP}", re.IGNORECASE)  # $18 and 50 cents
_wide = re.compile(r"[０-９][０-９．，]*")
# signs, quotes and brackets that may stand before a stated answer, and a full-width colon
_OPEN = r"[\s:\uff1a=*_`~≈+\"'“‘«(\[]*"
# words that change nothing, x =, and the name of a currency
_LEAD = (
    r"(?:(?:about|approximately|around|roughly|exactly|simply|therefore|thus|equal\s+to|"
    r"a\s+total\s+of)\b,?|\\?\$?[a-z]\s*=|(?:US|CA?|AU?|HK|NZ|S|R)(?=\\?\$)|"
    rf"(?:US|CA|AU|HK|NZ)D\b|EUR\b|GBP\b|INR\b|Rs\.?){_OPEN}"
)
_marker = re.compile(
    rf"(?:####|<answer>|\banswers?\s+(?:is|are)\b|\banswers?[*_\s]*[:\uff1a=]|\\boxed(?=[\s\d])){_OPEN}"
    rf"(?:{_LEAD})?"
    r"(?:\\?\$?\$?\\(?:boxed|fbox)\{|\$\$|\\\(|\\\[|\\(?![a-z$]))?\s*"
    rf"(?:{_LEAD})?",
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
    "dozen": 12,
    "hundred": 100,
    "lakh": 10**5,
    "crore": 10**7,
    "m": 10**6,
    "mn": 10**6,
    "bn": 10**9,
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
    """A number read from a text. values: what it may mean, the likeliest first: 1,200 of "1.2k" and
    1.2, for an answer that counts in thousands; none where it cannot be known, as of "18,5". end:
    the index behind it."""

    values: tuple[Value, ...]
    end: int

    @property
    def value(self) -> Value | None:
        return self.values[0] if self.values else None


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
    return reading is not None and any(equal(value, answer) for value in reading.values)


def _last(text: str) -> _Reading | None:
    """Return the last number; of a text that is a number in words, that one."""
    last = next(iter(deque(_readings(text), maxlen=1)), None)
    return last or _in_words(text, alone=True)


def _readings(text: str) -> Iterator[_Reading]:
    text, at = _narrow(text), 0
    while match := _number.search(text, at):
        reading = _value(text, match)
        yield reading
        at = reading.end


def _narrow(text: str) -> str:
    """Return the text with full-width digits, and the signs between them, as the usual ones."""
    return _wide.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)


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
    behind = _joined.sub(_without_blanks, _narrow(text[at : at + LONGEST]))
    match = _number.match(behind)
    return _result(behind, _value(behind, match)) if match else _in_words(behind)


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
        reading = _value(text, match)
        open_ = step["op"] not in "=≈"
        result = result if open_ else reading
        at = reading.end
    return first if open_ else result


def _value(text: str, match: re.Match[str]) -> _Reading:
    """Return the number of a match in `text`, with the smaller unit behind it."""
    bare = _bare(match)
    if bare is None:
        return _Reading((), match.end())
    if match["sign"] or match["inner"]:
        bare = bare.copy_negate() if isinstance(bare, Decimal) else -bare
    scale = _scale(match)
    if scale != 1:
        return _Reading((Fraction(bare) * scale, bare), match.end())
    return _with_small_unit(text, match, bare) or _Reading((bare,), match.end())


def _with_small_unit(text: str, match: re.Match[str], large: Value) -> _Reading | None:
    """Return 18.5 and 1,850, as which a question may count, of "18 dollars and 50 cents"; None
    where there is no smaller unit."""
    for place, (between, small, ratio) in enumerate(_pairs):
        joint = between.match(text, match.end())
        if joint is None and place == 0 and match["money"]:
            joint = _and.match(text, match.end())
        smaller = _number.match(text, joint.end()) if joint else None
        unit = small.match(text, smaller.end()) if smaller else None
        if smaller and unit and not smaller["sign"] and (more := _bare(smaller)) is not None:
            rest = Fraction(more) if large >= 0 else -Fraction(more)
            return _Reading(
                (Fraction(large) + rest / ratio, Fraction(large) * ratio + rest), unit.end()
            )
    return None


def _bare(match: re.Match[str]) -> Value | None:
    """Return the value of a match without its sign and scale; None where it cannot be known."""
    if match["other"]:
        return None
    if match["unclear"]:
        cents = match["money"] and re.fullmatch(r"(\d+),(\d\d)", match["unclear"])
        return Decimal(f"{cents[1]}.{cents[2]}") if cents else None
    return (
        _fraction(match["up"], match["down"], match["up1"], match["down1"])
        or _vulgar(match["vulgar"])
        or _decimal(match)
    )


def _decimal(match: re.Match[str]) -> Value | None:
    """Return the value of the digits and what belongs to them; of a fraction over 0, what stands
    above it; None for 0 to a power below 0."""
    value = _as_decimal(match["digits"] or match["up"] or match["up1"])
    fraction = (
        _fraction(match["mixup"], match["mixdown"], match["mixup1"], match["mixdown1"])
        or _fraction(match["over"], match["under"])
        or _vulgar(match["mixed"])
        or _vulgar(match["half"] and ("½" if "half" in match["half"] else match["half"]))
    )
    if fraction is not None:  # "3 4/2" are two numbers, of which the last counts
        return (
            Fraction(value) + fraction
            if 0 < fraction < 1 and "." not in match["digits"]
            else fraction
        )
    if match["below"]:
        return Fraction(value) / int(match["below"]) if int(match["below"]) else value
    if tens := match["e"] or match["ten"] or match["tens"]:
        return Fraction(value) * Fraction(10) ** _exponent(tens)
    power = match["power"] or match["raised"]
    if power and len(match["digits"]) <= _LONGEST_POWER:
        return Fraction(value) ** _exponent(power) if value or _exponent(power) >= 0 else None
    return value


def _exponent(text: str) -> int:
    """Return 3 of "3", "+3" and "³"."""
    return int(re.sub(f"[{_MINUS}]", "-", unicodedata.normalize("NFKC", text)))


def _in_words(text: str, alone: bool = False) -> _Reading | None:
    """Return the number in words with which a text begins; alone: and which is all of it."""
    number = number_in_words(text)
    if number is None or (alone and re.search(r"\w", text[number[1] :])):
        return None
    return _Reading((Decimal(number[0]),), number[1])


def _vulgar(sign: str | None) -> Fraction | None:
    """½ and its like."""
    return (
        Fraction(str(round(unicodedata.numeric(sign), 12))).limit_denominator(10) if sign else None
    )


def _as_decimal(digits: str) -> Decimal:
    """Return the value of digits with whatever parts their thousands."""
    digits = re.sub(f"[{_MINUS}]", "-", digits)
    if re.fullmatch(r"-?\d{1,3}(?:\.\d{3})+,\d{1,2}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", digits):
        digits = digits.replace(".", "")
    return Decimal(re.sub(r"[^\d.-]", "", digits))


def _fraction(*parts: str | None) -> Fraction | None:
    given = [Fraction(_as_decimal(p)) for p in parts if p]
    return given[0] / given[1] if len(given) == 2 and given[1] else None


def _scale(match: re.Match[str]) -> int:
    """1,000 of "k" and "thousand", and so on; M and B count behind a sign of money alone, since 5
    M may be metres."""
    if not match["scale"]:
        return 1
    word = re.sub(r"\\(?:text|mathrm|textrm)|[\\{}\s,;]", "", match["scale"])
    return _SCALES[word if word in _SCALES else word.lower().removesuffix("s")]
