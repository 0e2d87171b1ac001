"""What no published folder may hold: pickles, which run code when they are read, and secrets."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.secrets import secret_values

PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}
PROTOCOLS = tuple(b"\x80" + bytes([n]) for n in range(2, 6))  # how a binary pickle begins
TEXTS = {
    *(".json", ".jsonl", ".txt", ".md", ".html", ".csv", ".tsv", ".yaml", ".yml", ".toml"),
    *(".jinja", ".tex", ".svg", ".xml", ".ini", ".cfg", ".env", ".py", ""),
}
# kind -> how it looks. A model's answer may name the first line of a key, but not go on with one.
SECRETS: Mapping[str, bytes] = {
    "a Hugging Face token": rb"hf_[A-Za-z0-9]{30,}",
    "an API key": rb"sk-(?:proj-|ant-|or-)?[A-Za-z0-9_-]{20,}|AIza[\w-]{35}",
    "a GitHub token": rb"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}",
    "an AWS key": rb"AKIA[0-9A-Z]{16}(?![0-9A-Za-z])",
    "a Slack token": rb"xox[abprs]-[A-Za-z0-9-]{10,}",
    "a private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\\rn\s]*[A-Za-z0-9+/=]{40}",
}


def check_files(files: Mapping[str, Path]) -> None:
    """Raise InputError that names the first file with a pickle or a secret; the secret itself is
    not shown."""
    looks = [
        (kind, re.compile(rb"(?<![A-Za-z0-9_-])(?:" + look + rb")"))
        for kind, look in SECRETS.items()
    ] + [
        (f"the value of {name}", re.compile(re.escape(value.encode())))
        for name, value in secret_values().items()
    ]
    for name, path in files.items():
        if _is_pickle(path):
            raise InputError(
                f"{name} is a pickle, which runs code when it is read; expected safetensors: "
                "convert it, or delete it"
            )
        if path.suffix in TEXTS and (secret := _secret(path, looks)):
            raise InputError(
                f"{name} holds {secret}; take it out of the file, and revoke it if others may have "
                "seen it"
            )


def _is_pickle(path: Path) -> bool:
    if path.suffix in PICKLES:
        return True
    with path.open("rb") as file:
        return file.read(2) in PROTOCOLS


def _secret(path: Path, looks: Iterable[tuple[str, re.Pattern[bytes]]]) -> str | None:
    """The first kind of secret in a file."""
    if path.stat().st_size == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return next((kind for kind, look in looks if look.search(text)), None)
