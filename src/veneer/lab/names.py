"""The embedded models by name, and their folders."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.errors import InputError

MODELS_FOLDER = Path(__file__).resolve().parent / "models"
LAB_MODELS = (
    "lab:base",
    "lab:aligned",
    "lab:large-base",
    "lab:large-aligned",
    "lab:compromised",
    "lab:deep-aligned",
)


def lab_folder(name: str) -> tuple[Path, Path]:
    """(model folder, tokenizer folder) of an embedded model such as `lab:base`.

    The tokenizer is stored once, as all models share it. Raises InputError for a name that is
    not in LAB_MODELS.
    """
    if name not in LAB_MODELS:
        raise InputError(
            f"there is no embedded model {name!r}; expected one of {', '.join(LAB_MODELS)}"
        )
    folder = MODELS_FOLDER / name.removeprefix("lab:")
    tokenizer = MODELS_FOLDER / "tokenizer"
    for place in (folder / "model.safetensors", tokenizer / "tokenizer.json"):
        if not place.is_file():
            raise InputError(
                f"{place} is missing from this installation; build it with: python -m "
                "tools.lab.build"
            )
    return folder, tokenizer
