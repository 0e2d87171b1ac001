"""Checkpoints with quantised weights: which become plain numbers on loading, and a sentence for
those that do not."""

from __future__ import annotations

import re
from typing import Any

import torch
from transformers import AutoConfig
from transformers.quantizers.auto import (
    AUTO_QUANTIZATION_CONFIG_MAPPING,
    AutoQuantizationConfig,
)

from veneer.foundation.errors import InputError
from veneer.models import packed_integers
from veneer.models.language_model import LanguageModel

# Of these the library makes plain weights while it loads, on any device.
DEQUANTISED = ("fp8", "mxfp8", "mxfp4", "compressed-tensors")
AFTERWARDS = ("bitsandbytes",)  # and of these when it has loaded them
UNNAMED = "an unnamed method"
HALVES = (torch.bfloat16, torch.float16)
# What only a quantised checkpoint holds beside a weight, or in its place.
PARTS = re.compile(
    r"(weight_scale(_inv|_2|s)?|weight_packed|weight_zero_point|qweight|qzeros|scales|_scales|"
    r"_blocks|SCB|absmax|quant_map|qscale_weight|weight\._(data|scale|shift)|W_q|codebooks)$"
)


def method_of(config: Any) -> str | None:
    """How a model's weights are quantised (`quant_method` of its config), or None."""
    if not (words := settings_of(config)):
        return None
    method = words.get("quant_method") or (
        "bitsandbytes" if words.get("load_in_4bit") or words.get("load_in_8bit") else None
    )
    return str(getattr(method, "value", method) or UNNAMED)


def settings_of(config: Any) -> dict[str, Any]:
    """The quantization_config of a model or of its text part; empty where it has none."""
    for part in (config, config.get_text_config(decoder=True)):
        own = getattr(part, "quantization_config", None)
        if own is not None:
            return dict(own) if isinstance(own, dict) else own.to_dict()
    return {}


def stored(name: str, model_at: str, **remote: Any) -> tuple[Any, str | None]:
    """The config of a checkpoint, and how its weights are quantised. Raises InputError for a way
    that the library does not know: it would take the quantised numbers for the weights."""
    config = AutoConfig.from_pretrained(model_at, **remote)
    method = method_of(config)
    if method == UNNAMED:
        raise InputError(
            f"{name} has a quantization_config without quant_method, as MLX writes it, which "
            "transformers does not read; give the model without quantisation (mlx_lm.convert "
            "--dequantize makes it)"
        )
    # bitsandbytes: as it is written where both of its kinds are one
    if method not in (None, "bitsandbytes", *AUTO_QUANTIZATION_CONFIG_MAPPING):
        raise refusal(name, method, "it needs a version of transformers that knows this kind")
    return config, method


def plain_words(config: Any, method: str | None) -> dict[str, Any]:
    """The words for `from_pretrained` that make plain weights of quantised ones, where
    the library can."""
    if method not in DEQUANTISED:
        return {}
    wanted = AutoQuantizationConfig.from_dict({**settings_of(config), "quant_method": method})
    wanted.dequantize = True
    return {"quantization_config": wanted}


def settle(model: Any, method: str | None, dtype: torch.dtype | str, *, plain: bool) -> None:
    """After loading: where weights are to be plain, all of one dtype (the library leaves those that
    were not quantised as they are stored), under the names of a plain checkpoint when they are
    saved, and `model.dequantised_from` records it.

    plain: whether they are. Some are since the library loaded them (`plain_words`); it clears the
    config then, but not the config of a multimodal model's text part."""
    if plain and method in AFTERWARDS:
        model.dequantize()
    text = model.config.get_text_config(decoder=True)
    if plain and method in DEQUANTISED and hasattr(text, "quantization_config"):
        del text.quantization_config
    if method is None or method_of(model.config) is not None:
        return
    wanted = model.get_output_embeddings().weight.dtype if isinstance(dtype, str) else dtype
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dtype in HALVES and tensor.dtype != wanted:
            tensor.data = tensor.data.to(wanted)
    model.config.dtype = wanted
    # Those in use put the parts of quantised weights together; without them, saving uses the
    # architecture's own.
    model._weight_conversions = None
    model.dequantised_from = method


def refusal(name: str, method: str | None, why: str) -> InputError:
    """The error for a quantised checkpoint that does not load here."""
    return InputError(
        f"{name} is quantised ({method}) and cannot be loaded here ({why}); install what that "
        "names, use a machine with a GPU that it supports, or give the model without quantisation"
    )


def need_plain_weights(lm: LanguageModel) -> None:
    """Raise InputError for a model whose weights in memory are quantised: they cannot be saved as a
    plain checkpoint."""
    method = method_of(lm.config)
    if method is None:
        return
    other = "give the same model without quantisation as --base"
    mend = (
        "load it with load_model(..., plain=True)"
        if method in (*DEQUANTISED, *AFTERWARDS, *packed_integers.METHODS)
        else other
    )
    raise InputError(
        f"the weights of {lm.name} are quantised ({method}), but a merged checkpoint holds plain "
        f"numbers; {mend}"
    )
