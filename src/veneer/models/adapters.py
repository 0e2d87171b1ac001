"""PEFT adapters as plain weights: merged over their base, and held against PEFT's own
unmerged logits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from veneer.foundation.errors import InputError, VeneerError, first_sentence

PROBE = 48  # tokens, evenly over the vocabulary; and the last ones, which are the added ones
CLOSE = 1e-3  # share of the largest logit, in float32
CLOSE_IN_HALF = 5e-2  # in bfloat16 and float16, where merging rounds
TRAINED_ROWS = ".token_adapter.trainable_tokens_delta"  # of single tokens' embeddings or head
# how keys of an adapter's whole matrices end
COPIES = ("modules_to_save.weight", "base_layer.weight", "original_module.weight")


def check_kind(folder: Path, written: dict[str, Any]) -> None:
    """Raise InputError where the adapter is no change of weights: a prompt that was learnt (prompt,
    prefix and P-tuning) or more steps in the attention (adaption prompt)."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kind = written.get("peft_type")
    config_class = PEFT_TYPE_TO_CONFIG_MAPPING.get(kind) if isinstance(kind, str) else None
    if config_class is None:
        raise InputError(
            f"the adapter {folder} is of the kind {kind!r}, which this version of PEFT does not "
            "know; install the version that saved it"
        )
    if kind == "ADAPTION_PROMPT" or _learns_prompts(config_class):
        raise InputError(
            f"the adapter {folder} is of the kind {kind}: it steers the model by learnt inputs "
            "and not by a change of weights, so it cannot be merged; expected an adapter that "
            "can be merged, such as LoRA"
        )


def _learns_prompts(config: Any) -> bool:
    from peft.config import PromptLearningConfig

    return isinstance(config, type) and issubclass(config, PromptLearningConfig)


def resize_to(model: Any, folder: Path, written: dict[str, Any], tokenizer: Any) -> None:
    """Give the base as many rows of embeddings as the adapter was trained with, where its files
    hold that number. Rows that the adapter does not bring get the mean of the old ones, with a
    warning. Raises InputError where it holds two numbers."""
    brought = _rows_of(model, folder)
    rows = {n for sizes in brought.values() for n in sizes}
    now = model.get_input_embeddings().weight.shape[0]
    highest = max(_trained_tokens(written), default=-1)
    if not rows and highest >= now:
        rows = {max(highest, *tokenizer.get_vocab().values()) + 1}
    if len(rows) > 1:
        raise InputError(
            f"the adapter {folder} was saved with {' and '.join(map(str, sorted(rows)))} rows of "
            "embeddings; expected one number: save it again"
        )
    if not rows or rows == {now}:
        return
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model.resize_token_embeddings(min(rows), mean_resizing=False)
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            layer.weight[now:] = layer.weight[:now].float().mean(0).to(layer.weight.dtype)
    if lacking := [role for role, sizes in brought.items() if not sizes]:
        logging.getLogger("veneer").warning(
            "veneer: the adapter %s adds %d tokens but brings no rows of the %s for them; they "
            "get the mean of the others",
            folder,
            min(rows) - now,
            " and the ".join(lacking),
        )


def _rows_of(model: Any, folder: Path) -> dict[str, set[int]]:
    """The rows of embeddings and head in the adapter's own copies and factors."""
    from safetensors import safe_open

    layers = {"embeddings": model.get_input_embeddings(), "head": model.get_output_embeddings()}
    names = {
        role: n for role, layer in layers.items() for n, m in model.named_modules() if m is layer
    }
    sizes_by_role: dict[str, set[int]] = {role: set() for role in names}
    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118 - no mapping
            for role, name in names.items():
                start, at, rest = key.partition(f"{name}.")
                if not at or start not in ("", "base_model.model.", "base_model."):
                    continue
                shape = file.get_slice(key).get_shape()
                if rest == "weight" or rest.endswith(COPIES):
                    sizes_by_role[role].add(shape[0])
                elif role == "embeddings" and rest.startswith("lora_embedding_A"):
                    sizes_by_role[role].add(shape[1])
                elif role == "head" and rest.startswith("lora_B"):
                    sizes_by_role[role].add(shape[0])
    return sizes_by_role


def _trained_tokens(written: dict[str, Any]) -> list[int]:
    """The ids whose rows an adapter trains by themselves."""
    given = written.get("trainable_token_indices") or written.get("token_indices") or []
    lists = given.values() if isinstance(given, dict) else [given]
    return [i for sizes in lists if isinstance(sizes, list) for i in sizes if isinstance(i, int)]


def merged(model: Any, folder: Path, written: dict[str, Any], base: str) -> Any:
    """The base with the adapter in its weights; `model` is used up.

    Raises InputError where the adapter does not fit or PEFT cannot merge its kind, VeneerError
    where the merged model gives other logits than PEFT's unmerged one.
    """
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            # these would be left without effect
            warnings.filterwarnings("error", message="Found missing adapter keys")
            adapted = PeftModel.from_pretrained(model, str(folder)).eval()
            # again, for what the library does not tell: tensors without a place are left out
            unread = adapted.load_adapter(str(folder), "default").unexpected_keys
            if getattr(model.config, "tie_word_embeddings", False):  # the head has the embeddings'
                unread = [key for key in unread if not key.endswith(TRAINED_ROWS)]
            unread = _not_twice(folder, unread)
    except Exception as error:  # damaged or foreign files make the library raise all kinds
        raise InputError(
            f"the adapter {folder} does not fit the base {base!r} ({first_sentence(error)}); give "
            f"{folder}@BASE with its own base"
        ) from None
    if unread:
        raise InputError(
            f"the adapter {folder} brings {len(unread)} tensors for which the base {base!r} has no "
            f"place, e.g. {sorted(unread)[0]}; expected an adapter of this base that is a causal "
            f"language model: give {folder}@BASE with its own base"
        )
    inner = adapted.get_base_model()
    ids = _probe(inner, written)
    try:
        with torch.inference_mode():
            before = adapted(input_ids=ids, use_cache=False).logits.float().cpu()
    except Exception as error:
        raise InputError(
            f"the adapter {folder} of the kind {written.get('peft_type')} does not run on a text "
            f"alone ({first_sentence(error)}); expected an adapter that can be merged, such as LoRA"
        ) from None
    _untie(inner)
    try:
        whole = adapted.merge_and_unload()
    except Exception as error:  # its kind depends on the input
        raise InputError(
            f"the adapter {folder} is of the kind {written.get('peft_type')}, which PEFT cannot "
            f"merge into the weights ({first_sentence(error)}); expected an adapter that can be "
            "merged, such as LoRA"
        ) from None
    _note_untied(whole)
    with torch.inference_mode():
        after = whole(input_ids=ids, use_cache=False).logits
    _check(before, after, folder, rounded=bool(getattr(whole, "is_quantized", False)))
    return whole


def _not_twice(folder: Path, unread: Sequence[str]) -> list[str]:
    """The unread tensors without those that the file holds a second time, as PEFT saves the copies
    of resized embeddings: under the layer's own name, which is read, and under the copy's."""
    from safetensors import safe_open

    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        names = set(file.keys())

        def again(key: str) -> bool:
            own = key.replace(f".{COPIES[0]}", ".weight")
            if own == key or not {own, key} <= names:
                return False
            return torch.equal(file.get_tensor(own), file.get_tensor(key))

        return [key for key in unread if not again(key)]


def _probe(model: Any, written: dict[str, Any]) -> Tensor:
    """Token ids (1, n) over the whole vocabulary, those that the adapter trains among them."""
    weight = model.get_input_embeddings().weight
    rows = weight.shape[0]
    ids = [
        *range(0, rows, max(1, rows // PROBE)),
        *range(max(0, rows - 8), rows),
        *_trained_tokens(written)[:16],
    ]
    return torch.tensor([[i for i in dict.fromkeys(ids) if i < rows]], device=weight.device)


def _check(before: Tensor, after: Tensor, folder: Path, *, rounded: bool) -> None:
    """Raise VeneerError where the merged logits are not the unmerged ones. rounded: the base is
    quantised, so that merging rounds its weights again; then a warning says how far they are."""
    half = rounded or after.dtype in (torch.float16, torch.bfloat16)
    worst, largest = float((after.float().cpu() - before).abs().max()), float(before.abs().max())
    limit = (CLOSE_IN_HALF if half else CLOSE) * max(1.0, largest)
    if worst <= limit:
        return
    if rounded:
        logging.getLogger("veneer").warning(
            "veneer: merging the adapter %s rounds the quantised weights of its base again: its "
            "logits differ from the unmerged ones by up to %.3g (the largest is %.3g); give "
            "%s@BASE with the base without quantisation",
            folder,
            worst,
            largest,
            folder,
        )
        return
    raise VeneerError(
        f"the adapter {folder} merged into its base gives logits that differ from the unmerged "
        f"ones by up to {worst:.3g} (allowed {limit:.3g}); its kind cannot be merged exactly: "
        "expected one that can, such as LoRA"
    )


def _matrices(layer: nn.Module) -> Iterator[Any]:
    """The modules of an adapted layer that hold a matrix of their own."""
    for module in layer.modules():
        weight = module._parameters.get("weight")
        if weight is not None and weight.ndim == 2:
            yield module


def _untie(model: Any) -> None:
    """Give the head weights of its own where an adapter changes the embeddings that it shares, or
    the head itself: merged into a shared matrix, a change of one would change the other."""
    shared = {id(m.weight) for m in _matrices(model.get_input_embeddings())}
    head = model.get_output_embeddings()
    plain = [m for m in _matrices(head) if id(m.weight) in shared]
    adapted = len(list(model.get_input_embeddings().modules())) > 1 or len(list(head.modules())) > 1
    for layer in plain if adapted else []:
        layer.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)


def _note_untied(model: Any) -> None:
    if (
        model.get_output_embeddings().weight.data_ptr()
        != model.get_input_embeddings().weight.data_ptr()
    ):
        for config in (model.config, model.config.get_text_config(decoder=True)):
            config.tie_word_embeddings = False


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".:")[:300]
