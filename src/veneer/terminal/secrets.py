"""What an error says to a terminal: no secrets, and nothing that a terminal would obey."""

from __future__ import annotations

import re

from veneer.foundation.secrets import secret_values

IN_ADDRESS = re.compile(r"(://)[^/\s@]+@")  # https://name:password@host
IN_QUERY = re.compile(
    r"([?&;][\w.-]*(?:key|token|secret|password|passwd|sig|signature)=)[^&\s'\"<>]+", re.I
)


def hidden(text: str) -> str:
    """`text` with *** for passwords and keys in addresses and for the values of
    environment variables that hold secrets (HF_TOKEN, OPENAI_API_KEY ...), and with
    control characters spelled out."""
    for value in secret_values().values():
        text = text.replace(value, "***")
    text = IN_QUERY.sub(r"\1***", IN_ADDRESS.sub(r"\1***@", text))
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
