"""Which of transformers' doors opens a checkpoint: a causal model, or a multimodal one whose text
part is a causal model."""

from __future__ import annotations

import re
from typing import Any

import transformers
from torch import nn
from transformers import AutoModelForCausalLM

from veneer.foundation.errors import InputError

# The public list of what a door opens, and the door. Not every release that we admit
# has all of them.
DOORS = (
    ("MODEL_FOR_CAUSAL_LM_MAPPING", "AutoModelForCausalLM"),
    ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING", "AutoModelForImageTextToText"),
    ("MODEL_FOR_MULTIMODAL_LM_MAPPING", "AutoModelForMultimodalLM"),
)

# Architectures whose head gives scores of a text instead of tokens.
SCORES = re.compile(r"Classif|QuestionAnswering|MultipleChoice|RewardModel|ForReward|ForScore")

# A window over the answer alone, beside all of the prompt (Unlimited OCR): a whole text read at
# once has no such place.
WRITTEN_APART = "reference_sliding_attention"


def check_causal(name: str, config: Any) -> None:
    """Raise InputError for a checkpoint whose architecture is no causal one, or gives a prompt and
    an answer other states together than one after the other. The causal class of its family might
    read it all the same, and leave its head or its encoder out."""
    own = _named(config)
    if SCORES.search(own):
        raise InputError(
            f"{name} is a {own}, which gives scores of a text and writes no tokens; expected a "
            "causal language model"
        )
    if getattr(config, "is_encoder_decoder", False) is True and not own.endswith("ForCausalLM"):
        raise InputError(
            f"{name} is an encoder-decoder model ({own or type(config).__name__}), whose decoder "
            "reads a second text through an encoder; expected a causal language model, which "
            "reads one text"
        )
    if WRITTEN_APART in (getattr(config.get_text_config(decoder=True), "layer_types", None) or ()):
        raise InputError(
            f"{name} attends to the tokens that it writes in another way than to those that it is "
            f"given ({WRITTEN_APART} in its config.json), so that its states of an answer depend "
            "on where the prompt ends; expected a model that reads both alike"
        )
    for listed, _ in DOORS:
        kind: Any = getattr(transformers, listed, {}).get(type(config), None)
        if getattr(kind, "forward", None) is nn.Module.forward:
            raise InputError(
                f"{name} is a {own or kind.__name__}, several models in one that only generate "
                "together; expected a causal language model: save the one that writes text by "
                "itself (of Qwen's Omni models Qwen2_5OmniThinkerForConditionalGeneration or "
                "Qwen3OmniMoeThinkerForConditionalGeneration, with from_pretrained and "
                "save_pretrained)"
            )


def auto_class(config: Any) -> Any:
    """The auto class for a checkpoint with this config. Where the lists leave it out (the text part
    of Emu 3), the class that the config names, and else the causal auto class, whose error names
    what fits.

    A multimodal checkpoint (Gemma 3, Mistral 3, Qwen-VL, LLaVA) keeps its form: it is read as text,
    its other parts stay unchanged, and a merged checkpoint is a multimodal one again.
    """
    if known := auto_classes(config):
        return known[0]
    named = getattr(transformers, _named(config), None)
    fits = named is not None and getattr(named, "config_class", None) is type(config)
    return named if fits else AutoModelForCausalLM


def auto_classes(config: Any) -> list[Any]:
    """The auto classes that open a checkpoint with this config, first the one whose class the
    config names. Some multimodal ones (Llama 4, Qwen 3.5) also have a causal class, which leaves
    their other parts out."""
    own = getattr(config, "auto_map", None) or {}
    known: list[tuple[bool, Any]] = []
    for listed, door in DOORS:
        mapping, opens = getattr(transformers, listed, {}), getattr(transformers, door, None)
        if opens is not None and (door in own or type(config) in mapping):
            kind = None if door in own else mapping[type(config)]
            known.append((getattr(kind, "__name__", None) == _named(config), opens))
    return [opens for _, opens in sorted(known, key=lambda entry: not entry[0])]


def _named(config: Any) -> str:
    return str(next(iter(getattr(config, "architectures", None) or [""])))
