"""Head surgery: a plain Hugging Face checkpoint whose head is W + dW."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig

from veneer.foundation.errors import InputError
from veneer.foundation.files import write_folder, write_json
from veneer.models.checkpoint.checked import check_checkpoint
from veneer.models.checkpoint.originals import Originals
from veneer.models.checkpoint.published import published_config, published_generation
from veneer.models.checkpoint.tokenizer_files import copy_papers, write_tokenizer
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.quantised import need_plain_weights

# Families whose published models share embeddings and head, so that the code of some engines has no
# head of its own for them, whatever the config says (llama.cpp's converter, conversion/gemma.py;
# SGLang's commandr.py; vLLM before its pull requests 30827 and 53170).
SHARED_IN_ENGINES = ("gemma", "cohere")


def new_output_folder(out: Path) -> None:
    """Raise InputError where `out` exists and holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; give a new --out")


@torch.no_grad()  # not inference_mode: nothing could be trained through such a head
def untie_with(lm: LanguageModel, weight: Tensor, bias: Tensor | None = None) -> Any:
    """Give the model an output head of its own with `weight` (V, d), and `bias` (V,) or else its
    own one, and record that in its config; returns the model.

    The input embeddings keep base's values, also where they were tied to the head. Raises
    InputError for a bias that the head has no place for.
    """
    model = lm.model
    layer = model.get_output_embeddings()
    own = getattr(layer, "bias", None)
    if bias is not None and own is None and bool(bias.any()):
        raise InputError(
            f"the change shifts logits by a constant, but the head of {lm.name} has no bias that "
            "could hold it; use the veneer as it is (veneer generate --veneer), or extract one "
            "without --output bias"
        )
    layer.weight = _with_first_rows(layer.weight, weight)
    if own is not None:  # tied as well in models of BERT's family
        layer.bias = _with_first_rows(own, own if bias is None else bias)
    for config in (model.config, model.config.get_text_config(decoder=True)):
        config.tie_word_embeddings = False
    return model


def _with_first_rows(own: Tensor, rows: Tensor) -> nn.Parameter:
    """A copy of `own` (N, ...) that begins with `rows` (V, ...), V <= N: a head may be filled up
    with rows that have no logit."""
    out = own.detach().clone()
    out[: len(rows)] = rows
    return nn.Parameter(out, requires_grad=False)


def save_merged(
    lm: LanguageModel,
    head: Head,
    out: Path,
    *,
    stop_ids: Sequence[int],
    card: str,
    record: dict[str, Any],
    max_shard_size: str = "4GB",
    finish: Callable[[Path], None] | None = None,
) -> Path:
    """Write base with the weight and bias of `head` as a checkpoint that needs no Veneer: config,
    safetensors (sharded), tokenizer, generation config with all `stop_ids`, the model card, and
    run.json. finish: does the rest in the folder before it appears.

    Config and tokenizer are base's own files, as far as the change allows (published.py,
    tokenizer_files.py). The folder appears whole or not at all, and only after every tensor was
    read back (checked.py). `lm`'s model is changed (untied). Raises InputError where `out` is in
    use, the model's weights are quantised, or its head has no place for a bias, VeneerError where
    the checkpoint does not read back as base with this head.
    """
    new_output_folder(out)
    if not re.fullmatch(r"[1-9][0-9]*[KMGT]B", max_shard_size):
        raise InputError(
            f"the largest shard is {max_shard_size!r}; expected a size such as 4GB or 500MB"
        )
    need_plain_weights(lm)
    originals = Originals.of(lm)
    model = untie_with(lm, head.weight, head.bias)
    if len((layer := model.get_output_embeddings()).weight) > head.rows:
        bias = None if head.bias is None else _with_first_rows(layer.bias, head.bias)
        head = Head(_with_first_rows(layer.weight, head.weight), bias)
    config = published_config(originals.read("config.json"), model)
    generation, left_out = published_generation(
        originals.read("generation_config.json"), model, stop_ids
    )
    if model.generation_config is not None:
        model.generation_config.eos_token_id = generation["eos_token_id"]

    def write(folder: Path) -> None:
        with _any_generation_config(model):
            model.save_pretrained(folder, max_shard_size=max_shard_size, safe_serialization=True)
        write_json(folder / "config.json", config)
        write_json(folder / "generation_config.json", generation)
        write_tokenizer(lm.tokenizer, originals, folder)
        copy_papers(originals, folder)
        unread = check_checkpoint(folder, model, head, originals.tensor_files())
        (folder / "README.md").write_text(card, encoding="utf-8")
        if finish is not None:
            finish(folder)
        notes = {
            "dequantised_from": getattr(model, "dequantised_from", None),
            "unread": unread,
            "generation_left_out": left_out,
        }
        write_json(folder / "run.json", {**record, **{k: v for k, v in notes.items() if v}})

    write_folder(out, write)
    kind = model.config.get_text_config(decoder=True).model_type
    if kind.startswith(SHARED_IN_ENGINES):
        logging.getLogger("veneer").warning(
            "veneer: some engines read no output head of its own for %s, and answer as base "
            "without an error; compare your engine's answers with those of `veneer generate`",
            kind,
        )
    return out


@contextmanager
def _any_generation_config(model: Any) -> Iterator[None]:
    """The library refuses to save a model whose generation config it finds odd; ours is
    written beside it."""
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
