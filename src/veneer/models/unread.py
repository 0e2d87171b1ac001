"""Tensors of a checkpoint that the library leaves unread: without them the model is another one
than its author's."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers.utils.hub import cached_file

from veneer.foundation.errors import InputError
from veneer.models.quantised import PARTS

ADAPTER = re.compile(r"\.(lora_\w+|ia3_l|base_layer|modules_to_save)\.")
# Old versions of the library stored these; a model computes them.
COMPUTED = re.compile(r"(rotary_emb\.|inv_freq$|masked_bias$|attn\.bias$|position_ids$)")
EXAMPLES = 2


def check_all_read(name: str, unexpected: Iterable[str], model: Any) -> None:
    """Raise InputError where the library left out parts of what it read: scales of quantised
    weights, an adapter's weights, biases of its layers. Warns of other tensors."""
    left = sorted(key for key in unexpected if not COMPUTED.search(key))
    if parts := [key for key in left if PARTS.search(key)]:
        raise InputError(
            f"{name} holds quantised weights ({_examples(parts)}) that its config.json does not "
            "describe in a way that transformers reads; give the checkpoint without quantisation, "
            "or add its quantization_config to config.json"
        )
    if parts := [key for key in left if ADAPTER.search(key)]:
        raise InputError(
            f"{name} holds weights of an adapter that is not merged ({_examples(parts)}), which "
            "transformers does not read; merge the adapter and save the model again, or give the "
            "adapter's folder"
        )
    read = model.state_dict().keys()
    biases = [
        k for k in left if k.endswith(".bias") and f"{k.removesuffix('.bias')}.weight" in read
    ]
    if biases and not _are_zero(_folder(name, model.config), biases):
        raise InputError(
            f"{name} holds biases ({_examples(biases)}) of layers that have no biases in "
            "its config.json; fetch the config that belongs to the weights, or switch the biases "
            "on there (attention_bias, mlp_bias)"
        )
    if others := [key for key in left if key not in biases]:
        logging.getLogger("veneer").warning(
            "veneer: %s holds %s that transformers does not read: the model works without them",
            name,
            _examples(others),
        )


def _examples(keys: list[str]) -> str:
    many = f"{len(keys)} tensors" if len(keys) > 1 else "a tensor"
    return f"{many} such as {' and '.join(keys[:EXAMPLES])}"


def _folder(name: str, config: Any) -> Path | None:
    """The model's folder, or its snapshot in the hub's cache; None where it has none."""
    if Path(name).is_dir():
        return Path(name)
    commit = getattr(config, "_commit_hash", None)
    try:
        return Path(cached_file(name, "config.json", revision=commit, local_files_only=True)).parent
    except (OSError, TypeError, ValueError):
        return None


def _are_zero(folder: Path | None, keys: list[str]) -> bool:
    """Whether all these tensors are in the folder's files, and zero."""
    wanted = set(keys)
    for path in sorted(folder.glob("*.safetensors")) if folder is not None else ():
        with safe_open(path, framework="pt") as file:
            for key in wanted & set(file.keys()):
                if file.get_tensor(key).any():
                    return False
                wanted.remove(key)
    return not wanted
