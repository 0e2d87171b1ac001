"""Models that a program has in memory, given as they are, and what is no model."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import veneer
from veneer import CaptureConfig, LanguageModel, Pair, Sampling, System
from veneer.foundation.errors import InputError
from veneer.lab import lab_folder

SHORT = Sampling(max_new_tokens=8)


def in_memory(name: str):
    """A transformers model and its tokenizer, as anybody loads them."""
    folder, tokenizer = lab_folder(name)
    return (
        AutoModelForCausalLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(tokenizer),
    )


@pytest.fixture(scope="module")
def pair() -> Pair:
    base, tokenizer = in_memory("lab:base")
    aligned, own = in_memory("lab:aligned")
    return Pair.of(base, aligned, tokenizer, aligned_tokenizer=own)


@pytest.fixture(scope="module")
def extraction(pair, tmp_path_factory):
    texts = [
        f"How do I make {thing}?" for thing in ["bread", "jam", "tea", "soup", "salad", "cake"]
    ]
    folder = tmp_path_factory.mktemp("memory") / "capture"
    veneer.capture_responses(pair, texts, folder, CaptureConfig(sampling=SHORT))
    return veneer.extract_veneer(folder)  # the folder serves as well as the object


def test_models_from_memory_answer_as_named_ones_do(pair):
    named = System.of_model(veneer.load_model("lab:base"))
    given = System.of_model(pair.base)
    question = ["What is 2 plus 3?"]
    answers = [veneer.respond(s, question, SHORT)[0].token_ids for s in (named, given)]
    assert answers[0] == answers[1]


def test_a_veneer_is_taken_as_extraction_object_or_folder(pair, extraction, tmp_path):
    extraction.veneer.save(tmp_path / "veneer")
    systems = [
        System.of_model(pair.base, given)
        for given in (extraction, extraction.veneer, tmp_path / "veneer", str(tmp_path / "veneer"))
    ]
    heads = [s.head.weight for s in systems]
    assert all(torch.equal(heads[0], head) for head in heads)


def test_what_memory_holds_is_merged_not_the_folder_it_was_loaded_from(tmp_path):
    model, tokenizer = in_memory("lab:base")
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(0.5)
    base = LanguageModel.of(model, tokenizer)
    zero = veneer.Veneer(base.head.hash(), base.head.rows, torch.zeros(base.head.weight.shape))
    veneer.merge_veneer(zero, base, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    kept = merged.model.layers[0].mlp.down_proj.weight
    assert torch.equal(kept, model.model.layers[0].mlp.down_proj.weight)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda m, t: Pair(m, m), "found a bare LlamaForCausalLM; give it with its tokenizer"),
        (lambda m, t: Pair.load(m, m), "found a bare LlamaForCausalLM"),
        (lambda m, t: Pair.of(m, m), "comes without a tokenizer; give both"),
        (lambda m, t: Pair.of(m, m, "gpt2"), "found str as the tokenizer"),
        (lambda m, t: Pair.of(t, m, t), "expected a causal language model of transformers"),
        (lambda m, t: System.of_model(m), "LanguageModel.of(model, tokenizer)"),
        (lambda m, t: veneer.load_model(3), "found int in the place of a model"),
        (lambda m, t: veneer.respond(m, ["hello"]), "LanguageModel.of(model, tokenizer)"),
        (
            lambda m, t: veneer.respond(LanguageModel.of(m, t), ["hello"]),
            "expected a system, which knows the format",
        ),
        (lambda m, t: System.of_model(LanguageModel.of(m, t), 3), "in the place of a veneer"),
        (lambda m, t: veneer.merge_veneer(LanguageModel.of(m, t), m, "x"), "place of a veneer"),
        (lambda m, t: veneer.extract_veneer("nowhere"), "nowhere/manifest.json does not exist"),
    ],
)
def test_a_natural_call_that_cannot_work_says_why(call, sentence):
    model, tokenizer = in_memory("lab:base")
    with pytest.raises(InputError) as error:
        call(model, tokenizer)
    assert sentence in str(error.value)


def test_an_adapter_in_memory_is_to_be_merged_first():
    peft = pytest.importorskip("peft")
    model, tokenizer = in_memory("lab:base")
    with_adapter = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(InputError, match=r"give model\.merge_and_unload\(\)"):
        LanguageModel.of(with_adapter, tokenizer)
    merged = LanguageModel.of(with_adapter.merge_and_unload(), tokenizer)
    assert merged.head.rows == 1386
