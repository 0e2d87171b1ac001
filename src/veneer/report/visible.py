"""Text that others wrote, made safe to look at: what cannot be seen, or reorders what is seen,
becomes ⟨U+202E⟩."""

from __future__ import annotations

from typing import Any

from veneer.foundation.invisible import INVISIBLE, spelled

__all__ = ["INVISIBLE", "script_pattern", "visible"]


def script_pattern() -> str:
    """That set as the source of a JavaScript regular expression (flags: gu)."""
    return "[" + "".join(f"\\u{{{a:x}}}-\\u{{{b:x}}}" for a, b in INVISIBLE) + "]"


def visible(text: Any, limit: int = 2000) -> str:
    """`text` with the invisible spelled out, cut at `limit` characters with a
    note of its length."""
    text = str(text)
    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters in all)"
    return spelled(cut)
