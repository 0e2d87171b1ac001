"""Decode bytes: UTF-8, or UTF-16 and UTF-32 with their byte order mark. Anything else is refused
with the line and the likely encoding: a wrong guess, or a replacement character, would change the
letters of prompts."""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from veneer.foundation.errors import InputError

# the marks of UTF-32 first: UTF-16's is how one of them begins
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDE = ("utf-16", "utf-32")
REPLACEMENT = "\ufffd"
# UTF-8 read as cp1252 (’ and é), and as MacRoman (’)
MISREAD = re.compile("\u00e2\u20ac.?|\u00c3[\u00a0-\u00bf\u0178]|\u201a\u00c4.?")


def marked(data: bytes) -> str:
    """Return the encoding that a byte order mark names, otherwise UTF-8."""
    return next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")


def decoded(data: bytes, path: Path | str, line: int = 1) -> str:
    """Return `data` as text, without its byte order mark. line: the number of its first line in the
    file. Raises InputError that names the invalid line, and shows it in the likely encoding."""
    encoding = marked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding in WIDE:
            raise InputError(
                f"{path} cannot be read as UTF-8, nor as the {encoding.upper()} that it begins as "
                f"({error.reason}); save it as UTF-8"
            ) from None
        raise InputError(_not_utf8(data, error, path, line)) from None
    if encoding == "utf-8" and "\0" in text[:512] and _looks_wide(data):
        raise InputError(f"{path} looks like UTF-16 without a byte order mark; save it as UTF-8")
    return text


def warn_of_damage(texts: Sequence[str], where: str) -> None:
    """Warn of a file that was damaged earlier, and is read unchanged: it holds U+FFFD, or UTF-8
    that was read in another encoding and saved again ("Iâ€™m")."""
    log = logging.getLogger("veneer")
    if any(REPLACEMENT in text for text in texts):
        log.warning(
            "veneer: %s holds the replacement character U+FFFD: letters were lost when the "
            "file was made",
            where,
        )
    broken = [match[0] for text in texts if (match := MISREAD.search(text))]
    if broken:
        log.warning(
            "veneer: %s: %d of %d texts hold letters such as %r, which stand for others: the file "
            "was once read in a wrong encoding, as spreadsheets do, and judges miss such words; "
            "make it again from the source, in UTF-8",
            where,
            len(broken),
            len(texts),
            broken[0],
        )


def _not_utf8(data: bytes, error: UnicodeDecodeError, path: Path | str, line: int) -> str:
    start, end = _line_around(data, error.start)
    line += _line_ends(data[: error.start])
    if _looks_wide(data):
        return f"{path} looks like UTF-16 without a byte order mark; save it as UTF-8"
    place = (
        f"{path} line {line} cannot be read as UTF-8 (byte 0x{data[error.start]:02x}, "
        f"{error.reason})"
    )
    if error.reason == "unexpected end of data":
        return f"{place}: the file ends within a character; is it whole?"
    if data[error.start] == 0xED and data[error.start + 1 : error.start + 2] >= b"\xa0":
        return f"{place}: it holds half of a character (a lone surrogate); expected valid UTF-8"
    name, text = _likely(data[start:end])
    if not name:
        return (
            f"{place}; it may be of an encoding such as GB18030, Shift-JIS or cp1251: save it "
            "as UTF-8"
        )
    at = len(data[start : error.start].decode(name, errors="replace"))
    shown = text[max(0, at - 20) : at + 20].strip()
    return (
        f"{place}; it is likely {name}, in which it reads {shown!r}: save the file as UTF-8 "
        f"(iconv -f {name} -t utf-8)"
    )


def _likely(line: bytes) -> tuple[str, str]:
    """(the single-byte encoding of Western Europe that a line is likely of, the line in it); ("",
    "") where most letters are of another."""
    high = sum(b >= 0x80 for b in line)
    letters = sum(chr(b).isalpha() for b in line if b < 0x80)
    if high > max(3, letters / 2):
        return "", ""
    for name in ("cp1252", "latin-1"):
        try:
            return name, line.decode(name)
        except UnicodeDecodeError:
            continue
    return "", ""


def _line_around(data: bytes, at: int) -> tuple[int, int]:
    start = max(data.rfind(b"\n", 0, at), data.rfind(b"\r", 0, at)) + 1
    ends = [e for e in (data.find(b"\n", at), data.find(b"\r", at)) if e >= 0]
    return start, min(ends, default=len(data))


def _line_ends(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _looks_wide(data: bytes) -> bool:
    """Return whether every second byte of the beginning is zero, as in English text in UTF-16."""
    head = data[:512]
    return len(head) >= 4 and max(head[::2].count(0), head[1::2].count(0)) > 0.4 * len(head[::2])
