"""What two folders must hold alike."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content(folder: Path) -> dict[str, str]:
    """Hashes of a folder's files by their path in it; hidden files may differ."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.startswith(".")
    }
