"""What lies on disk under a name: the files of a local model, a capture or a veneer, so that a
folder notices that what it was made from has changed.

A name is the same when a model was trained again into its folder, or one of its files was edited.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from veneer.models.computation import changes, computing_fields

NOTE = "model_files"  # of run.json: the contents of each model, capture or veneer, by its name
WEIGHTS = (".safetensors", ".bin", ".gguf")
# names of what transformers reads of a model's folder; what a trainer leaves beside it is not read
READ = re.compile(
    r"(generation_|adapter_|tokenizer_|processor_)?config\.json|tokenizer\.(json|model)"
    r"|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|chat_template\.(jinja|json)|.*\.index\.json|.*\.safetensors"
    r"|(pytorch|adapter)_model.*\.bin|spiece\.model"
)
CAPTURE = re.compile(r"manifest\.json|shard-\d+\.json")  # these hold the hashes of the others
VENEER = re.compile(r"veneer\.(json|safetensors)")
SLICES, SLICE = 64, 1 << 14  # what is read of each file of weights, evenly over it
CONFIG = "config.json"
DESCRIPTIONS = (CONFIG, "adapter_config.json")


def contents(settings: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the contents of each local model, capture or veneer that the settings name, also
    as NAME=MODEL, and an adapter with its base.

    Contents: `config` (see `computing_fields`), and `files`, a hash of the other configs, the
    tokenizer, and 1 MiB of each file of weights. It tells a model that was trained again; it is no
    proof against tampering.
    """
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for value in settings:
            yield from contents(value)
    elif isinstance(settings, str):
        model = settings.partition("=")[2]  # of NAME=MODEL
        for name in dict.fromkeys((settings, *settings.split("@"), model, *model.split("@"))):
            if name and (files := _files(name)):
                yield name, _contents(files)


def changed(before: Any, now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names whose contents are not those recorded `before`, each with what differs where that
    is known. What was not recorded is not compared."""
    known, names = before if isinstance(before, dict) else {}, []
    for name, current in now.items():
        recorded = known.get(name)
        if isinstance(recorded, str):  # version 0.1.0: one hash of all bytes
            if recorded != _hash(_files(name), whole=True):
                names.append(name)
        elif isinstance(recorded, dict):
            fields = changes(recorded, current)
            if fields or recorded.get("files") != current["files"]:
                names.append(f"{name} ({'; '.join(fields)})" if fields else name)
    return names


def _contents(files: list[Path]) -> dict[str, Any]:
    config = next((p for p in files if p.name == CONFIG), None)
    fields = None if config is None else _computing(config)
    if fields is None:
        return {"files": _hash(files)}
    import transformers

    others = [p for p in files if p != config]
    return {
        "files": _hash(others),
        "config": fields,
        "transformers": transformers.__version__,
    }


def _computing(path: Path) -> dict[str, Any] | None:
    """The deciding fields of a config.json, with the defaults of those that it does not write; None
    where it cannot be read."""
    from transformers import AutoConfig

    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        try:
            return computing_fields(AutoConfig.for_model(**written).to_dict())
        except Exception:  # of a type that the library does not know, or damaged
            return computing_fields(written)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _files(name: str) -> list[Path]:
    """The files that decide what the model, the capture or the veneer of that name holds; none
    where it is no local one."""
    try:
        place = Path(name)
        if place.is_file() and place.suffix == ".gguf":
            return [place]
        if any((place / description).is_file() for description in DESCRIPTIONS):
            read = READ
        elif (place / "manifest.json").is_file():
            read = CAPTURE
        elif (place / "veneer.json").is_file():
            read = VENEER
        else:
            return []
        return sorted(p for p in place.iterdir() if read.fullmatch(p.name) and p.is_file())
    except (OSError, ValueError):  # a text that is no path
        return []


def _hash(files: list[Path], *, whole: bool = False) -> str:
    """whole: of every byte, also of those that say nothing in a JSON file."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        if not whole and path.suffix == ".json" and (plain := _plain(path)) is not None:
            digest.update(f"{path.name} {len(plain)}\n".encode() + plain)
            continue
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as stream:
            if path.suffix not in WEIGHTS or size <= SLICES * SLICE:
                digest.update(stream.read())
                continue
            for number in range(SLICES):
                stream.seek((size - SLICE) * number // (SLICES - 1))
                digest.update(stream.read(SLICE))
    return digest.hexdigest()


def _plain(path: Path) -> bytes | None:
    """What a JSON file says, however it is written; None where it is no object."""
    try:
        fields = json.loads(path.read_bytes())
        if not isinstance(fields, dict):
            return None
        silent = {"transformers_version", "name_or_path"}
        kept = {k: v for k, v in fields.items() if k not in silent and not k.startswith("_")}
        return json.dumps(kept, sort_keys=True).encode()
    except (ValueError, RecursionError):
        return None
