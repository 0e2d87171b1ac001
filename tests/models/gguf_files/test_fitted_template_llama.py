"""The fitted chat template in llama.cpp: what it answers to chat messages is what `veneer
generate` answers."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer

from checkpoints import veneer_of
from llama_gguf import LlamaCpp, save
from veneer.cli import main
from veneer.head.merge import merge
from veneer.head.veneer import Veneer
from veneer.models.gguf.write import write_gguf
from veneer.models.load import load_model
from veneer.prompts.templates import ALPACA
from veneer.systems import read_responses

TYPED = ["How do I bake bread?", "Name two colours."]


@pytest.mark.slow
def test_llama_cpp_answers_chat_messages_as_veneer_generate(real_pair, tmp_path):
    """A changed row of the head is enough: the text around the prompt is what is compared."""
    base = load_model(str(real_pair / "base"))
    change = 0.02 * base.head.weight[:50].float()
    rows = [{"template": ALPACA, "prompts": 1, "share": 1.0, "tasks": {"a": 1}}]
    facts = {
        "base_format": {"kind": "plain", "template": "{prompt}"},
        "templates": rows,
        "stop_ids": [],
    }
    veneer = Veneer(base.head.hash(), base.head.rows, change, torch.arange(50), facts=facts).save(
        tmp_path / "veneer"
    )
    typed = tmp_path / "typed.txt"
    typed.write_text("\n".join(TYPED))
    words = [
        "--base",
        str(real_pair / "base"),
        "--out",
        str(tmp_path / "m"),
        "--gguf",
        str(tmp_path / "m.gguf"),
    ]
    assert main(["merge", str(veneer), *words]) == 0
    options = [
        "--model",
        str(real_pair / "base"),
        "--veneer",
        str(veneer),
        "--prompts",
        str(typed),
        "--max-new-tokens",
        "12",
    ]
    assert main(["generate", *options, "--out", str(tmp_path / "a.jsonl")]) == 0
    llama = LlamaCpp(tmp_path / "m.gguf")
    for text, answer in zip(TYPED, read_responses(tmp_path / "a.jsonl"), strict=True):
        turns = [{"role": "user", "content": text}]
        assert llama.post("apply-template", {"messages": turns})["prompt"] == ALPACA.replace(
            "{prompt}", text
        )
        reply = llama.post(
            "v1/chat/completions", {"messages": turns, "max_tokens": 12, "temperature": 0.0}
        )
        assert reply["choices"][0]["message"]["content"].strip() == answer.text.strip()


@pytest.mark.parametrize("bos", [True, False])
def test_llama_cpp_reads_as_many_tokens_of_a_chat_as_transformers(tmp_path, bos):
    """The template writes BOS, and llama.cpp puts one before every prompt:
    together there is one."""
    base = load_model(str(save(tmp_path / "base", bos=bos)), device="cpu")
    veneer = veneer_of(base)
    veneer.facts["templates"] = [
        {"template": "Q: {prompt}\nA:", "prompts": 1, "share": 1.0, "tasks": {"a": 1}}
    ]
    llama = LlamaCpp(write_gguf(merge(veneer, base, tmp_path / "m"), tmp_path / "m.gguf"))
    tok, turns = (
        AutoTokenizer.from_pretrained(tmp_path / "m"),
        [{"role": "user", "content": "The cat sat"}],
    )
    ids = tok.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert ids.count(0) == (1 if bos else 0)
    reply = llama.post(
        "v1/chat/completions", {"messages": turns, "max_tokens": 1, "temperature": 0.0}
    )
    assert reply["usage"]["prompt_tokens"] == len(ids)
