"""An address on the Hugging Face hub: hf://OWNER/NAME[@REVISION][/FOLDER], or
hf://datasets/OWNER/NAME..., as fsspec's HfFileSystem writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from veneer.foundation.errors import InputError

SCHEME = "hf://"
FORM = re.compile(
    r"hf://(?P<data>datasets/)?(?P<repository>[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>[^/@\s]+))?(?:/(?P<inside>[^@]*))?"
)
# kinds of repositories, which cannot be owners
KINDS = ("models", "datasets", "spaces", "buckets")


def is_hub(place: str | Path) -> bool:
    """Whether `place` is written as an address on the hub."""
    return str(place).startswith(SCHEME)


@dataclass(frozen=True, slots=True)
class Address:
    """repository: OWNER/NAME. kind: "model" or "dataset". revision: a branch, a tag or a commit;
    None: the main branch. inside: a folder or a file of the repository, "" for all of it."""

    repository: str
    kind: str = "model"
    revision: str | None = None
    inside: str = ""

    @classmethod
    def parse(cls, text: str | Path) -> Address:
        """Read an address; a "/" within a revision is written %2F. Raises InputError where the text
        is none."""
        match = FORM.fullmatch(str(text))
        inside = (match["inside"] or "").rstrip("/") if match else ""
        strange = any(segment in ("", ".", "..") for segment in inside.split("/") if inside)
        if match is None or strange or match["repository"].split("/")[0] in KINDS:
            raise InputError(
                f"{str(text)!r} is no address on the hub; expected hf://OWNER/NAME, "
                "hf://OWNER/NAME@REVISION, or one of these with /FOLDER behind it "
                "(hf://datasets/OWNER/NAME for a data set's repository)"
            )
        revision = unquote(match["revision"]) if match["revision"] else None
        return cls(match["repository"], "dataset" if match["data"] else "model", revision, inside)

    def __str__(self) -> str:
        """The address as a person writes it."""
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        inside = f"/{self.inside}" if self.inside else ""
        return f"{SCHEME}{self._prefix}{self.repository}{revision}{inside}"

    @property
    def page(self) -> str:
        """The address of the repository's page on the hub's host (HF_ENDPOINT)."""
        from huggingface_hub import constants

        tree = f"/tree/{quote(self.revision, safe='')}" if self.revision else ""
        return f"{constants.ENDPOINT}/{self._prefix}{self.repository}{tree}"

    @property
    def _prefix(self) -> str:
        return "datasets/" if self.kind == "dataset" else ""

    def path(self, name: str) -> str:
        """The path in the repository of a file of this folder."""
        return f"{self.inside}/{name}" if self.inside else name
