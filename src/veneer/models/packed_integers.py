"""Checkpoints of GPTQ, AWQ and AutoRound, whose weights are integers of 2 to 8 bits packed into
words of 32, read as the plain numbers that they stand for.

The library reads them through packages that need a GPU to install. The layouts are those of
AutoGPTQ 0.7 (`QuantLinear.pack`; GPTQModel's "gptq_v2" differs in the zero points) and of AutoAWQ
0.2 (`WQLinear_GEMM`), which AutoRound 0.16 writes too: a matrix X.weight of (out, in) is stored as

    X.qweight   GPTQ: (in * bits / 32, out); AWQ: (in, out * bits / 32)
    X.qzeros    (groups, out * bits / 32)
    X.scales    (groups, out)
    X.g_idx     GPTQ: (in,), the group of each input; in order where it is missing

and weight = scales[group] * (integer - zero point[group]). AutoAWQ's `WQLinear_GEMV` stores each
of them the other way round, and fills up the groups: qweight (out, in * bits / 32), qzeros (out,
groups * bits / 32), scales (out, groups). Layers that keep a matrix as (in, out) (GPT-2's Conv1D)
are packed as all others.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers.pytorch_utils import Conv1D

from veneer.foundation.errors import InputError

METHODS = ("gptq", "awq", "auto-round")
# where the settings name the layout, and the first one where they do not
KEYS = {"gptq": "checkpoint_format", "awq": "version", "auto-round": "packing_format"}
LAYOUTS = {
    "gptq": {"gptq": "gptq", "gptq_v2": "gptq_v2"},
    "awq": {"gemm": "gemm", "gemv": "gemv"},
    "auto-round": {
        "auto_round:auto_gptq": "gptq",
        "auto_round:auto_awq": "gemm",
        "auto_round:gptqmodel": "gptq_v2",
        "auto_round": "gptq_v2",
    },
}
PARTS = ("qweight", "qzeros", "scales", "g_idx")
WORD = 32  # bits
AWQ_PLACES = np.array([0, 4, 1, 5, 2, 6, 3, 7])  # of the eight columns within a word of AWQ


@dataclass(frozen=True)
class Unmade:
    """A tensor that is made when the library takes it ([...]), as it takes one of a file."""

    make: Callable[[], torch.Tensor]

    def __getitem__(self, place: Any) -> torch.Tensor:
        return self.make()[place]


def plain_tensors(
    name: str, files: Sequence[Path], settings: Mapping[str, Any], model: Any
) -> dict[str, Any]:
    """The plain tensors that the safetensors files of a checkpoint stand for, by name, each made
    when it is taken: neither memory nor a disk holds a second model.

    name: of the model, for errors. settings: its quantization_config. model: its modules, without
    weights. Raises InputError for a layout that is not read here, and, when they are taken, for
    parts that do not belong together.
    """
    layout = _layout(name, settings)
    size = max(0, int(settings.get("group_size") or 0))
    turned = {n for n, module in model.named_modules() if isinstance(module, Conv1D)}
    stored: dict[str, Any] = {}
    for path in files:
        file = safe_open(path, framework="pt")
        stored.update({key: file.get_slice(key) for key in file.keys()})  # noqa: SIM118
    plain = {k: tensor for k, tensor in stored.items() if k.rpartition(".")[2] not in PARTS}
    for key in stored:
        matrix, _, part = key.rpartition(".")
        if part == "qweight":
            of_matrix = {p: stored.get(f"{matrix}.{p}") for p in PARTS}
            is_turned = bool({matrix, f"{model.base_model_prefix}.{matrix}"} & turned)
            plain[f"{matrix}.weight"] = Unmade(
                partial(_plain, f"{matrix} of {name}", layout, size, of_matrix, is_turned)
            )
    return plain


def without_quantisation(config: Any) -> Any:
    """A copy of a model's config whose weights, and those of its parts, are plain."""
    plain = copy.deepcopy(config)
    for part in (plain, *(getattr(plain, key, None) for key in plain.sub_configs)):
        if hasattr(part, "quantization_config"):
            del part.quantization_config
    return plain


def _layout(name: str, settings: Mapping[str, Any]) -> str:
    """How the weights are packed, one of READERS. Raises InputError for a layout that is not read
    here."""
    method = str(getattr(settings["quant_method"], "value", settings["quant_method"]))
    known = LAYOUTS[method]
    written = str(settings.get(KEYS[method]) or next(iter(known))).lower()
    if written not in known:
        *others, last = map(repr, known)
        raise InputError(
            f"{name} is quantised ({method}) in the layout {written!r}; expected "
            f"{', '.join(others)} or {last}: give the model without quantisation"
        )
    if turns := [key for key in settings if "rotation" in key and settings[key]]:
        raise InputError(
            f"{name} is quantised ({method}), and its layers also turn what they read "
            f"({turns[0]}); expected plain matrices: give the model without quantisation"
        )
    return known[written]


def _plain(
    what: str, layout: str, size: int, stored: Mapping[str, Any], is_turned: bool
) -> torch.Tensor:
    """The plain matrix of one layer, float32: (out, in), or (in, out) where the layer keeps it
    turned. what: the matrix, for errors. size: inputs of a group, or 0."""
    try:
        parts = _Parts(
            _words(stored["qweight"]),
            _words(stored["qzeros"]),
            _scales(stored["scales"]),
            None if (groups := stored["g_idx"]) is None else groups[...].long().numpy(),
            size,
        )
        weight = _weight(*READERS[layout](parts), parts)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"the quantised parts of {what} do not belong together ({error}); fetch the model "
            "again, or give it without quantisation"
        ) from None
    return weight.T.contiguous() if is_turned else weight


@dataclass(frozen=True)
class _Parts:
    """What is stored of one matrix. size: inputs of a group by the settings, or 0."""

    weight: np.ndarray
    zeros: np.ndarray
    scales: np.ndarray
    groups: np.ndarray | None
    size: int


# integers (out, in), zero points and scales (groups, out)
Unpacked = tuple[np.ndarray, np.ndarray, np.ndarray]


def _of_gptq_v2(parts: _Parts) -> Unpacked:
    """A layer may have bits of its own, so they follow from its shapes."""
    bits = _bits(parts.zeros.shape[1], parts.scales.shape[1])
    return _integers(parts.weight.T, bits), _integers(parts.zeros, bits), parts.scales


def _of_gptq(parts: _Parts) -> Unpacked:
    """As gptq_v2, with zero points of which one less is stored."""
    integers, zero_points, scales = _of_gptq_v2(parts)
    most = 2 ** _bits(parts.zeros.shape[1], scales.shape[1]) - 1
    return integers, (zero_points + np.uint8(1)) & np.uint8(most), scales


def _of_gemm(parts: _Parts) -> Unpacked:
    _need_four(parts)
    integers, zero_points = (
        _integers(words, 4).reshape(len(words), -1, 8)[:, :, AWQ_PLACES].reshape(len(words), -1)
        for words in (parts.weight, parts.zeros)
    )
    return integers.T, zero_points, parts.scales


def _of_gemv(parts: _Parts) -> Unpacked:
    _need_four(parts)
    integers = _integers(parts.weight, 4)
    number = integers.shape[1] // (parts.size or integers.shape[1])
    return integers, _integers(parts.zeros, 4)[:, :number].T, parts.scales[:, :number].T


READERS: Mapping[str, Callable[[_Parts], Unpacked]] = {
    "gptq": _of_gptq,
    "gptq_v2": _of_gptq_v2,
    "gemm": _of_gemm,
    "gemv": _of_gemv,
}


def _need_four(parts: _Parts) -> None:
    if (bits := _bits(parts.zeros.shape[1], parts.scales.shape[1])) != 4:
        raise ValueError(f"{bits} bits; expected 4")


def _weight(
    integers: np.ndarray, zero_points: np.ndarray, scales: np.ndarray, parts: _Parts
) -> torch.Tensor:
    number, width = len(scales), integers.shape[1]
    if (groups := parts.groups) is None:
        size = parts.size
        if not size or -(-width // size) != number:  # this layer's own
            size, rest = divmod(width, number)
            if rest:
                raise ValueError(f"{number} groups of {width} inputs")
        groups = np.arange(width) // size
    elif strange := sorted({*groups.tolist()} - {*range(number)}):
        raise ValueError(f"found the group {strange[0]}; expected 0 to {number - 1}")
    weight = integers.astype(np.float32)
    weight -= zero_points.T[:, groups]
    weight *= scales.T[:, groups]
    return torch.from_numpy(np.ascontiguousarray(weight))


def _words(part: Any) -> np.ndarray:
    part = None if part is None else part[...]
    if part is None or part.dtype != torch.int32 or part.dim() != 2:
        kind = "no tensor" if part is None else f"{tuple(part.shape)} of {part.dtype}"
        raise ValueError(f"found {kind} for packed words; expected a matrix of int32")
    return part.numpy()


def _scales(part: Any) -> np.ndarray:
    if part is None:
        raise ValueError("there are no scales")
    scales: np.ndarray = part[...].float().numpy()
    return scales


def _bits(words: int, values: int) -> int:
    """Bits per integer where `values` of them fill `words`."""
    bits, rest = divmod(words * WORD, values)
    if rest or not 2 <= bits <= 8:
        raise ValueError(f"{words} words for {values} values")
    return bits


def _integers(words: np.ndarray, bits: int) -> np.ndarray:
    """(rows, words) of int32, each row one stream of bits from the lowest on -> (rows, integers) of
    uint8."""
    rows = len(words)
    stream = np.unpackbits(
        np.ascontiguousarray(words, "<i4").view(np.uint8), axis=1, bitorder="little"
    )
    fields = stream.reshape(rows, -1, bits)
    return np.packbits(fields, axis=2, bitorder="little")[..., 0]
