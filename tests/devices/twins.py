"""Makes the devices twin:0 and twin:1 of twins.cpp in this process. There is no way back: use a
process of its own."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path

import torch
from torch.utils import cpp_extension


def make(folder: str | None = None) -> None:
    """Compile (in `folder`, where it stays) and register them. Raises where there is
    no C++ compiler."""
    torch.utils.rename_privateuse1_backend("twin")
    cpp_extension.load(
        "veneer_twins",
        [str(Path(__file__).with_name("twins.cpp"))],
        extra_cflags=["-O0", "-w", "-DAT_PER_OPERATOR_HEADERS"],
        is_python_module=False,
        build_directory=folder or tempfile.mkdtemp(),
    )
    module = types.ModuleType("torch.twin")
    functions = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "current_device": lambda: torch.ops.twin.current(),
        "set_device": lambda device: torch.ops.twin.set(
            device if isinstance(device, int) else torch.device(device).index
        ),
        "_is_in_bad_fork": lambda: False,
        "manual_seed_all": lambda seed: None,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "memory_allocated": lambda *_: 0,
        "get_amp_supported_dtype": lambda: [torch.bfloat16],
    }
    for name, value in functions.items():
        setattr(module, name, value)
    torch._register_device_module("twin", module)


if __name__ == "__main__":
    make(sys.argv[1])
