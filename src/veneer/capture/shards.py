"""A shard: the tokens of some responses as tensors, written whole or not at all, with a
checksum beside it.

Schema 1, safetensors, N tokens in plan order (then by position), k as configured, d
the base's width:

| tensor | shape, type | what |
|---|---|---|
| prompt | (N,) int32 | line number in prompts.jsonl, 0-based |
| position | (N,) int32 | response position, 1-based |
| token | (N,) int32 | the response's token there (base's ids) |
| hidden | (N, d) as configured | base's final hidden state from which that token is predicted |
| aligned_ids, aligned_logprobs | (N, k) int32, float32 | its k most likely tokens, natural logs |
| aligned_tail | (N,) float32 | log of its mass outside them |
| base_ids, base_logprobs | (N, k) int32, float32 | the same for base |
| base_at_aligned | (N, k) float32 | base's log-probability of aligned_ids |
| base_outside | (N,) float32 | log of base's mass outside aligned_ids |
| base_logz | (N,) float32 | log of base's normaliser: log-probability = logit - base_logz |

`aligned` is the teacher (teachers/teacher.py). Where it gives only its responses, the aligned
columns have k = 1: the token itself with log-probability 0, and a tail of -inf; an endpoint's have
as many as it tells and one more, the token itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from veneer.capture.integrity import check_own
from veneer.foundation.errors import InputError
from veneer.foundation.files import (
    json_lines,
    read_json,
    sha256_file,
    sha256_text,
    write_atomically,
    write_json,
    write_text,
)
from veneer.models.computation import COMPUTATION

SCHEMA = 1


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.safetensors"


def write_shard(
    folder: Path, number: int, tensors: dict[str, Tensor], responses: list[dict]
) -> None:
    """Write shard and responses, then the marker with their checksums: without a marker a
    shard does not count."""
    path = shard_path(folder, number)
    ready = {k: v.contiguous().cpu() for k, v in sorted(tensors.items())}
    write_atomically(path, lambda p: save_file(ready, p))
    texts = path.with_name(f"responses-{number:05d}.jsonl")
    write_text(texts, json_lines(responses))
    marker = {
        "tokens": len(tensors["token"]),
        "prompts": len(responses),
        "sha256": sha256_file(path),
        "responses_sha256": sha256_file(texts),
    }
    if (folder / "manifest.json").is_file():
        marker["capture"] = identity(
            read_json(folder / "manifest.json", "the manifest of a capture")
        )
    write_json(path.with_suffix(".json"), marker)


def is_done(folder: Path, number: int) -> bool:
    return shard_path(folder, number).with_suffix(".json").is_file()


def identity(manifest: dict[str, Any]) -> str:
    """Identifies a capture: sha256 of the manifest without the parts that may differ between two
    runs, or follows from the prompts."""
    left_out = (
        "versions",
        "files",
        "head_sha256",
        "templates",
        "settings_not_applied",
        "reasoning",
        COMPUTATION,
    )
    fixed = {k: v for k, v in manifest.items() if k not in left_out}
    return sha256_text(json.dumps(fixed, sort_keys=True))


def check_shard(folder: Path, number: int, manifest: dict[str, Any]) -> int:
    """Compare a shard with its checksum, its capture and its part of the plan, and return its token
    count. Raises InputError that names a shard that is damaged, or another's."""
    path = shard_path(folder, number)
    marker = read_json(path.with_suffix(".json"), "the marker of a finished shard")
    texts = path.with_name(f"responses-{number:05d}.jsonl")
    if not isinstance(marker, dict) or type(marker.get("tokens")) is not int:
        raise InputError(
            f"{path.with_suffix('.json')} is no marker of a shard; delete it and run the capture "
            "again: it makes the shard anew"
        )
    for file, wanted in ((path, "sha256"), (texts, "responses_sha256")):
        digest = sha256_file(file) if file.is_file() else "no file"
        if digest != marker.get(wanted):
            raise InputError(
                f"{file} is damaged (sha256 {digest[:12]}, expected "
                f"{str(marker.get(wanted))[:12]}); delete it and its marker "
                f"{path.with_suffix('.json').name} and run the capture again: it makes only "
                "what is missing"
            )
    if marker.get("capture") not in (None, identity(manifest)):
        raise InputError(
            f"{path} is of another capture (models, prompts or settings differ); delete it and "
            f"its marker {path.with_suffix('.json').name} and run the capture again: it makes "
            "only what is missing"
        )
    check_own(folder, number, path, texts, manifest)
    return marker["tokens"]


def read_shard(
    folder: Path, number: int, columns: tuple[str, ...] | None = None
) -> dict[str, Tensor]:
    """The tensors of a shard, or the named ones."""
    path = shard_path(folder, number)
    try:
        if columns is None:
            return load_file(path)
        from safetensors import safe_open

        with safe_open(path, framework="pt") as stream:
            return {c: stream.get_tensor(c) for c in columns}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); expected a shard of schema {SCHEMA}; make the "
            "capture again"
        ) from None


def concatenate(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([p[name] for p in parts]) for name in parts[0]}
