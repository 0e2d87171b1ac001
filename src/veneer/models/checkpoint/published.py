"""The files beside the weights, in a form that engines of several generations read: config.json,
generation_config.json."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import AutoConfig, GenerationConfig

SAMPLING = (
    "temperature",
    "top_p",
    "min_p",
    "top_h",
    "top_k",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
)
BEAMS = ("early_stopping", "length_penalty", "diversity_penalty", "num_beam_groups", "constraints")
# What transformers 5 keeps in `rope_parameters`, and transformers 4 beside `rope_scaling`.
OF_ROPE = ("rope_theta", "partial_rotary_factor")


def published_config(own: dict[str, Any] | None, model: Any) -> dict[str, Any]:
    """config.json of `model` with an untied head.

    own: base's config.json, whose form stays as it is; None where base has none (or one of another
    type): then the model's own config. Where transformers 5 wrote it, what transformers 4 and
    engines of its time call by other names is written beside.
    """
    written = json.loads(model.config.to_json_string(use_diff=True))
    out = copy.deepcopy(
        own if own is not None and own.get("model_type") == written.get("model_type") else written
    )
    if not str(out.get("transformers_version", "")).startswith(("3.", "4.")):
        out = _with_older_names(_numbers(out), model.config)
    out["architectures"] = [type(model).__name__]
    dtype = str(model.dtype).removeprefix("torch.")
    for part in _parts(out):
        part.pop("quantization_config", None)  # the weights are plain numbers
        part.pop("_name_or_path", None)
        for key in ("dtype", "torch_dtype"):
            if part is out or key in part:
                part[key] = dtype
        if part is out or "tie_word_embeddings" in part or "vocab_size" in part:
            part["tie_word_embeddings"] = False
    return _with_older_rope(out)


def _numbers(value: Any) -> Any:
    """`value` with infinity as transformers 4 writes it (JSON's extension), where transformers 5
    wrote an object."""
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    if isinstance(value, dict):
        return (
            float(value["__float__"])
            if set(value) == {"__float__"}
            else {k: _numbers(v) for k, v in value.items()}
        )
    return value


def _with_older_names(written: dict[str, Any], config: Any) -> dict[str, Any]:
    """`written` with each value also under its other names (`attribute_map`): some were the names
    in files of transformers 4."""
    out = dict(written)
    for key, value in written.items():
        part = (
            getattr(config, key, None)
            if key.endswith("_config") and isinstance(value, dict)
            else None
        )
        if hasattr(part, "attribute_map"):
            out[key] = _with_older_names(value, part)
    return {**{other: out[own] for other, own in config.attribute_map.items() if own in out}, **out}


def _parts(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A config and the configs within it (text_config and its like)."""
    yield config
    for key, value in config.items():
        if key.endswith("_config") and isinstance(value, dict):
            yield from _parts(value)


def _with_older_rope(config: dict[str, Any]) -> dict[str, Any]:
    """`rope_parameters` also as transformers 4 reads it, where transformers 5 then
    still reads the same."""
    out = copy.deepcopy(config)
    for part in _parts(out):
        if isinstance(part.get("rope_parameters"), dict):
            older = older_rope(part["rope_parameters"])
            if str(part.get("model_type")).startswith("gpt_neox"):  # has names of its own for them
                names = {"rope_theta": "rotary_emb_base", "partial_rotary_factor": "rotary_pct"}
                older |= {names[key]: older[key] for key in names if key in older}
            for key, value in older.items():
                part.setdefault(key, value)
    read = _rope_of(config)
    return out if read is not None and _rope_of(out) == read else config


def older_rope(rope: dict[str, Any]) -> dict[str, Any]:
    """The keys of transformers 4 for `rope_parameters`: rope_theta, rope_scaling,
    partial_rotary_factor; of layers with rotary embeddings of their own (Gemma 3, ModernBERT) those
    of full attention, and the base frequency of the sliding ones."""
    if not any(isinstance(v, dict) for v in rope.values()):
        scaling = {k: v for k, v in rope.items() if k not in OF_ROPE}
        out = {k: rope[k] for k in OF_ROPE if k in rope}
        return {**out, "rope_scaling": None if scaling == {"rope_type": "default"} else scaling}
    full, sliding = (rope.get(f"{kind}_attention") or {} for kind in ("full", "sliding"))
    out = older_rope(full) if full else {}
    if "rope_theta" in sliding:
        out |= {
            "rope_local_base_freq": sliding["rope_theta"],
            "local_rope_theta": sliding["rope_theta"],
        }
    return out | ({"global_rope_theta": full["rope_theta"]} if "rope_theta" in full else {})


def _rope_of(config: dict[str, Any]) -> Any:
    """What this transformers makes of the rotary embeddings of a config.json, without its weights'
    dtype; None where it cannot read it."""
    try:
        words = copy.deepcopy(config)
        read = AutoConfig.for_model(words.pop("model_type"), **words)
    except Exception:  # a config of remote code, or one that this version refuses
        return None
    parts = [
        read,
        *(
            getattr(read, k)
            for k in config
            if k.endswith("_config") and hasattr(getattr(read, k, None), "to_dict")
        ),
    ]
    return [copy.deepcopy(getattr(p, "rope_parameters", None)) for p in parts]


def published_generation(
    own: dict[str, Any] | None, model: Any, stop_ids: Sequence[int]
) -> tuple[dict[str, Any], list[str]]:
    """generation_config.json with all ends, and the names of settings that were left out.

    own: base's file, or None for the loaded model's settings. Left out is what transformers
    ignores without `do_sample` (or without beams) and refuses to save: the greedy decoding
    that it means stays.
    """
    made = model.generation_config
    out = (
        copy.deepcopy(own)
        if own is not None
        else json.loads(made.to_json_string())
        if made is not None
        else {}
    )
    out["eos_token_id"] = list(dict.fromkeys(stop_ids)) or None
    left_out: list[str] = []
    for useless, names in (
        (out.get("do_sample") is not True, SAMPLING),
        (out.get("num_beams") in (None, 1), BEAMS),
    ):
        if useless and not _valid(out):
            left_out += [n for n in names if out.pop(n, None) is not None]
    return out, left_out


def _valid(settings: dict[str, Any]) -> bool:
    try:
        GenerationConfig(**settings).validate(strict=True)
    except (ValueError, TypeError):
        return False
    return True
