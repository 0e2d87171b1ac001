"""A config's sizes against the weights that are really there, before the library makes room for
what the config asks for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.quantised import PARTS

LARGEST_HEADER = 100_000_000  # bytes, as the safetensors library allows
FREE_COUNT = 1000  # layers or experts that take no more than seconds to make, whatever the weights
PACKED = 16  # numbers that a stored one may stand for (4 bits in int64)
# what counts parts of a model, each of which has tensors of its own
COUNTS = re.compile(r"(num|n|max|total)?_?\w*(layers?|blocks?|experts?|depth|stages|heads?)$", re.I)
# whole numbers in a config that are no size of a tensor
NO_SIZES = re.compile(
    r"_token_id|_id$|_ids$|rope|theta|seed|_version|window|chunk|^max_position_embeddings$|"
    r"original_max_position|max_source_positions|_length$|label"
)
AT_LEAST_ONE = ("num_hidden_layers", "n_layer", "n_layers", "hidden_size", "vocab_size")
LABELS = 10**6
FREE_SIZE = 2**24  # of those: more than any context in use

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(files: list[Path]) -> Shapes:
    """Shapes of all tensors in safetensors files, from their headers alone. Raises InputError where
    a header lies about its length or is no JSON."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        for name, entry in _header(path).items():
            shape = entry.get("shape") if isinstance(entry, dict) else None
            if name != "__metadata__" and isinstance(shape, list):
                shapes[name] = tuple(n for n in shape if isinstance(n, int))
    return shapes


def _header(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, LARGEST_HEADER):
            raise InputError(
                f"{path} is damaged (its header would be {length:,} bytes of {size:,}); fetch the "
                "checkpoint again"
            )
        text = stream.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise InputError(f"{path} is damaged (its header is no JSON); fetch the checkpoint again")
    wanted = 8 + length + max((_end(entry) for entry in header.values()), default=0)
    if size < wanted:
        raise InputError(
            f"{path} was cut off (its header names {wanted:,} bytes, and it has {size:,}); fetch "
            "the checkpoint again"
        )
    return header


def _end(entry: Any) -> int:
    """Where the numbers of a tensor end, behind the header; 0 where the entry does not say."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    end = offsets[-1] if isinstance(offsets, list) and offsets else 0
    return end if isinstance(end, int) else 0


def check_kinds(path: Path, files: list[Path]) -> None:
    """Raise InputError where matrices are whole numbers, truth values, complex numbers or numbers
    of eight bits with a scale beside them, and nothing says that they are quantised: a library
    would take them for plain numbers. path: of config.json."""
    entries = {name: entry for file in files for name, entry in _header(file).items()}
    if any(PARTS.search(name) for name in entries):
        return  # quantised in a way that is named after loading
    scaled = {name.rpartition(".")[0] for name in entries if "scale" in name.rpartition(".")[2]}
    for name, entry in entries.items():
        kind = str(entry.get("dtype")) if isinstance(entry, dict) else ""
        bare = ("I", "U", "BOOL", "C", *(("F8",) if name.rpartition(".")[0] in scaled else ()))
        if name.endswith(".weight") and kind.startswith(bare):
            raise InputError(
                f"{path.parent} holds {name} as {kind} numbers, and {path.name} names no "
                "quantisation; expected floating-point weights: fetch the model again"
            )


def check_counts(path: Path, config: Mapping[str, Any], shapes: Shapes) -> None:
    """Raise InputError where a config asks for more layers, heads or experts than there are tensors
    and rows. path: of config.json."""
    limit = max([FREE_COUNT, len(shapes), *(max(s, default=0) for s in shapes.values())])
    for name, value in _numbers(config):
        if value < 1 and name in AT_LEAST_ONE:
            raise InputError(
                f"{path} asks for {name} = {value:,}; expected at least 1: fetch the model again"
            )
        if name == "num_labels" and value > LABELS:  # its config makes a name for each
            raise _too_large(path, name, value, shapes)
        if COUNTS.match(name) and not NO_SIZES.search(name) and value > limit:
            raise _too_large(path, name, value, shapes)


def is_outsized(config: Mapping[str, Any], shapes: Shapes) -> bool:
    """Whether a number in a config is larger than every dimension of the weights: what it makes has
    to be counted before it is made."""
    largest = max((max(s, default=0) for s in shapes.values()), default=0)
    return any(
        value > (FREE_SIZE if NO_SIZES.search(name) else largest)
        for name, value in _numbers(config)
    )


def check_total(path: Path, model: Any, config: Mapping[str, Any], shapes: Shapes) -> None:
    """Raise InputError where a model is many times larger than its weights. model: its modules on
    no device."""
    wanted = sum(t.numel() for t in (*model.parameters(), *model.buffers()))
    there = sum(math.prod(s) for s in shapes.values())
    if wanted > PACKED * max(there, 2**20):
        name, value = max(
            ((n, v) for n, v in _numbers(config) if not NO_SIZES.search(n) or v > FREE_SIZE),
            key=lambda pair: pair[1],
        )
        raise _too_large(path, name, value, shapes)


def _numbers(config: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, int]]:
    """(name, number) of the whole numbers in a config, those of its parts too."""
    if isinstance(config, bool) or depth > 20:
        return
    if isinstance(config, int):
        yield name, config
    elif isinstance(config, float) and math.isfinite(config) and config == int(config):
        yield name, int(config)
    elif isinstance(config, Mapping):
        for key, value in config.items():
            yield from _numbers(value, str(key), depth + 1)
    elif isinstance(config, list):
        for value in config:
            yield from _numbers(value, name, depth + 1)


def _too_large(path: Path, name: str, value: int, shapes: Shapes) -> InputError:
    return InputError(
        f"{path} asks for {name} = {value:,}, but the weights are {len(shapes):,} tensors of at "
        f"most {max((max(s, default=0) for s in shapes.values()), default=0):,} rows; expected the "
        "config that belongs to the weights: fetch the model again"
    )
