"""Head surgery: a plain Hugging Face checkpoint whose head is W + dW."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from veneer.errors import InputError, VeneerError
from veneer.files import write_folder, write_json
from veneer.models.language_model import LanguageModel


def new_output_folder(out: Path) -> None:
    """Raise InputError where `out` exists and holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; give a new --out")


@torch.no_grad()  # not inference_mode: nothing could be trained through such a head
def untie_with(lm: LanguageModel, weight: Tensor) -> Any:
    """Give the model an output head of its own with `weight` (V, d) and say so in its config; returns the model.

    The input embeddings keep base's values, also where they were tied to the head.
    """
    model = lm.model
    layer = model.get_output_embeddings()
    layer.weight = nn.Parameter(weight.to(lm.head.weight).clone(), requires_grad=False)
    for config in (model.config, model.config.get_text_config(decoder=True)):
        config.tie_word_embeddings = False
    return model


def save_merged(
    lm: LanguageModel,
    weight: Tensor,
    out: Path,
    *,
    stop_ids: Sequence[int],
    card: str,
    record: dict[str, Any],
    max_shard_size: str = "4GB",
    finish: Callable[[Path], None] | None = None,
) -> Path:
    """Write base with the head `weight` as a checkpoint that needs no Veneer: config, safetensors (sharded), tokenizer,
    generation config with all `stop_ids`, the model card, and run.json. finish: does the rest in the folder before it appears.

    The folder appears whole or not at all. `lm`'s model is changed (untied). Raises InputError where `out` is in use, VeneerError
    where the saved head does not read back equal.
    """
    new_output_folder(out)
    if not re.fullmatch(r"[1-9][0-9]*[KMGT]B", max_shard_size):
        raise InputError(f"the largest shard is {max_shard_size!r}; expected a size such as 4GB or 500MB")
    model = untie_with(lm, weight)
    generation = model.generation_config
    if generation is not None:
        generation.eos_token_id = list(dict.fromkeys(stop_ids)) or None

    def write(folder: Path) -> None:
        model.save_pretrained(folder, max_shard_size=max_shard_size, safe_serialization=True)
        lm.tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
        write_json(folder / "run.json", record)
        if finish is not None:
            finish(folder)
        _check_head(folder, model, weight)

    write_folder(out, write)
    return out


def _check_head(folder: Path, model: Any, weight: Tensor) -> None:
    """A head that a library quietly tied again is lost: read it back."""
    layer = model.get_output_embeddings()
    name = next(n for n, m in model.named_modules() if m is layer) + ".weight"
    index = folder / "model.safetensors.index.json"
    file = json.loads(index.read_text())["weight_map"].get(name) if index.is_file() else "model.safetensors"
    with safe_open(folder / file, framework="pt") as stream:
        saved = stream.get_tensor(name) if name in stream.keys() else None  # noqa: SIM118 - not a dict
    if saved is None or not torch.equal(saved, weight.to(saved.dtype).cpu()):
        raise VeneerError(f"the saved checkpoint does not hold the merged head as {name}; this architecture ties it on saving")
