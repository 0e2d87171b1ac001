"""A capture behind a URL, read: its files are cached here and checked by their checksum."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.integrity import check_manifest
from veneer.capture.shards import SCHEMA, check_shard, is_done, shard_path
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file, write_bytes
from veneer.hub import is_hub
from veneer.scale.storage import Remote, cache_folder, is_url


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
        clear(folder)
        write_bytes(here, data)
    manifest = read_json(here, "the manifest of a capture")
    wanted = manifest.get("files", {}) if isinstance(manifest, dict) else {}
    for name in sorted(frame_of(names)):
        if not (folder / name).is_file() or (
            name in wanted and sha256_file(folder / name) != wanted[name]
        ):
            remote.fetch(name, folder / name)


def frame_of(names: set[str]) -> set[str]:
    """Return the names of the files beside the shards; logs stay where they were written."""
    return {
        n
        for n in names
        if not n.startswith(("shard-", "responses-", ".")) and not n.endswith(".log")
    }


def clear(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.startswith(".lock") and path.suffix != ".log":
                path.unlink()
