"""Generation settings that a model ships: named where they are left out, applied where that is
wanted and possible."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import GenerationConfig

from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.models import shipped
from veneer.models.decode import decode
from veneer.models.language_model import LanguageModel
from veneer.models.sampling import Sampling
from veneer.models.shipped import applied, left_out, shipped_settings, warn_of_settings


def model(**settings) -> LanguageModel:
    lm = tiny()
    lm.name = f"model with {sorted(settings)}"
    lm.model.generation_config = GenerationConfig(eos_token_id=[1, 5], **settings)
    return LanguageModel(lm.name, lm.model, lm.tokenizer)


def test_only_what_would_change_an_answer_is_named():
    assert shipped_settings(tiny()) == {}
    assert (
        shipped_settings(
            model(repetition_penalty=1.0, no_repeat_ngram_size=0, do_sample=False, max_length=4096)
        )
        == {}
    )
    settings = shipped_settings(
        model(
            do_sample=True,
            temperature=0.6,
            top_p=0.9,
            suppress_tokens=[7],
            sequence_bias={(3,): -1.0},
        )
    )
    assert settings == {
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
        "suppress_tokens": [7],
        "sequence_bias": [[[3], -1.0]],
    }
    assert json.loads(json.dumps(settings)) == settings


def test_several_ends_are_honoured_without_any_option():
    assert {1, 5} <= set(model().stop_ids)


def test_shipped_sampling_is_applied_where_no_option_says_otherwise():
    lm = model(do_sample=True, temperature=0.6, top_p=0.9, repetition_penalty=1.1, min_new_tokens=3)
    how = applied(lm, Sampling(max_new_tokens=9, top_p=0.5, seed=4))
    assert how == Sampling(9, 0.6, 0.5, 4, repetition_penalty=1.1, min_new_tokens=3)
    assert left_out(lm, how) == {"top_p": 0.9}
    assert left_out(lm, Sampling()) == shipped_settings(lm)


def test_a_temperature_without_sampling_stays_greedy():
    """Vicuna and Llama 2 ship temperature 0.9 and no do_sample: transformers decodes greedily."""
    lm = model()
    lm.model.generation_config.temperature = 0.9
    assert applied(lm, Sampling()) == Sampling() and shipped_settings(lm) == {"temperature": 0.9}


def test_suppressed_tokens_are_never_generated_as_in_transformers():
    lm = tiny()
    prompt = [0, 10, 20, 30]
    plain = decode(lm, [prompt], Sampling(8), stop_ids=())[0].token_ids
    settings = {"suppress_tokens": [plain[0], plain[3]], "begin_suppress_tokens": [plain[1]]}
    lm.model.generation_config = GenerationConfig(**settings, pad_token_id=6)
    how = applied(lm, Sampling(8))
    ours = decode(lm, [prompt], how, stop_ids=())[0].token_ids
    own = lm.model.generate(
        torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=None
    )[0, len(prompt) :].tolist()
    assert list(ours) == own and plain[0] not in ours
    assert left_out(lm, how) == {}


@pytest.mark.parametrize(
    "settings",
    [
        {"no_repeat_ngram_size": 3},
        {"forced_eos_token_id": 1},
        {"bad_words_ids": [[3, 4]]},
        {"num_beams": 4},
    ],
)
def test_what_sampling_cannot_express_is_refused(settings):
    (name,) = settings
    with pytest.raises(InputError, match=f"cannot apply: {name} .*leave out --model-settings"):
        applied(model(**settings), Sampling())


def test_a_line_names_them_once(caplog, monkeypatch):
    monkeypatch.setattr(shipped, "_warned", set())
    lm = model(repetition_penalty=1.1)
    warn_of_settings(lm, tiny(), mend="--model-settings applies them")
    warn_of_settings(lm)
    (line,) = caplog.messages
    assert line.endswith(
        "ships generation settings that are not applied: repetition_penalty 1.1; --model-settings "
        "applies them"
    )
