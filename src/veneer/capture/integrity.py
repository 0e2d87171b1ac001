"""Whether a capture's folder is whole and its shards are its own, before anything
is read from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json_lines, sha256_file

TEXTS = ("prompts_sha256",)
# aligned_format is null where answers were stored
OBJECTS = ("base", "aligned", "base_format", "config")
# column -> dimensions, what its numbers are
COLUMNS = {
    "prompt": (1, "number"),
    "position": (1, "place"),
    "token": (1, "id"),
    "hidden": (2, "finite"),
    "aligned_ids": (2, "given id"),
    "aligned_logprobs": (2, "log"),
    "aligned_tail": (1, "log"),
    "base_ids": (2, "id"),
    "base_logprobs": (2, "log"),
    "base_at_aligned": (2, "log"),
    "base_outside": (1, "log"),
    "base_logz": (1, "finite"),
}
ROUNDING = 0.1  # by which the log of a probability may be above 0


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of the files beside the shards that exist before the first one."""
    places = [
        folder / "head.safetensors",
        folder / "prompts.jsonl",
        *sorted((folder / "tokenizer").glob("*")),
    ]
    return {str(p.relative_to(folder)): sha256_file(p) for p in places if p.is_file()}


def check_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise InputError where the manifest lacks what every reader needs, its plan does not name
    each prompt once, or a file beside the shards is not the one that it names (captures of older
    versions name only the head)."""
    plan, head = manifest.get("plan"), manifest.get("head")
    good = isinstance(plan, list) and all(
        isinstance(s, list) and all(isinstance(b, list) for b in s) for s in plan
    )
    numbers = (
        [n for shard in plan for batch in shard for n in batch] if good and plan is not None else []
    )
    if (
        not numbers
        or any(type(n) is not int for n in numbers)
        or sorted(numbers) != list(range(len(numbers)))
    ):
        raise InputError(
            f"{folder}/manifest.json has a plan that does not name each prompt once; make the "
            "capture again"
        )
    wrong = [k for k in TEXTS if not isinstance(manifest.get(k), str)] + [
        k for k in OBJECTS if not isinstance(manifest.get(k), dict)
    ]
    if not isinstance(head, dict) or not {"scale", "softcap", "rows", "width"} <= head.keys():
        wrong.append("head")
    if wrong:
        raise InputError(
            f"{folder}/manifest.json lacks {wrong[0]!r}, or has something else there; make the "
            "capture again"
        )
    recorded = manifest.get("files")
    if not isinstance(recorded, dict):  # of version 0.1.0
        recorded = (
            {"head.safetensors": manifest["head_sha256"]} if "head_sha256" in manifest else {}
        )
    actual = hashes(folder)
    for name in {**actual, **recorded}:
        if name in recorded and actual.get(name) != recorded[name]:
            damaged = "tokenizer" if name.startswith("tokenizer") else Path(name).name
            digest, expected = actual.get(name, "no file")[:12], str(recorded[name])[:12]
            raise InputError(
                f"{folder / damaged} is damaged or of another capture (sha256 {digest}, "
                f"expected {expected}); make the capture again"
            )


def check_own(folder: Path, number: int, path: Path, texts: Path, manifest: dict[str, Any]) -> None:
    """Raise InputError where a shard does not hold just the prompts that the plan gives it, as
    where two were exchanged."""
    planned = [n for batch in manifest["plan"][number] for n in batch]
    rows = [row for _, row in read_json_lines(texts, "the responses of a shard")]
    answered = [row.get("number") if isinstance(row, dict) else None for row in rows]
    try:
        with safe_open(path, framework="pt") as stream:
            held = sorted(set(stream.get_tensor("prompt").tolist()))
            wrong = next(
                (w for name in COLUMNS if (w := _wrong(stream, name, manifest["head"]))), None
            )
    except (SafetensorError, OSError, IndexError) as error:
        raise InputError(f"{path} cannot be read ({error}); make the capture again") from None
    if wrong is not None:
        raise InputError(f"{path} is no shard of this capture: {wrong}; make the capture again")
    if answered != planned or not set(held) <= set(planned):
        raise InputError(
            f"{path} holds the prompts {_some(held)}, but the plan in manifest.json gives it "
            f"{_some(planned)}; it is another shard: delete it and its marker "
            f"{path.with_suffix('.json').name} and run the capture again: it makes only what "
            "is missing"
        )


def _wrong(stream: Any, name: str, head: dict[str, Any]) -> str | None:
    """What is wrong with a column, whose numbers no reader checks again."""
    dimensions, what = COLUMNS[name]
    column = stream.get_tensor(name)
    if column.ndim != dimensions or len(column) != stream.get_slice("prompt").get_shape()[0]:
        return f"{name} has the shape {tuple(column.shape)}"
    if column.is_floating_point() != (what in ("finite", "log")):
        return f"{name} is of the type {column.dtype}"
    if name == "hidden" and column.shape[1] != head["width"]:
        return f"hidden is {column.shape[1]} wide, the head {head['width']}"
    if what == "finite" and not torch.isfinite(column).all():
        return f"{name} holds values that are not finite"
    # NaN is not below either; -inf is the log of 0
    if what == "log" and not (column <= ROUNDING).all():
        return f"{name} holds values that are no logs of probabilities"
    # -1 where an endpoint gave fewer than k
    least, most = {
        "id": (0, head["rows"]),
        "given id": (-1, head["rows"]),
        "place": (1, None),
        "number": (0, None),
    }.get(what, (None, None))
    if (
        column.numel()
        and least is not None
        and (int(column.min()) < least or (most is not None and int(column.max()) >= most))
    ):
        return f"{name} holds {int(column.min())} to {int(column.max())}"
    return None


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "")
