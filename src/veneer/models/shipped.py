"""Generation settings that a model ships (generation_config.json): those that Veneer leaves out,
and what it can apply.

Figures are of greedy decoding or of the sampling that the user names, whatever a model ships; its
end tokens alone are always honoured.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.language_model import LanguageModel
from veneer.models.sampling import MOST_SHIFT, Sampling

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "do_sample": (False,),
    "temperature": (1.0,),
    "top_k": (0,),
    "top_p": (1.0,),
    "min_p": (0.0,),
    "typical_p": (1.0,),
    "top_h": (),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "bad_words_ids": (),
    "force_words_ids": (),
    "sequence_bias": (),
    "suppress_tokens": ([],),
    "begin_suppress_tokens": ([],),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "min_new_tokens": (0,),
    "min_length": (0,),
    "exponential_decay_length_penalty": (),
    "guidance_scale": (1.0,),
    "num_beams": (1,),
    "penalty_alpha": (0.0,),
    "dola_layers": (),
    "watermarking_config": (),
    "stop_strings": (),
}
# name -> the values that change nothing, beside None. What only bounds the length, or belongs to
# beams, stands not here.
SAMPLED = ("temperature", "top_k", "top_p", "min_p")  # without effect unless do_sample
OWN = ("repetition_penalty", "min_new_tokens")  # Sampling has them under the same name
NEVER = -MOST_SHIFT  # added to a logit: the token is never chosen


def shipped_settings(lm: LanguageModel) -> dict[str, Any]:
    """The settings of the model's generation config that would change its answers, and that Veneer
    does not apply by itself; as JSON."""
    config = lm.model.generation_config
    if config is None:
        return {}
    # older versions of transformers have defaults of their own, such as top_k 50
    usual = type(config)()
    settings = {}
    for name, neutral in NEUTRAL.items():
        value = getattr(config, name, None)
        if value is None or value in neutral or value == getattr(usual, name, None):
            continue
        settings[name] = _plain(value)
    return settings


def warn_of_settings(*models: LanguageModel, mend: str = "") -> None:
    """One line for each model that ships settings, once in a process. mend: an option
    that applies them."""
    for lm in models:
        settings = shipped_settings(lm)
        if settings and lm.name not in _warned:
            _warned.add(lm.name)
            logging.getLogger("veneer").warning(
                "veneer: %s ships generation settings that are not applied: %s%s",
                lm.name,
                _words(settings),
                mend and f"; {mend}",
            )


_warned: set[str] = set()


def left_out(lm: LanguageModel, sampling: Sampling) -> dict[str, Any]:
    """The shipped settings that this sampling does not apply, for manifests."""
    biased = {i for i, _ in sampling.logit_bias}
    first = {*(sampling.barred if sampling.barred_steps else ()), *dict(sampling.also_barred)}

    def holds(name: str, value: Any) -> bool:
        if name == "do_sample":
            return sampling.temperature > 0
        if name in ("suppress_tokens", "begin_suppress_tokens"):
            return set(value) <= (biased if name == "suppress_tokens" else first)
        if name in ("bad_words_ids", "sequence_bias"):
            return {
                i for row in value for i in (row if name == "bad_words_ids" else row[0])
            } <= biased
        return bool(getattr(sampling, name, None) == value)

    return {name: value for name, value in shipped_settings(lm).items() if not holds(name, value)}


def applied(lm: LanguageModel, given: Sampling) -> Sampling:
    """`given`, with the model's own settings wherever it has the default. Raises InputError for a
    setting that Sampling lacks."""
    shipped = shipped_settings(lm)
    samples = bool(shipped.pop("do_sample", False))
    words: dict[str, Any] = {}
    sampled = {name: shipped.pop(name) for name in SAMPLED if name in shipped}
    if samples:
        words |= {"temperature": 1.0, **sampled}
    words |= {name: shipped.pop(name) for name in OWN if name in shipped}
    biases = [(i, NEVER) for i in shipped.pop("suppress_tokens", [])]
    biases += [(ids[0], NEVER) for ids in _singles(shipped, "bad_words_ids", lambda row: row)]
    biases += [
        (ids[0], float(bias))
        for ids, bias in _singles(shipped, "sequence_bias", lambda row: row[0])
    ]
    first = tuple(shipped.pop("begin_suppress_tokens", ()))
    if shipped:
        raise InputError(
            f"{lm.name} ships generation settings that Veneer cannot apply: {_words(shipped)}; "
            "leave out --model-settings, and give what you need of them by options"
        )
    usual = Sampling()
    words = {
        name: value for name, value in words.items() if getattr(given, name) == getattr(usual, name)
    }
    if biases:
        words["logit_bias"] = (*given.logit_bias, *biases)
    if first:
        words["also_barred"] = (*given.also_barred, *((i, 1) for i in first))
    return replace(given, **words)


def _singles(shipped: dict[str, Any], name: str, ids: Any) -> list[Any]:
    """The rows of a setting on token sequences, removed from `shipped` where each sequence
    is a single token."""
    rows = shipped.get(name) or []
    if all(isinstance(ids(row), list) and len(ids(row)) == 1 for row in rows):
        shipped.pop(name, None)
        return list(rows)
    return []


def _plain(value: Any) -> Any:
    """As JSON: sequences as lists, mappings on sequences as pairs."""
    if isinstance(value, Mapping):
        return [[_plain(k), _plain(v)] for k, v in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{k} {v if len(str(v)) <= 40 else str(v)[:37] + '...'}" for k, v in settings.items()
    )
