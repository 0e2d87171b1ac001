"""A capture behind a URL, written: shards are uploaded whole, their marker last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.shards import check_shard, write_shard
from veneer.capture.shelf import Shelf
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file
from veneer.hub import is_hub
from veneer.scale.remote import RemoteCapture, clear, fetch_frame, frame_of, shard_files
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
            clear(self.folder)
            return
        frame = self._listing if self.keep else {"manifest.json"}
        fetch_frame(self.remote, self.folder, frame)
        self._shared = {n: sha256_file(self.folder / n) for n in frame_of(frame)}

    def share(self) -> None:
        """Copy new files beside the shards, the manifest last."""
        files = [p for p in self.folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
        names = sorted(
            frame_of({str(p.relative_to(self.folder)) for p in files}),
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
