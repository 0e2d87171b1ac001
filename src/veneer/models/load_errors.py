"""What an error of the libraries that load a model means to its user."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from huggingface_hub import constants

from veneer.foundation.errors import InputError, VeneerError, first_sentence
from veneer.foundation.write_failures import error_number, write_failure
from veneer.models.quantised import refusal

FULL = (errno.ENOSPC, errno.EDQUOT)
# in the libraries' errors
FOREIGN_CODE = "contains custom code"
UNJOINED = "automatic conversion of the weights"
NO_MEMORY = re.compile(r"allocate memory|out of memory|start new thread")


def why_not_loaded(
    name: str, error: Exception, method: str | None, room: Path | None
) -> VeneerError | Exception:
    """The error to raise where model `name` could not be loaded. method: how its weights are
    quantised. room: the folder that weights are written to while it loads."""
    why = first_sentence(error)
    if isinstance(error, ImportError):
        return (
            refusal(name, method, why)
            if method
            else InputError(
                f"{name} needs a package that is not installed ({why}); install it and try again"
            )
        )
    if error_number(error) in FULL:
        return write_failure(error, room or Path(constants.HF_HUB_CACHE)) or error
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return VeneerError(
            f"memory ran out while {name} was loaded ({why}); free some, or use a smaller model"
        )
    if method:
        return refusal(name, method, why)
    if FOREIGN_CODE in str(error):
        return needs_code(name)
    if UNJOINED in str(error):
        return InputError(
            f"{name} lacks some of the tensors that are put together when it is loaded, such as "
            "those of one expert (the report above names what they make); expected a whole "
            "checkpoint: download or save it again"
        )
    return InputError(
        f"{name} cannot be loaded ({why}); expected a causal language model: a hub id that this "
        "machine can reach, a local folder with config.json, tokenizer and *.safetensors, an "
        "adapter folder, a .gguf file, or lab:base and its kin"
    )


def needs_code(what: str) -> InputError:
    """The refusal of a model or tokenizer that runs code of its own."""
    return InputError(
        f"{what} needs code from its own repository, which is not run without your word; read that "
        "code, and give --trust-remote-code (trust_remote_code=True in Python)"
    )
