"""Upload a finished folder to the Hugging Face hub, or to the host in HF_ENDPOINT."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.errors import InputError, VeneerError

KEPT_HERE = ("run.json", ".lock*")  # names folders of this machine


def check_repo(repo: str) -> None:
    """Raise InputError where `repo` is no repository's name or there is no token to write with:
    before any work is done."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise InputError(
            f"--push-to-hub is {repo!r}; expected the name of a repository such as user/model"
        ) from None
    if not get_token():
        raise InputError(
            "found no token for the hub; expected one that may write: run `hf auth login`, or set "
            "the environment variable HF_TOKEN"
        )


def push_folder(folder: str | Path, repo: str, *, private: bool = False) -> str:
    """Upload the files of `folder` (not run.json) as one commit to the model repository `repo`,
    which is made where it does not exist; returns its address. private: make it private; a
    repository that exists stays as it is.

    Raises InputError for a name that is none, or without a token, and VeneerError where the hub
    refuses or cannot be reached; then there is no commit.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    check_repo(repo)
    api = HfApi()
    try:
        made = api.create_repo(repo, private=private, exist_ok=True, repo_type="model")
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=str(folder),
            ignore_patterns=list(KEPT_HERE),
            commit_message="Base with a veneer in its head",
        )
    except HfHubHTTPError as error:
        code = getattr(error.response, "status_code", None)
        if code in (401, 403):
            raise VeneerError(
                f"the hub refuses to write to {repo} ({code}: {_first(error)}); expected a token "
                "with write access to it: run `hf auth login`, or set HF_TOKEN"
            ) from None
        raise VeneerError(
            f"the hub did not take {repo} ({_first(error)}); {_again(folder)}"
        ) from None
    except Exception as error:  # network errors come in several libraries' classes
        raise VeneerError(
            f"{repo} could not be pushed ({_first(error)}); {_again(folder)}"
        ) from None
    return str(made)


def _again(folder: str | Path) -> str:
    return f"the folder {folder} is whole: run the same command again to push it"


def _first(error: Exception) -> str:
    """The server's own words, or the first line of the error."""
    words = getattr(error, "server_message", None) or str(error) or type(error).__name__
    return str(words).strip().splitlines()[0].rstrip(".")
