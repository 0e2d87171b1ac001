"""Files to a repository of the hub as one commit: the repository holds all of them or none, and
what an earlier try has uploaded is not sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.hub.address import Address
from veneer.hub.failure import TOKEN, in_a_sentence

Content = Path | bytes


def check_token() -> None:
    """Raise InputError where there is no token to write with: before any work is done."""
    from huggingface_hub import get_token

    if not get_token():
        raise InputError(f"found no token for the hub; expected one that may write: {TOKEN}")


@dataclass(frozen=True, slots=True)
class Stored:
    """What a repository holds below an address. exists: whether there is a repository that this
    token may read. files: name relative to the address -> the library's facts about the file."""

    exists: bool
    files: dict[str, Any]

    @classmethod
    def of(cls, address: Address) -> Stored:
        """List a repository. A repository, a revision or a folder that does not exist holds
        nothing. Raises InputError as `in_a_sentence` says."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        with in_a_sentence(address, "read"):
            try:
                rows = HfApi().list_repo_tree(
                    address.repository,
                    address.inside or None,
                    recursive=True,
                    revision=address.revision,
                    repo_type=address.kind,
                )
                files = [row for row in rows if hasattr(row, "blob_id")]
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return cls(False, {})
            except (EntryNotFoundError, RevisionNotFoundError):
                return cls(True, {})
        at = f"{address.inside}/" if address.inside else ""
        return cls(True, {row.path.removeprefix(at): row for row in files})

    def same(self, name: str, content: Content) -> bool:
        """Whether the repository holds a file of this name and of these bytes."""
        row = self.files.get(name)
        if row is None:
            return False
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if row.size != size:
            return False
        if row.lfs is not None:
            return row.lfs.sha256 == (
                hashlib.sha256(content).hexdigest()
                if isinstance(content, bytes)
                else sha256_file(content)
            )
        data = content if isinstance(content, bytes) else content.read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % size + data, usedforsecurity=False)
        return row.blob_id == blob.hexdigest()  # git's own name of these bytes

    def read(self, address: Address, name: str) -> str:
        """The text of a stored file; "" where there is none."""
        if name not in self.files:
            return ""
        from huggingface_hub import hf_hub_download

        with in_a_sentence(address, "read"):
            file = hf_hub_download(
                address.repository,
                address.path(name),
                revision=address.revision,
                repo_type=address.kind,
            )
        return Path(file).read_text(encoding="utf-8", errors="replace")


def commit(
    address: Address,
    files: Mapping[str, Content],
    message: str,
    *,
    public: bool = False,
    remove: tuple[str, ...] = (),
) -> None:
    """Write `files` (name relative to the address -> content) and take `remove` away, in one
    commit. A repository that does not exist is made, private unless `public`; so is a branch.

    Raises InputError without a token or where the hub refuses, VeneerError where it cannot be
    reached or fails; then there is no commit.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    from huggingface_hub.constants import REGEX_COMMIT_OID

    check_token()
    if address.revision and REGEX_COMMIT_OID.fullmatch(address.revision):
        raise InputError(
            f"{address} names a commit, which cannot change; expected a branch, or no revision"
        )
    api = HfApi()
    with in_a_sentence(address, "written"):
        api.create_repo(
            address.repository, private=not public, exist_ok=True, repo_type=address.kind
        )
        if address.revision:
            api.create_branch(
                address.repository, branch=address.revision, repo_type=address.kind, exist_ok=True
            )
        api.create_commit(
            address.repository,
            [
                *(CommitOperationDelete(address.path(name), is_folder=False) for name in remove),
                *(
                    CommitOperationAdd(
                        address.path(name), content if isinstance(content, bytes) else str(content)
                    )
                    for name, content in files.items()
                ),
            ],
            commit_message=message,
            revision=address.revision,
            repo_type=address.kind,
            num_threads=4,
        )
