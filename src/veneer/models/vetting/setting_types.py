"""The types of settings that libraries take unchecked from generation_config.json, config.json and
tokenizer_config.json, and fail on later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError

LARGEST_ID = 2**31


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_ID


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _bool(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole_or_list(value: Any) -> bool:
    return _whole(value) or _wholes(value)


def _wholes(value: Any) -> bool:
    return isinstance(value, list) and all(_whole(v) for v in value)


def _lists(value: Any) -> bool:
    return isinstance(value, list) and all(_wholes(v) for v in value)


def _texts(value: Any) -> bool:
    return _text(value) or (isinstance(value, list) and all(_text(v) for v in value))


def _token(value: Any) -> bool:
    return _text(value) or (isinstance(value, Mapping) and _text(value.get("content")))


def _template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_text(k) and _text(v) for k, v in value.items())
    if isinstance(value, list):
        return all(
            isinstance(v, Mapping) and _text(v.get("name")) and _text(v.get("template"))
            for v in value
        )
    return _text(value)


Check = Callable[[Any], bool]
_KINDS: dict[str, tuple[Check, str]] = {
    "a whole number": (
        _whole,
        "max_length max_new_tokens min_length min_new_tokens num_beams num_beam_groups top_k "
        "no_repeat_ngram_size encoder_no_repeat_ngram_size num_return_sequences pad_token_id "
        "bos_token_id forced_bos_token_id num_assistant_tokens prompt_lookup_num_tokens",
    ),
    "a number": (
        _number,
        "temperature top_p top_h min_p typical_p repetition_penalty length_penalty "
        "encoder_repetition_penalty diversity_penalty epsilon_cutoff eta_cutoff guidance_scale "
        "penalty_alpha max_time",
    ),
    "true or false": (
        _bool,
        "do_sample use_cache renormalize_logits remove_invalid_values output_scores "
        "output_attentions output_hidden_states return_dict_in_generate token_healing",
    ),
    "a token id or a list of them": (
        _whole_or_list,
        "eos_token_id forced_eos_token_id decoder_start_token_id",
    ),
    "a list of token ids": (_wholes, "suppress_tokens begin_suppress_tokens"),
    "a list of lists of token ids": (_lists, "bad_words_ids forced_decoder_ids"),
    "a text or a list of texts": (_texts, "stop_strings"),
    "a list or an object": (
        lambda value: isinstance(value, list | Mapping),
        "sequence_bias exponential_decay_length_penalty",
    ),
    "an object": (lambda value: isinstance(value, Mapping), "watermarking_config"),
}
GENERATION = {
    name: (check, what) for what, (check, names) in _KINDS.items() for name in names.split()
}
TOKEN_IDS = {
    "eos_token_id": (_whole_or_list, "a token id or a list of them"),
    "bos_token_id": (_whole_or_list, "a token id"),
    "pad_token_id": (_whole_or_list, "a token id"),
}
TOKENIZER = {
    **dict.fromkeys(
        ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token"),
        (_token, "a text, or an object with its content"),
    ),
    "model_max_length": (
        lambda v: _bool(v) is False and isinstance(v, int | float) and v > 0,
        "a number above 0",
    ),
    "chat_template": (_template, "a template as text, or templates with their names"),
    "tokenizer_class": (_text, "a name"),
    "add_bos_token": (_bool, "true or false"),
    "add_eos_token": (_bool, "true or false"),
    "clean_up_tokenization_spaces": (_bool, "true or false"),
    "padding_side": (lambda v: v in ("left", "right"), "left or right"),
    "truncation_side": (lambda v: v in ("left", "right"), "left or right"),
}


def vet_generation(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise InputError for a setting of generation_config.json of a wrong type; null is any."""
    _vet(path, settings, GENERATION)


def vet_tokenizer_config(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise InputError for a setting of tokenizer_config.json of a wrong type; null is any."""
    _vet(path, settings, TOKENIZER)


def vet_token_ids(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InputError where config.json, or the part of it that is the language model's, names
    tokens by anything but numbers."""
    for settings in (config, config.get("text_config")):
        if isinstance(settings, Mapping):
            _vet(path, settings, TOKEN_IDS)


def _vet(path: Path, settings: Mapping[str, Any], types: Mapping[str, tuple[Check, str]]) -> None:
    for name, (check, what) in types.items():
        value = settings.get(name)
        if value is not None and not check(value):
            raise InputError(
                f"{path} has {name} = {repr(value)[:80]}; expected {what}: correct that line, or "
                "fetch the file again"
            )
