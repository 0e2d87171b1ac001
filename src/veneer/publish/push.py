"""Publish a folder: check it, make its card, and write it to the hub as one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.hub.address import Address
from veneer.hub.upload import Content, Stored, check_token, commit
from veneer.publish.artefact import Artefact
from veneer.publish.card import CARD, card_of, is_made
from veneer.publish.forbidden import check_files

# files of a repository that belong to it and not to an artefact
OF_THE_REPOSITORY = (".gitattributes", CARD, "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")


@dataclass(frozen=True, slots=True)
class Pushed:
    """address: where the artefact is. kind: what it is. files: how many. new: whether a commit was
    made; otherwise the repository held the same already. kept_card: whether a person's card was
    there and stays. own_paths: paths of this machine that its records name."""

    address: Address
    kind: str
    files: int
    new: bool
    kept_card: bool
    own_paths: tuple[str, ...]


def push(
    folder: str | Path,
    to: str | Address,
    *,
    public: bool = False,
    force: bool = False,
    licence: str | None = None,
) -> Pushed:
    """Publish the folder of a veneer, a capture, a merged checkpoint, an adapter or a study at the
    address `to`, as one commit.

    A repository that does not exist is made, private unless `public`; so is a branch. Again after
    an interruption, only what is missing is sent; where the same files are there already, nothing
    is. force: replace another artefact at that address. licence: for the card's head.

    Raises InputError for a folder that is none of ours, unfinished or damaged, or that holds
    pickles, secrets or links to other places; for another artefact at the address; without a
    token; and as `hub.failure.sentence` says.
    """
    address = to if isinstance(to, Address) else Address.parse(to)
    artefact = Artefact.of(folder)
    check_files(artefact.files)
    check_token()
    stored = Stored.of(address)
    files, kept_card = _with_card(artefact, address, stored, licence)
    stale = _stale(files, stored, address, folder, force=force)
    missing = {n: c for n, c in files.items() if not stored.same(n, c)}
    if missing or stale or not stored.exists:
        commit(address, missing, f"A {artefact.kind} of Veneer", public=public, remove=stale)
    return Pushed(
        address,
        artefact.kind,
        len(files),
        bool(missing or stale or not stored.exists),
        kept_card,
        tuple(artefact.own_paths()),
    )


def _with_card(
    artefact: Artefact, address: Address, stored: Stored, licence: str | None
) -> tuple[dict[str, Content], bool]:
    """The files to publish, and whether a person's card in the repository is kept. A card in the
    folder that a person wrote is published as it is."""
    files: dict[str, Content] = dict(artefact.files)
    there = stored.read(address, CARD)
    here = artefact.files.get(CARD)
    if here is None or (
        artefact.kind not in ("checkpoint", "adapter")  # whose card the merge made
        and is_made(here.read_text(encoding="utf-8", errors="replace"))
    ):
        files[CARD] = card_of(artefact, address, licence).encode()
        if there and not is_made(there):
            del files[CARD]
            return files, True
    return files, False


def _stale(
    files: Mapping[str, Content],
    stored: Stored,
    address: Address,
    folder: str | Path,
    *,
    force: bool,
) -> tuple[str, ...]:
    """Files of another artefact at the address, which go. Raises InputError where there are some
    and `force` is not given."""
    theirs = [n for n in stored.files if n not in OF_THE_REPOSITORY and n not in files]
    other = [n for n in stored.files if n in files and n != CARD and not stored.same(n, files[n])]
    if (theirs or other) and not force:
        raise InputError(
            f"{address} holds something else than {folder} ({(other or theirs)[0]} differs); give "
            "another address, a revision or a folder in it, or --force to replace what is there"
        )
    return tuple(theirs)
