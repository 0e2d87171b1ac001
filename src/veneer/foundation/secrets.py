"""Environment variables that hold secrets."""

from __future__ import annotations

import os
import re

# end of a secret environment variable's name
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD)S?$", re.I)
SHORTEST = 8  # characters of a value that can be distinguished from ordinary words


def secret_values() -> dict[str, str]:
    """Name -> value of each secret variable (HF_TOKEN, OPENAI_API_KEY ...) of this process."""
    return {
        name: value.strip()
        for name, value in os.environ.items()
        if SECRET.search(name) and len(value.strip()) >= SHORTEST
    }
