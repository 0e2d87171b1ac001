"""Characters that cannot be seen, or that reorder what is seen, spelled out as ⟨U+202E⟩."""

from __future__ import annotations

import re

# Code points shown as an escape. One list for Python and for the page's script, so that the two
# cannot differ. Left alone: tab and newline (shown as signs where it matters), and U+FE0F,
# which emoji need.
INVISIBLE = (
    # control characters
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    # zero width, separators, bidi
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xD800, 0xDFFF),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF),
    # tags and selectors that can carry hidden text
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_INVISIBLE = re.compile(
    "[" + "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in INVISIBLE) + "]"
)


def spelled(text: str) -> str:
    """`text` with the characters of INVISIBLE spelled out."""
    return _INVISIBLE.sub(lambda m: f"⟨U+{ord(m[0]):04X}⟩", text)
