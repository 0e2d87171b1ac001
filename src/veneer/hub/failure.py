"""Errors of the hub's library as one sentence. No token is in them: the library sends it in a
header, and the command line hides the values of secret environment variables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from veneer.foundation.errors import InputError, VeneerError
from veneer.hub.address import Address

TOKEN = "run `hf auth login`, or set HF_TOKEN"


@contextlib.contextmanager
def in_a_sentence(address: Address, doing: str) -> Iterator[None]:
    """Turn an error inside into one sentence. doing: "read" or "written"."""
    try:
        yield
    except VeneerError:
        raise
    except Exception as error:  # connection errors come in several libraries' classes
        raise sentence(error, address, doing) from None


def sentence(error: Exception, address: Address, doing: str) -> VeneerError:
    """What was found, what was expected, and how to mend it. InputError (exit code 2), but
    VeneerError (1) for a server or a network that fails while files are written."""
    from huggingface_hub import constants, errors

    cause = _deepest(error)
    code = getattr(getattr(cause, "response", None), "status_code", None)
    host, fault = constants.ENDPOINT, InputError if doing == "read" else VeneerError
    if isinstance(cause, errors.HFValidationError):
        return InputError(
            f"{address.repository!r} is no name of a repository ({first(cause)}); expected "
            "OWNER/NAME"
        )
    if isinstance(cause, errors.OfflineModeIsEnabled) or (
        code is None and constants.HF_HUB_OFFLINE
    ):
        return InputError(
            f"{address} could not be {doing}: HF_HUB_OFFLINE=1 forbids the network"
            + (", and this machine's cache does not hold it" if doing == "read" else "")
            + "; unset HF_HUB_OFFLINE"
        )
    if isinstance(cause, errors.RevisionNotFoundError):
        return InputError(
            f"{address.repository} has no revision {address.revision or 'main'!r}; expected a "
            "branch, a tag or a commit of it"
        )
    if isinstance(cause, errors.GatedRepoError):
        return InputError(
            f"{address.repository} is gated ({code}); ask for access on {address.page}, then "
            f"{TOKEN}"
        )
    if code == 404 and not isinstance(cause, errors.RepositoryNotFoundError):
        return InputError(f"{address} holds no such file; expected one that is on {address.page}")
    if code in (401, 403, 404):
        what = "does not exist on" if code == 404 else "is not open to this token at"
        right = "may read it" if doing == "read" else "may write to it"
        return InputError(
            f"{address.repository} {what} {host}, or is private ({code}: {first(cause)}); expected "
            f"a repository and a token that {right}: correct the name, or {TOKEN}"
        )
    if code is not None:
        return fault(
            f"{address} could not be {doing}: {host} answered {code} ({first(cause)}); run the "
            "same command again later to resume"
        )
    return fault(
        f"{address} could not be {doing}: the connection to {host} failed ({first(cause)}); check "
        "the network and HF_ENDPOINT, then run the same command again to resume"
    )


def _deepest(error: BaseException) -> BaseException:
    """The error of the network behind the library's own: it searches the cache before it gives
    up, and then speaks of the cache."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def first(error: BaseException) -> str:
    """The server's own words, or the first line of the error."""
    words = getattr(error, "server_message", None) or str(error).strip() or type(error).__name__
    return " ".join(str(words).strip().splitlines()[0].split()).rstrip(".:")[:300]
