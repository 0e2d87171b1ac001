"""The JSON object in a body, within bounds: what is refused here never becomes Python objects."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np

from veneer.serve.errors import ApiError

# Values of one body. A value of JSON takes up to 90 bytes in memory where its text takes 3; a
# request that uses all that the server reads (131,072 prompt tokens) has fewer.
MOST_VALUES = 200_000
MOST_DIGITS = 20  # of a whole number: 2 ** 64 has 20
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]", re.ASCII)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the object in a body. Raises ApiError (400) for anything else: other encodings than
    UTF-8, half characters, too many values, numbers of too many digits, a name that stands twice in
    one object, and what is no JSON."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(
            400, f"the body is not UTF-8 at byte {error.start}; expected one JSON object in UTF-8"
        ) from None
    if (values := _values(raw)) > MOST_VALUES:
        raise ApiError(
            400,
            f"the body has more than {MOST_VALUES} values (about {values}); send less at once",
        )
    try:
        value = json.loads(
            text, parse_constant=_no_constant, parse_int=_whole_number, object_pairs_hook=_unique
        )
        if ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ApiError(
            400,
            "the body holds half of a character (a lone surrogate); expected whole Unicode text",
        ) from None
    except RecursionError:
        raise ApiError(400, "the body is nested too deeply; expected one flat object") from None
    except json.JSONDecodeError:
        raise ApiError(400, "the body is not valid JSON; expected one object in UTF-8") from None
    except ValueError as error:
        raise ApiError(400, str(error)) from None
    if not isinstance(value, dict):
        raise ApiError(400, f"the body is a JSON {type(value).__name__}; expected an object")
    return value


def _values(raw: bytes) -> int:
    """Return about how many values the body holds, in time and memory of its length."""
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    signs = np.frombuffer(unescaped, dtype=np.uint8)
    inside = np.logical_xor.accumulate(signs == ord('"'))  # a string
    between = (signs == ord(",")) | (signs == ord("[")) | (signs == ord("{"))
    return int(np.count_nonzero(between & ~inside))


def _no_constant(name: str) -> float:
    raise ValueError(f"the body holds {name}, which is no JSON; expected a number")


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(
            f"the body holds a number of {len(digits)} digits; expected {MOST_DIGITS} at most"
        )
    return int(digits)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Two values for one name are refused: which of them holds differs between
    programs, and a measurement must not depend on it."""
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"the body has two values for {twice[:80]!r}; expected one")
    return value
