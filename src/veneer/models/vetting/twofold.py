"""A tensor that stands in two files of weights: engines differ in which of them they read."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from veneer.foundation.errors import InputError


def check_once(folder: Path, files: list[Path]) -> None:
    """Raise InputError where two of these safetensors files hold a tensor of the same name with
    different numbers, as where a model was saved in one file beside the shards of another one:
    transformers reads the whole file, and vLLM the shards."""
    first: dict[str, Path] = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                for name in sorted(file.keys()):
                    before = first.setdefault(name, path)
                    if before != path and not _same(_read(before, name), file.get_tensor(name)):
                        raise InputError(
                            f"{folder} holds {name} twice with different numbers, in {before.name} "
                            f"and in {path.name}, of which engines read either; expected one file "
                            "for each tensor: delete the files that are not the model's own"
                        )
        except SafetensorError:
            return  # the library says what is damaged


def _read(path: Path, name: str) -> Tensor:
    with safe_open(path, framework="pt") as file:
        return file.get_tensor(name)


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether the numbers are equal, or would be if both were stored in one of the two dtypes."""
    if a.shape != b.shape:
        return False
    if a.dtype == b.dtype:
        bits = [t.reshape(-1).view(torch.uint8) for t in (a, b)]
        return torch.equal(*bits)
    return torch.equal(a.to(b.dtype), b) or torch.equal(b.to(a.dtype), a)
