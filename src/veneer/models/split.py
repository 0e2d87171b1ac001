"""A model that no single device holds: its layers on the GPUs, further ones in memory, then
on disk; all else on the first GPU.

Hidden states leave the last layer, wherever that is, for the first device, where the final norm,
the head, and all that Veneer computes from them are. The `accelerate` package moves states from
layer to layer and reads what lies on disk from the checkpoint itself, layer by layer, in each pass.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.files import ScratchFolder
from veneer.models.layers import find_layers

NAME = "split"
SHARE = 0.8  # share of the free memory for weights; the rest is for caches and states
UNITS = {
    "": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
HOW = (
    "expected split, or split:PLACE=SIZE,... such as split:0=40GB,1=40GB,cpu=100GB (GPUs by number)"
)

Place = int | str  # the number of a GPU, "cpu" or "disk"


@dataclass(frozen=True)
class DeviceSplit:
    """room: bytes that weights may take, by place; None takes a share of what is free. A model is
    spread evenly over its GPUs."""

    room: Mapping[Place, int] | None = None

    @classmethod
    def parse(cls, device: str) -> DeviceSplit | None:
        """Parse "split" or "split:0=40GB,cpu=100GB"; None for any other device. Raises InputError,
        MissingExtra."""
        name, colon, rest = device.partition(":")
        if name != NAME:
            return None
        try:
            import accelerate  # noqa: F401
        except ImportError:
            raise MissingExtra("accelerate", "split", "a model over several devices") from None
        room: dict[Place, int] = {}
        for word in rest.split(",") if colon else []:
            match = re.fullmatch(
                r"(\d+|cpu)=(\d+(?:\.\d+)?)([KMGT]I?B)?", word.strip(), re.IGNORECASE
            )
            if not match:
                raise InputError(
                    f"the device {device!r} is not understood at {word.strip()!r}; {HOW}"
                )
            place, size, unit = match.groups()
            room[int(place) if place.isdigit() else "cpu"] = int(
                float(size) * UNITS[(unit or "").upper()]
            )
        gpus = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
        for place in room:
            if isinstance(place, int) and place >= gpus:
                raise InputError(
                    f"the device {device!r} names GPU {place}; this machine has {gpus or 'none'}"
                )
        return cls(room or None)

    @property
    def first(self) -> torch.device:
        """The place of everything but the layers."""
        gpus = [p for p in self._room() if isinstance(p, int)]
        return _device(min(gpus)) if gpus else torch.device("cpu")

    def placement(self, model: Any, name: str) -> dict[str, str]:
        """Module names to devices or "disk", for a model whose weights need not be loaded (meta).
        Raises InputError where the first device has no room for what is not a layer."""
        from accelerate import infer_auto_device_map
        from accelerate.utils import get_balanced_memory

        layers = find_layers(model.base_model, model.config, name)
        at = next(n for n, m in model.named_modules() if m is layers)
        room = dict(self._room())
        first: Place = min((p for p in room if isinstance(p, int)), default="cpu")
        rest = _bytes(model) - _bytes(layers)
        if rest > room[first]:
            raise InputError(
                f"{name}: embeddings and head take {rest / 1e6:,.1f} MB, more than the "
                f"{room[first] / 1e6:,.1f} MB for weights on the first device; give it more room, "
                "or a smaller dtype"
            )
        room[first] -= rest
        blocks = [type(layer).__name__ for layer in layers]
        with quiet():
            balanced = get_balanced_memory(layers, room, no_split_module_classes=blocks)
            device_map = infer_auto_device_map(
                layers, max_memory=balanced, no_split_module_classes=blocks
            )
        _say_what_is_outside(
            name,
            [device_map.get("", device_map.get(str(i), first)) for i in range(len(layers))],
            first,
        )
        places = {
            f"{at}.{n}" if n else at: p if isinstance(p, str) else str(_device(p))
            for n, p in device_map.items()
        }
        return {**dict.fromkeys(_beside(model, at), str(self.first)), **places}

    def _room(self) -> Mapping[Place, int]:
        if self.room is not None:
            return self.room
        from accelerate.utils import get_max_memory

        return {place: int(free * SHARE) for place, free in get_max_memory().items()}


def room_on_disk(placement: Mapping[str, str]) -> ScratchFolder | None:
    """A folder for weights that loading changes (experts that are put together) and that
    the checkpoint does not hold as they are used. It goes with this object, which the
    model must keep."""
    return ScratchFolder("veneer-split") if "disk" in placement.values() else None


def need_one_device(model: nn.Module, what: str) -> None:
    """Raise InputError for a model that is split."""
    places = {"memory or disk" if p.is_meta else str(p.device) for p in model.parameters()}
    if len(places) > 1:
        raise InputError(
            f"{what} needs the model on one device, but it is on {' and '.join(sorted(places))}; "
            "give a single --device"
        )


def _device(gpu: Place) -> torch.device:
    kind = torch.accelerator.current_accelerator()
    assert kind is not None, "a GPU was found before"
    return torch.device(kind.type, int(gpu))


def _say_what_is_outside(name: str, places: Sequence[Place], first: Place) -> None:
    outside = [
        (places.count(p), words)
        for p, words in (("cpu", "in memory"), ("disk", "on disk"))
        if p != first
    ]
    text = " and ".join(f"{n} {words}" for n, words in outside if n)
    if text:
        logging.getLogger("veneer").warning(
            "veneer: of the %d layers of %s, %s; each pass reads them", len(places), name, text
        )


def _bytes(module: nn.Module) -> int:
    return sum(
        {
            id(t): t.numel() * t.element_size() for t in [*module.parameters(), *module.buffers()]
        }.values()
    )


def _beside(model: nn.Module, layers: str) -> Iterator[str]:
    """Names of all modules, and of parameters of their parents, that are not under `layers`."""
    parents = ["", *(layers[: m.start()] for m in re.finditer(r"\.", layers))]
    for parent in parents:
        module, before = model.get_submodule(parent), f"{parent}." if parent else ""
        own = [
            n
            for n, _ in [
                *module.named_parameters(recurse=False),
                *module.named_buffers(recurse=False),
            ]
        ]
        yield from (
            name
            for n in [*own, *(n for n, _ in module.named_children())]
            if (name := before + n) not in [*parents, layers]
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No word of accelerate's on devices that it does not find: who runs Veneer has named them."""
    loggers = [
        logging.getLogger(n) for n in ("accelerate.utils.modeling", "accelerate.big_modeling")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
