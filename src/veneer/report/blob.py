"""Data for the page's script: JSON, deflated, in base64. Nothing that a model wrote can end the
element it stands in."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from markupsafe import Markup


def pack(value: Any) -> str:
    """Any JSON value; lone surrogates survive as escapes."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("ascii"), 6)).decode("ascii")


def unpack(text: str) -> Any:
    """Inverse of `pack`."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def element(name: str, value: Any) -> Markup:
    """A script element that no browser runs, with the id NAME-data."""
    return packed_element(name, pack(value))


def packed_element(name: str, text: str) -> Markup:
    """As `element`, for data that `pack` has packed."""
    return Markup('<script type="application/octet-stream" id="{}-data">{}</script>').format(
        name, text
    )
