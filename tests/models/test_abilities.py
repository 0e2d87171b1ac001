"""What a model can do with a batch is found by trying; what it cannot do costs a warning and time,
never another token."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import DynamicCache, GenerationConfig

from tiny import tiny
from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import VeneerError
from veneer.models import prefix, reader
from veneer.models.decode import Sampling, decode
from veneer.models.language_model import LanguageModel

PROMPTS = [
    [5, 6, 7, 8, 9, *rest]
    for rest in ([10, 20, 30], [40, 50, 60, 70, 80, 90, 11], [12], [99, 98, 97, 96, 95])
]
STEPS = 20


class Backbone(nn.Module):
    """A backbone whose forward hides what it takes. `change` may change the arguments before they
    reach the real one."""

    def __init__(self, inner: nn.Module, change: Callable[[dict[str, Any]], dict[str, Any]]):
        super().__init__()
        self.inner, self.change, self.widths = inner, change, []

    def forward(self, **words):
        self.widths.append(words["input_ids"].shape[1])
        return self.inner(**self.change(words))


class Stranger(nn.Module):
    """A causal language model of nobody's library: a backbone and a linear head."""

    def __init__(self, inner: Any, change: Callable[[dict[str, Any]], dict[str, Any]]):
        super().__init__()
        self.config, self.generation_config = inner.config, inner.generation_config
        self.base_model, self.head = Backbone(inner.base_model, change), inner.lm_head
        self.embeddings = inner.get_input_embeddings()

    def get_output_embeddings(self):
        return self.head

    def get_input_embeddings(self):
        return self.embeddings

    def forward(self, **words):
        out = self.base_model(**words)
        out.logits = self.head(out.last_hidden_state)
        return out


def stranger(change: Callable[[dict[str, Any]], dict[str, Any]]) -> LanguageModel:
    lm = tiny("llama")
    return LanguageModel("stranger", Stranger(lm.model, change), lm.tokenizer)


def own_word() -> str:
    """What the installed transformers calls a cache."""
    parameters = inspect.signature(tiny("llama").model.base_model.forward).parameters
    return "past_key_values" if "past_key_values" in parameters else "cache"


def alone(lm: LanguageModel, prompt: list[int], steps: int) -> list[int]:
    """Greedy tokens, the whole text of one row read anew for each."""
    ids = list(prompt)
    for _ in range(steps):
        with torch.inference_mode():
            ids.append(
                int(lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            )
    return ids[len(prompt) :]


def tokens(lm: LanguageModel, prompts: list[list[int]], steps: int) -> list[list[int]]:
    return [
        list(one.token_ids)
        for one in decode(lm, prompts, Sampling(max_new_tokens=steps), stop_ids=())
    ]


def warned(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


TRUE = {tuple(p): alone(tiny("llama"), p, STEPS) for p in PROMPTS}


@pytest.mark.parametrize("word", ["past_key_values", "cache", "cache_params"])
def test_a_cache_is_found_under_each_name_behind_a_signature_that_hides_it(word, caplog):
    def change(words: dict[str, Any]) -> dict[str, Any]:
        given = {
            k: v for k, v in words.items() if k not in ("past_key_values", "cache", "cache_params")
        }
        return {**given, own_word(): words[word]} if word in words else given

    lm = stranger(change)
    assert lm.abilities.words.cache == word
    lm.model.base_model.widths.clear()
    assert tokens(lm, PROMPTS, STEPS) == [TRUE[tuple(p)] for p in PROMPTS]
    # each step read the new token alone
    assert lm.model.base_model.widths[-(STEPS - 1) :] == [1] * (STEPS - 1)
    assert "reading" not in lm.facts() and warned(caplog) == []


def _forgets(words: dict[str, Any]) -> dict[str, Any]:
    """Takes a cache, and reads each step as if nothing stood before it."""
    caches = [k for k, v in words.items() if isinstance(v, DynamicCache)]
    if caches and words["input_ids"].shape[1] == 1:
        return {**{k: v for k, v in words.items() if k not in caches}, "attention_mask": None}
    return words


def _ignores(words: dict[str, Any]) -> dict[str, Any]:
    """Takes any argument and uses no cache."""
    return {k: v for k, v in words.items() if k not in ("past_key_values", "cache", "cache_params")}


def _refuses(words: dict[str, Any]) -> dict[str, Any]:
    if any(isinstance(v, DynamicCache) for v in words.values()):
        raise TypeError("no caches here")
    return words


@pytest.mark.parametrize("change", [_forgets, _ignores, _refuses])
def test_a_wrong_cache_is_not_used_and_one_warning_says_so(change, caplog):
    lm = stranger(change)
    for _ in range(2):
        assert tokens(lm, PROMPTS, STEPS) == [TRUE[tuple(p)] for p in PROMPTS]
    (text,) = warned(caplog)
    assert (
        "stranger (Stranger) takes no cache that Veneer knows" in text
        and "whole text again" in text
    )
    assert lm.facts()["reading"] == {"cache": "none: each new token reads the whole text again"}


def _reads_padding(words: dict[str, Any]) -> dict[str, Any]:
    """A recurrent model without a mask (RWKV)."""
    return {k: v for k, v in words.items() if k not in ("attention_mask", "position_ids")}


def test_a_model_that_reads_padding_reads_rows_of_equal_length_together(caplog):
    lm = stranger(_reads_padding)
    assert tokens(lm, PROMPTS, STEPS) == [TRUE[tuple(p)] for p in PROMPTS]
    lm.model.base_model.widths.clear()
    equal = [[*p, 3] for p in PROMPTS[:1]] + [[*p, 4] for p in PROMPTS[:1]]
    assert tokens(lm, equal, 2) == [alone(lm, p, 2) for p in equal]
    assert lm.facts()["reading"] == {"padding": "none: only rows of equal length are read together"}
    (text,) = warned(caplog)
    assert "reads padding, so that a row depends on its batch" in text


def generated(lm: LanguageModel, prompt: list[int], steps: int) -> list[int]:
    """The tokens that transformers' own `generate` gives for one row."""
    how = GenerationConfig(do_sample=False, max_new_tokens=steps, pad_token_id=lm.pad_id)
    own, lm.model.generation_config = lm.model.generation_config, how
    try:
        out = lm.model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long)
        )
    finally:
        lm.model.generation_config = own
    return out[0, len(prompt) :].tolist()


@pytest.mark.parametrize("shared", [0, 6])
def test_long_answers_beyond_the_attention_window_are_those_of_generate(shared):
    lm = tiny("mistral", sliding_window=16)
    draw = torch.Generator().manual_seed(4)
    start = torch.randint(10, 250, (shared,), generator=draw).tolist()
    prompts = [
        start + torch.randint(10, 250, (n - shared,), generator=draw).tolist()
        for n in (9, 13, 7, 24)
    ]
    assert lm.abilities.lengths == (16,)
    assert tokens(lm, prompts, 60) == [generated(lm, p, 60) for p in prompts]


def test_a_batch_with_a_shared_beginning_is_read_anew_at_the_window(monkeypatch):
    """A window counts the padding behind a shared beginning, so the batch is read without it before
    it grows longer than that."""
    begun: list[int] = []
    begin = reader.Reader._begin

    def count(self: reader.Reader) -> None:
        begun.append(max(map(len, self._rows)))
        begin(self)

    monkeypatch.setattr(prefix, "ROOM", 4)
    monkeypatch.setattr(reader.Reader, "_begin", count)
    lm = tiny("mistral", sliding_window=40)
    prompts = [[*range(50, 62), *rest] for rest in ([10, 20], [40, 50, 60, 70, 80, 90, 11], [12])]
    seen: list[list[torch.Tensor]] = [[] for _ in prompts]

    def watch(rows, hidden, logits):
        for place, row in enumerate(rows):
            seen[row].append(logits[place])

    out = decode(lm, prompts, Sampling(max_new_tokens=60), stop_ids=(), watch=watch)
    assert begun == [19, 41]
    for prompt, one, logits in zip(prompts, out, seen, strict=True):
        assert list(one.token_ids) == generated(lm, prompt, 60)
        with torch.inference_mode():
            true = lm.model(input_ids=torch.tensor([[*prompt, *one.token_ids]])).logits[
                0, len(prompt) - 1 : -1
            ]
        torch.testing.assert_close(torch.stack(logits), true, rtol=1e-4, atol=2e-3)


def test_a_model_that_gives_other_states_at_each_reading_is_refused_beyond_its_chunk():
    """As Reformer does, which hashes by random numbers once a text is longer than two chunks."""

    class Wavers(Backbone):
        def forward(self, **words):
            out = self.inner(**words)
            if out.last_hidden_state.shape[1] > 32:
                out.last_hidden_state = out.last_hidden_state + 0.1 * torch.randn_like(
                    out.last_hidden_state
                )
            return out

    lm = tiny("llama")
    lm.config.lsh_attn_chunk_length = 16
    model = Stranger(lm.model, lambda words: words)
    model.base_model = Wavers(lm.model.base_model, lambda words: words)
    wavers = LanguageModel("wavers", model, lm.tokenizer)
    assert tokens(wavers, [PROMPTS[0]], 5) == [TRUE[tuple(PROMPTS[0])][:5]]
    with pytest.raises(
        VeneerError,
        match=(
            r"other states each time that it reads the same text beyond 32 tokens; expected .* "
            r"at most 32"
        ),
    ):
        tokens(wavers, [PROMPTS[0]], 40)


def test_texts_on_both_sides_of_the_length_of_longrope_are_read_as_decoding_reads_them():
    """Beyond 16 tokens other factors turn the positions of all tokens, those before as well."""
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 8.0}
    rope |= {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 4.0, 8.0, 8.0]}
    lm = tiny(
        "llama",
        rope_parameters={**rope, "original_max_position_embeddings": 16},
        max_position_embeddings=128,
    )
    ids = torch.randint(10, 250, (30,), generator=torch.Generator().manual_seed(1)).tolist()
    prompts, responses = [ids[:12], ids[:18], ids[:4]], [ids[12:], ids[18:21], ids[4:8]]
    hidden = response_hidden(lm, prompts, responses)
    assert lm.abilities.turns(16) == [] and lm.abilities.turns(17) == [16]
    for prompt, response, states in zip(prompts, responses, hidden, strict=True):
        for at, state in enumerate(states):
            text = torch.tensor([[*prompt, *response[:at]]])
            with torch.inference_mode():
                alone = lm.model.base_model(input_ids=text, use_cache=False).last_hidden_state
            torch.testing.assert_close(state, alone[0, -1], rtol=1e-4, atol=1e-4)
        assert len(states) == len(response)


def test_trying_gives_no_warnings_of_torch():
    """RWKV turns gradients on by itself."""

    def change(words: dict[str, Any]) -> dict[str, Any]:
        return words

    class Learns(Backbone):
        def forward(self, **words):
            with torch.inference_mode(False), torch.enable_grad():
                words = {
                    k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in words.items()
                }
                return self.inner(**words)

    lm = tiny("llama")
    model = Stranger(lm.model, change)
    model.base_model = Learns(lm.model.base_model, change)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LanguageModel("learns", model, lm.tokenizer).abilities.words.positions == 0
