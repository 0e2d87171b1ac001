"""Where a model's name leads: a sentence for each place that is no model's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.hub import is_hub

CONFIG, ADAPTER = "config.json", "adapter_config.json"
EXPECTED = "expected a model folder with config.json, a .gguf file, or a hub id"
PAGE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)(?:/.*)?")
DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # of Windows
SHARD = re.compile(r"-\d+-of-\d+")
READ = ("model.safetensors", "model.safetensors.index.json")  # one of these is read first
# the formats of Mistral and of Meta, which transformers does not read
AUTHORS = ("params.json", "consolidated*")


def check_places(*names: str | None) -> None:
    """Raise InputError for a model that is no local folder or file though its name says so. A
    command that loads several models looks for all of them before it loads one. None: not given."""
    for name in names:
        if name is None or name.startswith("lab:") or is_hub(name):
            continue
        if not any((Path(p) / ADAPTER).is_file() for p in (name, name.split("@")[0])):
            check_place(name)


def check_place(name: str) -> None:
    """Raise InputError where the name is that of a file or a folder and leads to no model."""
    path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"there is no file {path}; expected a GGUF file")
    elif path.is_dir():
        _check_folder(path)
    elif path.is_file():
        raise InputError(f"{name} is a file; {EXPECTED}")
    elif (page := PAGE.fullmatch(name)) is not None:
        raise InputError(
            f"{name} is the address of a page; expected the id of the model on the hub: {page[1]}"
        )
    elif name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise InputError(f"there is no folder {name}{_why(name)}; {EXPECTED}")


def _why(name: str) -> str:
    """Why a path that a person took for right leads nowhere; "" where that is not known."""
    if name.startswith("~"):
        return " (only a shell reads ~ as the home folder: write the whole path)"
    if "://" in name:
        return " (write the path without the scheme)"
    if DRIVE.match(name):
        return " (a path of Windows: write where this system has that folder)"
    return ""


def _check_folder(path: Path) -> None:
    if not (path / CONFIG).is_file():
        raise InputError(
            f"{path} has no config.json{_instead(path)}; expected a Hugging Face model folder, or "
            "an adapter folder with adapter_config.json"
        )
    weights = sorted(p.name for p in path.glob("*.safetensors"))
    if not weights:
        pickles = sorted(
            p.name for p in [*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")]
        )
        content = f"only pickled weights ({', '.join(pickles)})" if pickles else "no weights"
        raise InputError(
            f"{path} holds {content}; expected *.safetensors: save the model again with "
            "save_pretrained"
        )
    if not any(os.path.lexists(path / name) for name in READ):  # vetting names a link to nowhere
        if weights[0].startswith("consolidated"):
            mend = (
                "that is the format of the model's author, which transformers does not read: fetch "
                "the model's files for transformers too, or convert it"
            )
        elif SHARD.search(weights[0]):
            mend = "fetch model.safetensors.index.json too, or save the model again"
        else:  # a variant, as model.fp16.safetensors
            mend = f"if {weights[0]} is the whole model, rename it to {READ[0]}"
        raise InputError(
            f"{path} holds {weights[0]}, and neither {' nor '.join(READ)}, by which weights are "
            f"read; {mend}"
        )


def _instead(path: Path) -> str:
    """What a person probably means by a folder that is no model's: a folder in it or above it (a
    trainer's checkpoints, the hub's cache), a GGUF file; "" where there is none."""
    folders = sorted(
        file.parent
        for name in (CONFIG, ADAPTER)
        for depth in ("*", "snapshots/*", "*/snapshots/*")
        for file in path.glob(f"{depth}/{name}")
    )
    if folders:
        more = f" (and {len(folders) - 1} more)" if len(folders) > 1 else ""
        return f", but {folders[0]} has one{more}: give that folder"
    if files := sorted(path.glob("*.gguf")):
        return f", but it holds {files[0].name}: give that file"
    if any((path.parent / name).is_file() for name in (CONFIG, ADAPTER)):
        return f", but the folder above it has one: give {path.parent}"
    if any(file for pattern in AUTHORS for file in path.glob(pattern)):
        return (
            " (it is in the format of the model's author, which transformers does not read: fetch "
            "the model's files for transformers, or convert it)"
        )
    return ""
