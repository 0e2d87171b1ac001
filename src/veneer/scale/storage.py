"""A folder behind a URL (s3://, gs://, file://, ...), through fsspec. The backend reads its own
credentials; none is written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from veneer.foundation.errors import InputError, MissingExtra, VeneerError
from veneer.foundation.files import sha256_text, write_atomically

# Stores without real folders; anywhere else a folder has to be made first.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "memory"}


def is_url(place: str | Path) -> bool:
    return "://" in str(place)


def without_secrets(url: str) -> str:
    """Return the URL without what may be a key: user and password before the host, and anything
    behind a question mark."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip(
        "/"
    )


def cache_folder(url: str) -> Path:
    """Return the folder here that holds a URL's files: in VENEER_CACHE, or in the user's cache
    folder."""
    root = (
        os.environ.get("VENEER_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veneer"
    )
    return Path(root) / "captures" / sha256_text(without_secrets(url))[:16]


class Remote:
    """The folder at `url`. Raises InputError where the URL's kind is unknown or its
    package is missing."""

    def __init__(self, url: str):
        try:
            import fsspec
        except ImportError:
            raise MissingExtra("fsspec", "remote", "a folder behind a URL") from None
        self.url, self.name = url, without_secrets(url)
        try:
            self.fs, path = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise InputError(f"{self.name} cannot be reached: {error}") from None
        except ValueError as error:
            raise InputError(
                f"{self.name} cannot be reached ({error}); expected a URL such as "
                "s3://bucket/folder"
            ) from None
        self.path = str(path).rstrip("/")

    def names(self) -> set[str]:
        """Return the name of every file, relative to the folder; none where the folder does not
        exist."""
        with self._as_sentence("listed"):
            self.fs.invalidate_cache()
            try:
                return {str(p).removeprefix(self.path).lstrip("/") for p in self.fs.find(self.path)}
            except FileNotFoundError:
                return set()

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of small files, fetched in parallel."""
        if not names:
            return {}
        with self._as_sentence("read"):
            contents = self.fs.cat([f"{self.path}/{n}" for n in names])
        return {str(p).removeprefix(self.path).lstrip("/"): data for p, data in contents.items()}

    def fetch(self, name: str, to: Path) -> None:
        """Copy a file to this machine, whole or not at all."""
        with self._as_sentence(f"read ({name})"):
            write_atomically(to, lambda p: self.fs.get_file(f"{self.path}/{name}", str(p)))

    def put(self, file: Path, name: str) -> None:
        """Copy a file to the folder."""
        target = f"{self.path}/{name}"
        with self._as_sentence(f"written ({name})"):
            if self._protocol() not in OBJECT_STORES:
                self.fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            self.fs.put_file(str(file), target)

    def _protocol(self) -> str:
        return self.fs.protocol if isinstance(self.fs.protocol, str) else self.fs.protocol[0]

    @contextlib.contextmanager
    def _as_sentence(self, what: str) -> Iterator[None]:
        """Turn a backend's error into one sentence. Its own message may quote the URL as it was
        given."""
        try:
            yield
        except VeneerError:
            raise
        except Exception as error:  # each backend has its own kinds
            reason = " ".join(f"{type(error).__name__}: {error}".split()).replace(
                self.url, self.name
            )[:200]
            if (
                isinstance(error, FileNotFoundError | PermissionError)
                or "Credential" in type(error).__name__
            ):
                raise InputError(
                    f"{self.name} could not be {what} ({reason}); expected a place that exists and "
                    "may be used: give its credentials the way its fsspec backend reads them "
                    "(for s3: AWS_ACCESS_KEY_ID and its kin, or a profile)"
                ) from None
            raise VeneerError(
                f"{self.name} could not be {what} ({reason}); finished shards are safe: run the "
                "same command again to resume"
            ) from error
