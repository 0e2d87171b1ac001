"""Devices and number types by their names."""

from __future__ import annotations

from typing import Any

import torch

from veneer.foundation.errors import InputError
from veneer.models.split import DeviceSplit

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(device: str) -> torch.device:
    """`auto` is the first GPU if there is one; of a split model, the device of its head. Raises
    InputError for a device that does not exist."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if (split := DeviceSplit.parse(device)) is not None:
        return split.first
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"the device {device!r} cannot be used here ({_why_not(error)}); try --device auto"
        ) from None
    return chosen


def _why_not(error: Exception) -> str:
    """Why a device cannot be used. PyTorch answers an unknown name with all names that it knows."""
    text = str(error).splitlines()[0]
    return "expected auto, cpu, cuda, cuda:1, mps or split" if "Expected one of" in text else text


def resolve_dtype(dtype: str, device: torch.device) -> Any:
    """`auto` is float32 on a CPU (bfloat16 is several times slower there) and the checkpoint's
    own dtype on a GPU."""
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}; expected auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]
