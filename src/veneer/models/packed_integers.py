"""Checkpoints of GPTQ and AWQ, whose weights are integers of 2 to 8 bits packed into words of 32,
read as the plain numbers that they stand for.

The library reads them through packages that need a GPU to install. The layouts are those of
AutoGPTQ 0.7 (`QuantLinear.pack`; GPTQModel's "gptq_v2" differs in the zero points) and of AutoAWQ
0.2 (`WQLinear_GEMM`): a matrix X.weight of (out, in) is stored as

    X.qweight   GPTQ: (in * bits / 32, out); AWQ: (in, out * bits / 32)
    X.qzeros    (groups, out * bits / 32)
    X.scales    (groups, out)
    X.g_idx     GPTQ: (in,), the group of each input; in order where it is missing

and weight = scales[group] * (integer - zero point[group]).
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

from veneer.foundation.errors import InputError

METHODS = ("gptq", "awq")
LAYOUTS = {"gptq": ("gptq", "gptq_v2"), "awq": ("gemm",)}
PARTS = ("qweight", "qzeros", "scales", "g_idx")
WORD = 32  # bits
AWQ_PLACES = np.array([0, 4, 1, 5, 2, 6, 3, 7])  # of the eight columns within a word of AWQ


@dataclass(frozen=True)
class Unmade:
    """A tensor that is made when the library takes it ([...]), as it takes one of a file."""

    make: Callable[[], torch.Tensor]

    def __getitem__(self, place: Any) -> torch.Tensor:
        return self.make()[place]


def plain_tensors(name: str, files: Sequence[Path], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The plain tensors that the safetensors files of a checkpoint stand for, by name, each made
    when it is taken: neither memory nor a disk holds a second model.

    name: of the model, for errors. settings: its quantization_config. Raises InputError for a
    layout that is not read here, and, when they are taken, for parts that do not belong together.
    """
    method = str(getattr(settings["quant_method"], "value", settings["quant_method"]))
    _check(name, method, settings)
    stored: dict[str, Any] = {}
    for path in files:
        file = safe_open(path, framework="pt")
        stored.update({key: file.get_slice(key) for key in file.keys()})  # noqa: SIM118
    plain = {k: tensor for k, tensor in stored.items() if k.rpartition(".")[2] not in PARTS}
    for key in stored:
        matrix, _, part = key.rpartition(".")
        if part == "qweight":
            of_matrix = {p: stored.get(f"{matrix}.{p}") for p in PARTS}
            plain[f"{matrix}.weight"] = Unmade(
                partial(_plain, name, method, settings, matrix, of_matrix)
            )
    return plain


def without_quantisation(config: Any) -> Any:
    """A copy of a model's config whose weights, and those of its parts, are plain."""
    plain = copy.deepcopy(config)
    for part in (plain, *(getattr(plain, key, None) for key in plain.sub_configs)):
        if hasattr(part, "quantization_config"):
            del part.quantization_config
    return plain


def _check(name: str, method: str, settings: Mapping[str, Any]) -> None:
    key = "checkpoint_format" if method == "gptq" else "version"
    layout = str(settings.get(key) or LAYOUTS[method][0]).lower()
    if layout not in LAYOUTS[method]:
        raise InputError(
            f"{name} is quantised ({method}) in the layout {layout!r}; expected "
            f"{' or '.join(map(repr, LAYOUTS[method]))}: give the model without quantisation"
        )


def _plain(
    name: str, method: str, settings: Mapping[str, Any], matrix: str, stored: Mapping[str, Any]
) -> torch.Tensor:
    """The plain matrix (out, in) of one layer, float32."""
    parts = {p: None if tensor is None else tensor[...] for p, tensor in stored.items()}
    try:
        return _of_gptq(parts, settings) if method == "gptq" else _of_awq(parts)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"{name} is quantised ({method}), and the parts of {matrix} do not belong together "
            f"({error}); fetch the model again, or give it without quantisation"
        ) from None


def _of_gptq(parts: Mapping[str, torch.Tensor | None], settings: Mapping[str, Any]) -> torch.Tensor:
    """The matrix (out, in) of one layer of GPTQ, float32. A layer may have bits of its own, so they
    follow from its shapes."""
    packed, zeros, scales = _words(parts["qweight"]), _words(parts["qzeros"]), _scales(parts)
    bits = _bits(zeros.shape[1], scales.shape[1])
    integers, zero_points = _integers(packed.T, bits), _integers(zeros, bits)
    if settings.get("checkpoint_format") != "gptq_v2":  # one less is stored
        zero_points = (zero_points + np.uint8(1)) & np.uint8(2**bits - 1)
    groups = parts["g_idx"]
    return _weight(integers, zero_points, scales, None if groups is None else groups.long().numpy())


def _of_awq(parts: Mapping[str, torch.Tensor | None]) -> torch.Tensor:
    """The matrix (out, in) of one layer of AWQ, float32."""
    packed, zeros, scales = _words(parts["qweight"]), _words(parts["qzeros"]), _scales(parts)
    if (bits := _bits(zeros.shape[1], scales.shape[1])) != 4:
        raise ValueError(f"{bits} bits; expected 4")
    integers, zero_points = (
        _integers(words, bits).reshape(len(words), -1, 8)[:, :, AWQ_PLACES].reshape(len(words), -1)
        for words in (packed, zeros)
    )
    return _weight(integers.T, zero_points, scales, None)


def _weight(
    integers: np.ndarray, zero_points: np.ndarray, scales: np.ndarray, groups: np.ndarray | None
) -> torch.Tensor:
    """integers: (out, in). zero_points, scales: (groups, out). groups: (in,), or in order."""
    width = integers.shape[1]
    if groups is None:
        if width % len(scales):
            raise ValueError(f"{len(scales)} groups of {width} inputs")
        groups = np.arange(width) // (width // len(scales))
    elif strange := sorted({*groups.tolist()} - {*range(len(scales))}):
        raise ValueError(f"found the group {strange[0]}; expected 0 to {len(scales) - 1}")
    weight = integers.astype(np.float32)
    weight -= zero_points.T[:, groups]
    weight *= scales.T[:, groups]
    return torch.from_numpy(np.ascontiguousarray(weight))


def _words(part: torch.Tensor | None) -> np.ndarray:
    if part is None or part.dtype != torch.int32 or part.dim() != 2:
        kind = "no tensor" if part is None else f"{tuple(part.shape)} of {part.dtype}"
        raise ValueError(f"found {kind} for packed words; expected a matrix of int32")
    return part.numpy()


def _scales(parts: Mapping[str, torch.Tensor | None]) -> np.ndarray:
    scales = parts["scales"]
    if scales is None:
        raise ValueError("there are no scales")
    return scales.float().numpy()


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
