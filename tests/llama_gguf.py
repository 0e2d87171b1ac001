"""A tiny Llama with a byte-level BPE as a folder, and llama.cpp on a GGUF file of it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llama_server import LlamaServer
from veneer.models.gguf.vocabulary import LLAMA3

TEXTS = [
    "The cat sat on the mat.  How do I bake bread? I'm sorry, but I can't help with that.",
    "Question: Tom has 37 apples and buys 1045 more.\n\nHow many? \t\n Answer: 1082   ",
    "Ünïcode – 漢字, it's fine; WE'LL see   x=3.14e-10\r\n\r\nüber-größe 🙂 ½ Ⅷ",
    "<|user|>Hello<|end|><|assistant|> don't\n\n\n   stop",
]
TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
SPECIAL = ["<|bos|>", "<|eos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"]
ROPE = {
    "default": {"rope_type": "default", "rope_theta": 500.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0},
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 500.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}


def cuts() -> dict:
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return {
        "gpt-2": plain,
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain]),
        "llama-bpe": pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), bare]
        ),
        "qwen2": pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(LLAMA3.replace("{1,3}", "")), "isolated"), bare]
        ),
    }


def tokenizer(pre: str = "gpt-2", *, bos: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE whose merges reach across the finer cuts, so that a wrong cut
    gives other tokens."""
    inner = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    inner.pre_tokenizer = cuts()["gpt-2"]
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator([*TEXTS, "10 104 1045 045 45 108 1082 82 37"], trainer)
    inner.pre_tokenizer = cuts()[pre]
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A", special_tokens=[("<|bos|>", 0)]
        )
    names = {"bos_token": "<|bos|>"} if bos else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        **names,
        eos_token="<|eos|>",
        pad_token="<|pad|>",
        additional_special_tokens=SPECIAL[2:],
        chat_template=TEMPLATE,
    )


def save(
    folder: Path,
    *,
    pre="gpt-2",
    bos=True,
    shard="1GB",
    rope="default",
    stored: torch.dtype = torch.float32,
    **words,
) -> Path:
    """A tiny random Llama, peaked enough that its top token is clear, with 7 rows more than its
    tokenizer has tokens."""
    tok = tokenizer(pre, bos=bos)
    config = LlamaConfig(
        **{
            "vocab_size": len(tok) + 7,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "rms_norm_eps": 3e-5,
            "tie_word_embeddings": False,
            "rope_parameters": ROPE[rope],
            "bos_token_id": 0,
            "eos_token_id": [1, 2],
            **words,
        }
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for p in model.parameters():
            # norms around 1
            p.copy_(1 + 0.2 * torch.randn_like(p) if p.mean() == 1 else 0.15 * torch.randn_like(p))
    model.to(stored).save_pretrained(folder, max_shard_size=shard)
    tok.save_pretrained(folder)
    return folder


class LlamaCpp:
    """llama.cpp on a file, in float32 throughout and on the CPU."""

    def __init__(self, file: Path):
        self.server = LlamaServer(file)

    def top(self, ids: list[int]) -> tuple[int, float | None]:
        """The most likely token after `ids` and its log-probability, which it does not tell for a
        part of a character."""
        ask = {
            "prompt": ids,
            "n_predict": 1,
            "n_probs": 1,
            "temperature": 0.0,
            "cache_prompt": True,
            "return_tokens": True,
        }
        reply = self.post("completion", ask)
        (token,) = reply["tokens"]
        probabilities = reply.get("completion_probabilities")
        return token, probabilities[0]["logprob"] if probabilities else None

    def post(self, route: str, body: dict) -> dict:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.server.listening_address}/{route}",
            data=data,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as reply:
            return json.load(reply)

    def tokens(self, text: str) -> list[int]:
        return self.post("tokenize", {"content": text, "add_special": True, "parse_special": True})[
            "tokens"
        ]
