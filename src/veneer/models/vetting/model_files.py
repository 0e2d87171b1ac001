"""A model's folder before a library reads it: regular files, an index that stays within the folder,
settings of the right types, sizes that fit the weights."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.models.vetting.setting_types import vet_generation, vet_token_ids, vet_tokenizer_config
from veneer.models.vetting.sizes import (
    check_counts,
    check_kinds,
    check_total,
    is_outsized,
    shapes_of,
)
from veneer.models.vetting.tokenizer_file import vet_tokenizer
from veneer.models.vetting.twofold import check_once

LARGEST = 512 * 2**20  # bytes of a file of settings or of a tokenizer
SMALLEST, POINTER = 1024, b"version https://git-lfs"
SETTINGS = (".json", ".jinja", ".txt", ".model", ".tiktoken")
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
SHARDS = "model-*-of-*.safetensors"
MEND = "fetch the model again from its author"


def vet_folder(folder: Path) -> None:
    """Raise InputError where a file of a model folder is no regular file (reading a pipe or a
    device might never end), is too large for what it is, or is named by the index and lies
    elsewhere."""
    for path in sorted(folder.iterdir()):
        if not path.name.endswith((*SETTINGS, ".safetensors")):
            continue
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}); expected a regular file: {MEND}"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a device or a socket"
            raise InputError(f"{path} is {what}; expected a regular file: {MEND}")
        if status.st_size < SMALLEST and path.read_bytes().startswith(POINTER):
            raise InputError(
                f"{path} is a pointer of Git LFS, and not the file itself; fetch it: git lfs pull"
            )
        if path.name.endswith(SETTINGS) and status.st_size > LARGEST:
            raise InputError(
                f"{path} has {status.st_size:,} bytes; expected at most {LARGEST >> 20} MiB: {MEND}"
            )
    if _is_indexed(folder):
        _vet_index(folder)
    elif shards := sorted(path.name for path in folder.glob(SHARDS)):
        logging.getLogger("veneer").warning(
            "veneer: %s holds %s and also %s, a shard of another save or a copy; %s alone is "
            "read: remove the files that you do not mean",
            *(folder, SINGLE, shards[0], SINGLE),
        )


def _is_indexed(folder: Path) -> bool:
    """Whether the library reads the weights by their index. It does not where a whole file stands
    beside it: saving a model again leaves the old index."""
    return (folder / INDEX).is_file() and not (folder / SINGLE).is_file()


def _vet_index(folder: Path) -> None:
    index = read_json(folder / INDEX, "an index of safetensors")
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise InputError(
            f"{folder / INDEX} has no weight_map from tensors to files; expected an index of "
            f"safetensors: {MEND}"
        )
    for name in sorted(set(names.values())):
        file = Path(name)
        if (
            file.is_absolute()
            or ".." in file.parts
            or "\0" in name
            or not name.endswith(".safetensors")
        ):
            raise InputError(
                f"{folder / INDEX} names {name[:200]!r} as a file of weights; expected names of "
                f"*.safetensors within the folder: {MEND}"
            )
        if not (folder / file).is_file():
            raise InputError(f"{folder / file} does not exist, but {INDEX} names it; {MEND}")
        target = Path(os.path.realpath(folder / file))
        # the hub's own cache keeps its files beside the snapshots, under their hashes
        if not target.is_relative_to(os.path.realpath(folder)) and target.parent.name != "blobs":
            raise InputError(
                f"{folder / file} is a link that leads out of the folder, to {target}; expected "
                "the file itself: copy it, or give the folder that holds the files"
            )


def vet_files(
    model: Path, tokenizer: Path, build: Callable[[dict[str, Any]], Any] | None = None
) -> None:
    """Raise InputError where files of a model's folder hold settings of a wrong type, sizes that
    its weights do not have, or a tokenizer without bounds.

    build: makes the model of a config on no device; without it, sizes are compared by their numbers
    alone.
    """
    config = _object(model / "config.json", "a model's config.json")
    weights = weights_read(model)
    check_once(model, _readable(model))
    if config:
        vet_token_ids(model / "config.json", config)
        shapes = shapes_of(weights)
        check_counts(model / "config.json", config, shapes)
        if not _quantised(config):
            check_kinds(model / "config.json", weights)
        if weights and build is not None and is_outsized(config, shapes):
            check_total(model / "config.json", build(config), config, shapes)
    if generation := _object(model / "generation_config.json", "generation settings"):
        vet_generation(model / "generation_config.json", generation)
    if settings := _object(tokenizer / "tokenizer_config.json", "a tokenizer's settings"):
        vet_tokenizer_config(tokenizer / "tokenizer_config.json", settings)
    _object(tokenizer / "special_tokens_map.json", "a map of special tokens")
    if (tokenizer / "tokenizer.json").is_file():
        content = read_json(tokenizer / "tokenizer.json", "a tokenizer")
        vet_tokenizer(tokenizer / "tokenizer.json", content)


def weights_read(folder: Path) -> list[Path]:
    """The safetensors files of a folder that the library reads, and not those that an author or an
    earlier save left beside them (consolidated.safetensors); none where the index names one that is
    not there yet, as in the hub's cache."""
    if not _is_indexed(folder):
        return [folder / SINGLE] if (folder / SINGLE).is_file() else []
    files = _indexed(folder)
    return files if all(file.is_file() for file in files) else []


def _readable(folder: Path) -> list[Path]:
    """The files of weights that one engine or another reads: a whole file, and shards that are all
    there."""
    whole, shards = folder / SINGLE, _indexed(folder)
    there = all(file.parent == folder and file.is_file() for file in shards)
    return [*([whole] if whole.is_file() else []), *(f for f in shards if there and f != whole)]


def _indexed(folder: Path) -> list[Path]:
    """The files that a folder's index names; none without one."""
    if not (folder / INDEX).is_file():
        return []
    index = read_json(folder / INDEX, "an index of safetensors")
    names = index.get("weight_map") if isinstance(index, dict) else None
    values = list(names.values()) if isinstance(names, dict) else []
    return sorted({folder / n for n in values}) if all(isinstance(n, str) for n in values) else []


def _quantised(config: dict[str, Any]) -> bool:
    return any(
        isinstance(settings, dict) and settings.get("quantization_config") is not None
        for settings in (config, config.get("text_config"))
    )


def _object(path: Path, what: str) -> dict[str, Any] | None:
    """The content of a JSON file, None without the file. Raises InputError where it is no
    object."""
    if not path.is_file():
        return None
    value = read_json(path, what)
    if not isinstance(value, dict):
        raise InputError(f"{path} is no JSON object; expected {what}: {MEND}")
    return value
