"""Where a task's data is: the folder given, the one that VENEER_DATA names, or a pinned download
checked by its hash."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file, write_bytes

GITHUB = "https://raw.githubusercontent.com"
SECONDS = 30


@dataclass(frozen=True, slots=True)
class Pin:
    """A file in a public repository: its commit, its path there and the hash that it must have."""

    commit: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a task's files come from. repository: on GitHub. files: path in the data folder -> pin,
    None where none is known."""

    repository: str
    files: dict[str, Pin | None]


def find_data(data: Path | None) -> Path | None:
    """The data folder: `data`, otherwise the environment variable VENEER_DATA; None where
    neither is given.

    Raises InputError where the one that is given does not exist.
    """
    said = "--data" if data is not None else "VENEER_DATA"
    found = data if data is not None else os.environ.get("VENEER_DATA")
    if not found:
        return None
    if not Path(found).is_dir():
        raise InputError(
            f"{said} names {found}, which is not a folder; give the folder that holds the "
            "tasks' data"
        )
    return Path(found)


def has(origin: Origin, data: Path | None) -> bool:
    """Whether the data folder holds all the files, without a look at the network."""
    return data is not None and all((data / name).is_file() for name in origin.files)


def at_hand(origin: Origin, data: Path | None) -> bool:
    """Whether each file is in the data folder or was downloaded before."""
    return all(
        (data is not None and (data / name).is_file()) or _cached(name, pin).is_file()
        for name, pin in origin.files.items()
    )


def locate(origin: Origin, name: str, data: Path | None) -> Path:
    """The file `name`: in the data folder, or in the cache, or downloaded into it. Raises
    InputError that says what to mend."""
    if data is not None and (data / name).is_file():
        return data / name
    looked = (
        f"{data / name} does not exist"
        if data is not None
        else f"no data folder is given to look for {name} in"
    )
    mend = (
        f"give --data or set VENEER_DATA to a folder that holds {name}, from the repository "
        f"{origin.repository}"
    )
    pin = origin.files[name]
    if pin is None:
        raise InputError(f"{looked}; {mend}")
    cached = _cached(name, pin)
    if cached.is_file() and sha256_file(cached) == pin.sha256:
        return cached
    try:
        content = _download(f"{GITHUB}/{origin.repository}/{pin.commit}/{pin.path}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(f"{looked}, and it could not be downloaded ({error}); {mend}") from None
    if (found := hashlib.sha256(content).hexdigest()) != pin.sha256:
        raise InputError(
            f"{looked}, and the download has the hash {found[:12]}, expected "
            f"{pin.sha256[:12]}; {mend}"
        )
    write_bytes(cached, content)
    return cached


def describe(origin: Origin, paths: Sequence[Path]) -> dict[str, Any]:
    """What run.json says of the data."""
    return {
        "from": origin.repository,
        "files": [{"file": str(p), "sha256": sha256_file(p)} for p in paths],
    }


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veneer" / "data"


def _cached(name: str, pin: Pin | None) -> Path:
    """Where the download of a pinned file is kept; a file without a pin is never downloaded, so
    nothing is there."""
    return cache_folder() / ("unpinned" if pin is None else pin.sha256[:16]) / Path(name).name


def _download(address: str) -> bytes:
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise OSError("HF_HUB_OFFLINE is set")
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        return answer.read()
