"""Tensors of a checkpoint that the library leaves unread: without them the model is another one
than its author's."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers.utils.hub import cached_file

from veneer.foundation.errors import InputError
from veneer.models.quantised import PARTS
from veneer.models.vetting import weights_read

ADAPTER = re.compile(r"\.(lora_\w+|ia3_l|base_layer|modules_to_save)\.")
# Old versions of the library stored these; a model computes them.
COMPUTED = re.compile(r"(rotary_emb\.|inv_freq$|masked_bias$|attn\.bias$|position_ids$)")
LAYER = re.compile(r"(.*?\.)(\d+)(\..*)")  # what stands before, its number, its part
HEAD = re.compile(r"([a-z_]+\.)*(lm_head|embed_out|output|output_layer|head)(\.[a-z]+)?\.weight")
EXAMPLES = 2


def check_all_read(name: str, info: dict[str, Any], model: Any, *, is_quantised: bool) -> None:
    """Raise InputError where the library left out parts of what it read: scales of quantised
    weights, an adapter's weights, biases of its layers; and where it lacks weights. Warns of other
    tensors. info: the library's report of loading."""
    left = sorted(key for key in info["unexpected_keys"] if not COMPUTED.search(key))
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
    folder = _folder(name, model.config)
    if layers := _further_layers(left, read):
        raise InputError(
            f"{name} holds {_examples(layers)}, layers beyond those that its config.json counts; "
            "fetch the config that belongs to the weights, or save the model with the layers that "
            "it should have"
        )
    if heads := _own_heads(folder, left, model):
        raise InputError(
            f"{name} holds {heads[0]}, of the size of an output head, which transformers does not "
            "read: it takes the embeddings for the head, as config.json says "
            "(tie_word_embeddings); save the tensor under the name that the architecture has for "
            "its head, or delete it"
        )
    biases = [
        k for k in left if k.endswith(".bias") and f"{k.removesuffix('.bias')}.weight" in read
    ]
    if biases and not _are_zero(folder, biases):
        raise InputError(
            f"{name} holds biases ({_examples(biases)}) of layers that have no biases in "
            "its config.json; fetch the config that belongs to the weights, or switch the biases "
            "on there (attention_bias, mlp_bias)"
        )
    _check_whole(name, info, left, is_quantised)
    if others := [key for key in left if key not in biases]:
        logging.getLogger("veneer").warning(
            "veneer: %s holds %s that transformers does not read: the model works without them",
            name,
            _examples(others),
        )


def _check_whole(name: str, info: dict[str, Any], left: list[str], is_quantised: bool) -> None:
    """Raise InputError where weights are missing, or of another shape: the library warns of these
    and fills them with random numbers."""
    lost = sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])})
    if not lost:
        return
    renamed = next(
        (f"; it holds {key}, a name that is not read" for key in left if _is_in(lost[0], key)), ""
    )
    raise InputError(
        f"{name} lacks {len(lost)} of its weights, or has them in another shape than its config "
        f"says, e.g. {lost[0]}{renamed}; expected a whole checkpoint: download or save it again"
        f"{', or give the model without quantisation' if is_quantised else ''}"
    )


def _is_in(key: str, longer: str) -> bool:
    """Whether a name is another one with more parts: `module.`, `_orig_mod.` and their like, which
    DDP, torch.compile and FSDP add."""
    parts = iter(longer.split("."))
    return all(part in parts for part in key.split("."))


def _examples(keys: list[str]) -> str:
    many = f"{len(keys)} tensors" if len(keys) > 1 else "a tensor"
    return f"{many} such as {' and '.join(keys[:EXAMPLES])}"


def _further_layers(left: list[str], read: Iterable[str]) -> list[str]:
    """The tensors of whole layers that are made as those that are read, under other numbers. A
    layer for drafting tokens has tensors of its own besides."""
    matches = [m for key in read if (m := LAYER.fullmatch(key))]
    known, there = {(m[1], m[3]) for m in matches}, {(m[1], m[2]) for m in matches}
    by_layer: dict[tuple[str, str], list[re.Match[str]]] = {}
    for key in left:
        if (m := LAYER.fullmatch(key)) and (m[1], m[2]) not in there:
            by_layer.setdefault((m[1], m[2]), []).append(m)
    return [
        m[0]
        for layer in by_layer.values()
        if all((m[1], m[3]) in known for m in layer)
        for m in layer
    ]


def _own_heads(folder: Path | None, left: list[str], model: Any) -> list[str]:
    """Unread matrices with the name and the shape of an output head and other numbers, where the
    model's head is its embeddings."""
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    named = {key for key in left if HEAD.fullmatch(key)}
    if not named or head is None or head.weight is not embeddings.weight:
        return []
    weight = head.weight.detach().cpu()
    return [
        key
        for key, tensor in _stored(folder, named)
        if tensor.shape == weight.shape and not torch.equal(tensor.to(weight.dtype), weight)
    ]


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
    zero = {key for key, tensor in _stored(folder, set(keys)) if not tensor.any()}
    return zero == set(keys)


def _stored(folder: Path | None, keys: set[str]) -> Iterator[tuple[str, Tensor]]:
    """Those of the tensors that the folder's files hold, one at a time."""
    for path in weights_read(folder) if folder is not None else ():
        with safe_open(path, framework="pt") as file:
            for key in sorted(keys & set(file.keys())):
                yield key, file.get_tensor(key)
