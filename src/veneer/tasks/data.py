"""Find a task's data files: in the folder given, in that of VENEER_DATA, or as a pinned download
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
    """A file in a public repository: its commit, its path and the sha256 that it must have."""

    commit: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a task's files. repository: OWNER/NAME on GitHub. files: path in the data
    folder -> pin, None for a file that cannot be downloaded."""

    repository: str
    files: dict[str, Pin | None]


def find_data(data: Path | None) -> Path | None:
    """Return the data folder: `data`, otherwise the environment variable VENEER_DATA; None where
    neither is given.

    Raises InputError where that folder does not exist.
    """
    option = "--data" if data is not None else "VENEER_DATA"
    folder = data if data is not None else os.environ.get("VENEER_DATA")
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise InputError(
            f"{option} names {folder}, which is not a folder; give the folder that holds the "
            "tasks' data"
        )
    return Path(folder)


def has(origin: Origin, data: Path | None) -> bool:
    """Return whether the data folder holds all the files; it does not ask the network."""
    return (
        data is not None
        and bool(origin.files)
        and all((data / name).is_file() for name in origin.files)
    )


def available(origin: Origin, data: Path | None) -> bool:
    """Return whether each file is in the data folder or was downloaded before."""
    return all(
        (data is not None and (data / name).is_file()) or _cached(name, pin).is_file()
        for name, pin in origin.files.items()
    )


def locate(origin: Origin, name: str, data: Path | None) -> Path:
    """Return the path of the file `name`: in the data folder, or in the cache, where it is
    downloaded if need be.

    Raises InputError where the file is missing and cannot be downloaded, or where the download has
    another hash.
    """
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
    if (digest := hashlib.sha256(content).hexdigest()) != pin.sha256:
        raise InputError(
            f"{looked}, and the download has the hash {digest[:12]}, expected "
            f"{pin.sha256[:12]}; {mend}"
        )
    write_bytes(cached, content)
    return cached


def describe(origin: Origin, paths: Sequence[Path]) -> dict[str, Any]:
    """Return the entry of run.json on the data: its repository, and the hash of each file."""
    return {
        "from": origin.repository,
        "files": [{"file": str(p), "sha256": sha256_file(p)} for p in paths],
    }


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veneer" / "data"


def _cached(name: str, pin: Pin | None) -> Path:
    """Return the path that the download of a pinned file has; a file without a pin is never
    downloaded, so that its path never exists."""
    return cache_folder() / ("unpinned" if pin is None else pin.sha256[:16]) / Path(name).name


def _download(address: str) -> bytes:
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise OSError("HF_HUB_OFFLINE is set")
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        return answer.read()
