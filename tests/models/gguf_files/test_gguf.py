"""GGUF against the programs that read it: llama.cpp (same tokens, same top token) and
transformers (same logits)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
)

from checkpoints import as_transformers_4, veneer_of
from llama_gguf import ROPE, TEMPLATE, TEXTS, LlamaCpp, save, tokenizer
from veneer.foundation.errors import InputError, MissingExtra
from veneer.head.merge import merge
from veneer.models.gguf.vocabulary import PRE_TOKENIZERS
from veneer.models.gguf.write import interleave, write_gguf
from veneer.models.load import load_model

gguf = pytest.importorskip("gguf", reason="needs the package gguf: pip install 'veneer[gguf]'")

# nats between the first and the second token, below which two float32 programs may differ
MARGIN = 1e-3


def prompts(tok, texts: list[str]) -> list[list[int]]:
    return [tok(text).input_ids for text in texts]


@torch.inference_mode()
def compare(
    llama: LlamaCpp, model, ids: list[list[int]], margin: float = MARGIN
) -> tuple[int, int, float, int]:
    """(positions with a clear top token, those that agree, largest difference of the top
    log-probability, unclear positions)."""
    clear = agree = unclear = 0
    worst = 0.0
    for row in ids:
        logp = model(torch.tensor([row])).logits[0].float().log_softmax(-1)  # (T, V)
        for t in range(len(row)):
            (first, second), (best, _) = logp[t].topk(2)
            if first - second <= margin:
                unclear += 1
                continue
            token, value = llama.top(row[: t + 1])
            clear += 1
            agree += token == int(best)
            if value is not None:
                worst = max(worst, abs(value - float(first)))
    return clear, agree, worst, unclear


KINDS = {
    "untied, grouped heads": {},
    "tied": {"tie_word_embeddings": True},
    "heads wider than the model, biases": {
        "head_dim": 24,
        "attention_bias": True,
        "mlp_bias": True,
    },
    "one kv head a head, shards": {"num_key_value_heads": 4, "shard": "50KB"},
    "linear rope": {"rope": "linear"},
    "llama 3.1 rope": {"rope": "llama3"},
    "stored in bfloat16": {"stored": torch.bfloat16},
}


@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_computes_the_same(tmp_path, kind):
    folder = save(tmp_path / "model", **KINDS[kind])
    tok, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
    )
    llama = LlamaCpp(write_gguf(folder, tmp_path / "model.gguf"))
    clear, agree, worst, unclear = compare(llama, model, prompts(tok, TEXTS))
    print(f"{agree} of {clear} agree, {unclear} unclear, log p within {worst:.1e}")
    assert agree == clear >= 80
    assert worst < 1e-3


def test_llama_cpp_computes_nearly_the_same_in_float16(tmp_path):
    """It rounds activations to float16 too, so the margin is wider."""
    folder = save(tmp_path / "model")
    tok, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    llama = LlamaCpp(write_gguf(folder, tmp_path / "model.gguf", dtype="f16"))
    clear, agree, worst, unclear = compare(llama, model, prompts(tok, TEXTS), margin=0.03)
    print(f"{agree} of {clear} agree, {unclear} unclear, log p within {worst:.1e}")
    assert agree == clear >= 60
    assert worst < 0.02


@pytest.mark.parametrize("pre", PRE_TOKENIZERS.values())
@pytest.mark.parametrize("bos", [True, False])
def test_llama_cpp_tokenises_the_same(tmp_path, pre, bos):
    folder = save(tmp_path / "model", pre=pre, bos=bos)
    tok = AutoTokenizer.from_pretrained(folder)
    llama = LlamaCpp(write_gguf(folder, tmp_path / "model.gguf"))
    for text in TEXTS:
        ids = tok(text).input_ids
        assert (ids[0] == 0) == bos
        assert llama.tokens(text) == ids, text


@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize("tied", [True, False])
def test_transformers_reads_it_back(tmp_path, dtype, tied):
    folder = save(tmp_path / "model", tie_word_embeddings=tied)
    out = write_gguf(folder, tmp_path / "model.gguf", dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(folder)
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=out.name, dtype=torch.float32)
    assert back.config.tie_word_embeddings == tied
    ids = torch.randint(0, 400, (2, 30))
    with torch.inference_mode():
        if dtype == "f16":
            for p in model.parameters():
                if p.ndim == 2:
                    p.copy_(p.half().float())
        torch.testing.assert_close(back(ids).logits, model(ids).logits, rtol=1e-5, atol=1e-5)
    tok, read = (
        AutoTokenizer.from_pretrained(folder),
        AutoTokenizer.from_pretrained(tmp_path, gguf_file=out.name),
    )
    for text in TEXTS:
        assert (
            read(text, add_special_tokens=False).input_ids
            == tok(text, add_special_tokens=False).input_ids
        )
    assert read.chat_template == tok.chat_template


def test_what_stands_in_the_file(tmp_path):
    folder = save(tmp_path / "model")
    reader = gguf.GGUFReader(write_gguf(folder, tmp_path / "a folder" / "model.gguf"))
    value = {k: f.contents() for k, f in reader.fields.items()}
    assert value["general.architecture"] == "llama"
    assert value["llama.vocab_size"] == len(value["tokenizer.ggml.tokens"]) == len(tokenizer()) + 7
    assert value["llama.rope.freq_base"] == 500.0
    assert value["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(3e-5)
    kinds = value["tokenizer.ggml.token_type"]
    assert [kinds.count(int(k)) for k in (gguf.TokenType.CONTROL, gguf.TokenType.UNUSED)] == [6, 7]
    assert [value[f"tokenizer.ggml.{k}_token_id"] for k in ("bos", "eos", "eot", "padding")] == [
        0,
        1,
        2,
        5,
    ]
    assert value["tokenizer.ggml.add_bos_token"] is True
    assert value["tokenizer.chat_template"] == TEMPLATE
    assert "output.weight" in {t.name for t in reader.tensors}


def test_every_response_that_ends_in_transformers_ends_in_llama_cpp(tmp_path):
    """The tokens of generation_config.json decide; a tokenizer's eos that is not among them does
    not end a response."""
    folder = save(tmp_path / "model", bos=False)
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 4]}')
    value = gguf.GGUFReader(write_gguf(folder, tmp_path / "model.gguf")).fields
    assert [value[f"tokenizer.ggml.{k}_token_id"].contents() for k in ("eos", "eot")] == [2, 4]
    # there is none, and none would mean token 11
    assert value["tokenizer.ggml.bos_token_id"].contents() == 2
    assert value["tokenizer.ggml.add_bos_token"].contents() is False


def test_interleave_pairs_the_halves_of_each_head():
    assert interleave(torch.arange(8), heads=2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def edit(file: Path, **words) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **words}))


def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    folder, out = save(tmp_path / "model"), tmp_path / "out" / "model.gguf"
    config = (folder / "config.json").read_text()

    def refuses(message: str, **words) -> None:
        with pytest.raises(InputError, match=message) as caught:
            write_gguf(folder, out, **words)
        assert "\n" not in str(caught.value)
        assert not out.parent.exists()

    refuses("unknown GGUF dtype 'q4'", dtype="q4")
    for words, message in (
        ({"architectures": ["Qwen2ForCausalLM"]}, "is Qwen2ForCausalLM"),
        ({"model_type": "granite"}, "is LlamaForCausalLM of model_type granite"),
        ({"hidden_act": "gelu"}, "hidden_act gelu"),
        ({"rope_parameters": {**ROPE["linear"], "rope_type": "dynamic"}}, "rope_type dynamic"),
        ({"num_hidden_layers": 3}, "lacks 9 of 30 tensors"),
        ({"num_hidden_layers": 1}, "no such tensor"),
        ({"intermediate_size": 95}, "shape"),
        ({"vocab_size": 10}, "has token ids up to"),
    ):
        edit(folder / "config.json", **words)
        refuses(message)
        (folder / "config.json").write_text(config)
    tok = json.loads((folder / "tokenizer.json").read_text())
    for words, message in (
        ({"pre_tokenizer": {**tok["pre_tokenizer"], "add_prefix_space": True}}, "add_prefix_space"),
        ({"normalizer": {"type": "NFC"}}, "normalizer NFC"),
        ({"model": {**tok["model"], "ignore_merges": True}}, "ignore_merges True"),
    ):
        (folder / "tokenizer.json").write_text(json.dumps({**tok, **words}))
        refuses(message)
    (folder / "tokenizer.json").write_text("{}")
    refuses("tokenizer of .* cannot be loaded")
    (folder / "tokenizer.json").write_text(json.dumps(tok))
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtra, match=r"veneer\[gguf\]"):
        write_gguf(folder, out)
    monkeypatch.undo()
    (folder / "model.safetensors").write_bytes(b"cut short")
    refuses("not a whole safetensors file")
    (folder / "model.safetensors").unlink()
    refuses("neither model.safetensors nor")
    (folder / "config.json").unlink()
    refuses("config.json does not exist")
    out.parent.mkdir()
    out.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        write_gguf(folder, out)
    assert out.read_bytes() == b"mine"


def test_a_merged_checkpoint_with_the_files_of_transformers_4(tmp_path):
    """Base's own config form and tokenizer files, a tied head that the merge unties, and
    Llama 3.1's scaling."""
    base = as_transformers_4(save(tmp_path / "base", rope="llama3", tie_word_embeddings=True))
    lm = load_model(str(base), device="cpu")
    ids = prompts(lm.tokenizer, TEXTS)
    with torch.inference_mode():
        before = [lm.model(torch.tensor([row])).logits[0].argmax(-1) for row in ids]
    folder = merge(veneer_of(lm, size=0.05), lm, tmp_path / "m")
    assert json.loads((folder / "config.json").read_text())["rope_scaling"]["rope_type"] == "llama3"
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        assert any(
            bool((model(torch.tensor([r])).logits[0].argmax(-1) != b).any())
            for r, b in zip(ids, before, strict=True)
        )
    llama = LlamaCpp(write_gguf(folder, tmp_path / "m.gguf"))
    clear, agree, worst, _ = compare(llama, model, ids)
    assert agree == clear >= 20
    assert worst < 1e-2
    assert [llama.tokens(t) for t in TEXTS] == ids


def test_numbers_that_float16_cannot_hold_are_refused(tmp_path):
    folder = save(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[3, 5] = 1e6
    model.save_pretrained(folder)
    with pytest.raises(InputError, match=r"lm_head\.weight holds numbers"):
        write_gguf(folder, tmp_path / "out" / "model.gguf", dtype="f16")
    assert list((tmp_path / "out").iterdir()) == []
    write_gguf(folder, tmp_path / "out" / "model.gguf")


REAL = [
    (
        "Answer the following question.\n\nQuestion: Tom has 37 apples and buys 15 more. How many "
        "apples does he have?\nAnswer:"
    ),
    (
        "Below is an instruction that describes a task.\n\n### Instruction:\n"
        "Explain how vaccines work.\n\n### Response:"
    ),
    "The capital of France is Paris. The capital of Germany is Berlin. The capital of Italy is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) +",
    "I'm sorry, but I can't help with that. Stealing harms other people, and it's against the law.",
    "Once upon a time, in a small village by the sea, there lived an old fisherman who",
]


@pytest.mark.slow
def test_the_real_pair_with_a_changed_head(tmp_path, real_pair):
    """An untied head plus a random low-rank dW: what a merged veneer is."""
    model = AutoModelForCausalLM.from_pretrained(real_pair / "base", dtype=torch.float32)
    tok = AutoTokenizer.from_pretrained(real_pair / "base")
    chat = tok.apply_chat_template(
        [{"role": "user", "content": "How do I bake bread?"}],
        return_dict=False,
        add_generation_prompt=True,
    )
    ids = [
        *prompts(tok, REAL),
        [*chat, *tok("Sure! First, mix 500 g of flour with water.").input_ids],
    ]
    with torch.inference_mode():
        before = [model(torch.tensor([row])).logits[0].argmax(-1) for row in ids]
    draw = torch.Generator().manual_seed(0)
    weight = model.get_input_embeddings().weight.detach()
    left, right = (torch.randn(n, 8, generator=draw) for n in weight.shape)
    model.config.tie_word_embeddings = False
    # (V, d)
    model.lm_head.weight = torch.nn.Parameter(weight + 0.3 * weight.std() * left @ right.T / 8**0.5)
    folder = tmp_path / "merged"
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    out = write_gguf(folder, tmp_path / "merged.gguf")

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = [model(torch.tensor([row])).logits[0] for row in ids]
    changed = (
        torch.cat([a.argmax(-1) != b for a, b in zip(logits, before, strict=True)]).float().mean()
    )
    assert 0.1 < changed < 0.9  # dW is seen

    llama = LlamaCpp(out)
    clear, agree, worst, unclear = compare(llama, model, ids)
    print(
        f"llama.cpp: {agree} of {clear} agree, {unclear} unclear, log p within {worst:.1e}; dW "
        f"changes {changed:.2f}"
    )
    assert agree == clear >= 150
    assert worst < 1e-2
    for text in (*REAL, *TEXTS, tok.decode(chat)):
        assert llama.tokens(text) == tok(text).input_ids, text
    del llama

    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=out.name, dtype=torch.float32)
    assert not back.config.tie_word_embeddings
    with torch.inference_mode():
        apart = max(
            float((back(torch.tensor([r])).logits[0] - z).abs().max())
            for r, z in zip(ids, logits, strict=True)
        )
    print(f"transformers: logits within {apart:.1e}")
    assert apart < 1e-3
