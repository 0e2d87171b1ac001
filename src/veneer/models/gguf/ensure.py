"""The GGUF file that belongs to a merged folder, when a command is run again."""

from __future__ import annotations

import filecmp
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.files import ScratchFolder
from veneer.models.gguf.write import write_gguf


def ensure_gguf(checkpoint: Path, out: Path) -> bool:
    """Write the GGUF file `out` of the folder `checkpoint`, unless the very same file exists;
    returns whether it existed.

    An existing file is compared byte by byte with a new one, written beside it. Raises
    InputError where the two differ, and the errors of `write_gguf`.
    """
    if not out.exists():
        write_gguf(checkpoint, out)
        return False
    if not out.is_file():
        raise InputError(
            f"{out} is not a file; expected the name of a GGUF file: give another --gguf"
        )
    with ScratchFolder(out.name, out.parent) as folder:
        same = filecmp.cmp(write_gguf(checkpoint, folder / out.name), out, shallow=False)
    if not same:
        raise InputError(
            f"{out} holds another model than {checkpoint}; expected its GGUF file or no file: "
            "give another --gguf, or delete the file"
        )
    return True


def need_new(out: Path) -> None:
    """Raise InputError where `out` exists before its checkpoint does."""
    if out.exists():
        raise InputError(
            f"{out} exists already; expected a new file: give another --gguf, or delete the file"
        )
