"""A capture behind a URL: shards are uploaded whole, their marker last; files that are read are
cached here and checked by their checksum."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.integrity import check_manifest
from veneer.capture.shards import SCHEMA, check_shard, is_done, shard_path, write_shard
from veneer.capture.shelf import Shelf
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file, write_bytes
from veneer.hub import is_hub
from veneer.scale.storage import Remote, cache_folder, is_url

# what may stand at a URL before the manifest
BEGUN = ("head.safetensors", "prompts.jsonl", "run.json", "tokenizer/")


def shelf_of(place: str | Path) -> Shelf:
    """Return the shelf of a capture: a folder here, or a URL with a cache here. Raises InputError
    for the hub, where each file would be a commit."""
    if is_hub(place):
        raise InputError(
            f"a capture cannot be written to {place} shard by shard; give a folder here, then "
            f"`veneer push FOLDER {place}`"
        )
    return (
        RemoteShelf(Remote(str(place)), cache_folder(str(place)))
        if is_url(place)
        else Shelf(Path(place))
    )


def open_capture(place: str | Path, *, partial: bool = False) -> Capture:
    """Open a capture as `Capture.open` does, also behind a URL: a shard is then fetched and checked
    at its first use. One on the hub is fetched whole, into the hub's own cache."""
    if is_url(place) and not is_hub(place):
        return RemoteCapture.open(place, partial=partial)
    return Capture.open(place, partial=partial)


def open_part(place: str | Path, shards: Sequence[int]) -> Capture:
    """Return the capture with these shards alone; only they are checked."""
    if is_url(place):
        capture: Capture = RemoteCapture.open(place, partial=True)
    else:
        capture = Capture(
            Path(place),
            read_json(Path(place) / "manifest.json", "the manifest of a capture"),
            [],
            0,
        )
        check_manifest(capture.folder, capture.manifest)
        capture.tokens = sum(check_shard(capture.folder, n, capture.manifest) for n in shards)
    capture.shards = list(shards)
    return capture


def marked_shards(place: str | Path) -> tuple[Path, list[int]]:
    """Return the folder that holds a capture's markers here, and the shards that are done; nothing
    is checked."""
    if is_url(place):
        capture = RemoteCapture.open(place, partial=True)
        return capture.folder, capture.shards
    plan = read_json(Path(place) / "manifest.json", "the manifest of a capture")["plan"]
    return Path(place), [n for n in range(len(plan)) if is_done(Path(place), n)]


def shard_files(number: int) -> tuple[str, str, str]:
    """Return a shard's tensors, its responses, and its marker."""
    name = shard_path(Path(), number).name
    return name, f"responses-{number:05d}.jsonl", Path(name).with_suffix(".json").name


class RemoteShelf(Shelf):
    """A shelf behind a URL. Shards are written in `folder` and then copied. keep: the folder is a
    cache for reading as well; otherwise it holds only the files being copied."""

    def __init__(self, remote: Remote, folder: Path, *, keep: bool = True):
        super().__init__(folder)
        self.remote, self.keep = remote, keep
        self._listing: set[str] = set()
        self._shared: dict[str, str] = {}  # name -> sha256 of the file at the URL

    def prepare(self) -> None:
        """Fetch the files beside the shards; drop a cache of another capture that this URL held
        before."""
        self._listing = self.remote.names()
        if "manifest.json" not in self._listing:
            if strange := sorted(n for n in self._listing if not n.startswith(BEGUN)):
                raise InputError(
                    f"{self.remote.name} is not empty and holds no capture ({strange[0]}); give a "
                    "new or an empty place"
                )
            _clear(self.folder)
            return
        frame = self._listing if self.keep else {"manifest.json"}
        fetch_frame(self.remote, self.folder, frame)
        self._shared = {n: sha256_file(self.folder / n) for n in _frame(frame)}

    def share(self) -> None:
        """Copy new files beside the shards, the manifest last."""
        files = [p for p in self.folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
        names = sorted(
            _frame({str(p.relative_to(self.folder)) for p in files}),
            key=lambda n: (n == "manifest.json", n),
        )
        for name in names:
            if (sha := sha256_file(self.folder / name)) != self._shared.get(name):
                self.remote.put(self.folder / name, name)
                self._shared[name] = sha

    def is_done(self, number: int) -> bool:
        """Return whether a shard is stored. One that was made here while the connection broke is
        copied now."""
        marker = shard_files(number)[2]
        if marker not in self._listing and (self.folder / marker).is_file():
            try:
                check_shard(
                    self.folder,
                    number,
                    read_json(self.folder / "manifest.json", "the manifest of a capture"),
                )
            except InputError:
                return False
            self._copy(number)
        return marker in self._listing

    def put(self, number: int, columns: dict[str, Tensor], responses: list[dict[str, Any]]) -> None:
        write_shard(self.folder, number, columns, responses)
        self._copy(number)
        if not self.keep:
            for name in reversed(shard_files(number)):
                (self.folder / name).unlink()

    def open(self) -> Capture:
        return RemoteCapture.open(self.remote.url, cache=self.folder)

    def _copy(self, number: int) -> None:
        for name in shard_files(number):
            self.remote.put(self.folder / name, name)
        self._listing.add(shard_files(number)[2])


class RemoteCapture(Capture):
    """A capture whose shards are fetched into its folder when they are read."""

    remote: Remote
    _here: set[int]  # shards that were checked

    @classmethod
    def open(
        cls, folder: str | Path, *, partial: bool = False, cache: Path | None = None
    ) -> RemoteCapture:
        """Open the capture at the URL `folder`. cache: its folder here. Raises InputError as
        Capture.open does; VeneerError where the connection breaks."""
        remote = Remote(str(folder))
        folder = cache or cache_folder(str(folder))
        names = remote.names()
        if "manifest.json" not in names:
            raise InputError(
                f"{remote.name} holds no manifest.json; expected a capture that `veneer "
                "capture` wrote"
            )
        fetch_frame(remote, folder, names)
        manifest = read_json(folder / "manifest.json", "the manifest of a capture")
        if (
            not isinstance(manifest, dict)
            or manifest.get("schema") != SCHEMA
            or manifest.get("kind") != "capture"
        ):
            raise InputError(
                f"{remote.name} is not a capture of schema {SCHEMA}; make the capture again with "
                "this version"
            )
        check_manifest(folder, manifest)
        total = len(manifest["plan"])
        done = [n for n in range(total) if shard_files(n)[2] in names]
        if not done or (len(done) < total and not partial):
            raise InputError(
                (
                    f"{remote.name} has {len(done)} of {total} shards; run the same `veneer "
                    "capture` command again to finish it"
                )
                + (", or give --partial to use those" if done else "")
            )
        markers = remote.read([shard_files(n)[2] for n in done])
        for name, data in markers.items():
            if not (folder / name).is_file() or (folder / name).read_bytes() != data:
                write_bytes(folder / name, data)
        capture = cls(
            folder, manifest, done, sum(int(json.loads(m)["tokens"]) for m in markers.values())
        )
        capture.remote, capture._here = remote, set()
        return capture

    def read(
        self, shard: int, columns: tuple[str, ...], prompts: Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        self.fetch(shard)
        return super().read(shard, columns, prompts)

    def responses(self) -> list[dict[str, Any]]:
        for shard in self.shards:
            self.fetch(shard)
        return super().responses()

    def fetch(self, shard: int) -> None:
        """Fetch a shard and check it. Raises InputError that names a damaged one."""
        if shard in self._here:
            return
        tensors, responses, _ = shard_files(shard)
        try:
            check_shard(self.folder, shard, self.manifest)
        except InputError:  # not here yet, or damaged here
            for name in (tensors, responses):
                self.remote.fetch(name, self.folder / name)
            check_shard(self.folder, shard, self.manifest)
        self._here.add(shard)


def fetch_frame(remote: Remote, folder: Path, names: set[str]) -> None:
    """Fetch the files beside the shards that are missing here; where the manifest is another, the
    cache is dropped."""
    (data,) = remote.read(["manifest.json"]).values()
    here = folder / "manifest.json"
    if not here.is_file() or here.read_bytes() != data:
        _clear(folder)
        write_bytes(here, data)
    manifest = read_json(here, "the manifest of a capture")
    wanted = manifest.get("files", {}) if isinstance(manifest, dict) else {}
    for name in sorted(_frame(names)):
        if not (folder / name).is_file() or (
            name in wanted and sha256_file(folder / name) != wanted[name]
        ):
            remote.fetch(name, folder / name)


def _frame(names: set[str]) -> set[str]:
    """Return the names of the files beside the shards; logs stay where they were written."""
    return {
        n
        for n in names
        if not n.startswith(("shard-", "responses-", ".")) and not n.endswith(".log")
    }


def _clear(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.startswith(".lock") and path.suffix != ".log":
                path.unlink()
