"""Tiny models made from their configs: no network, milliseconds to build."""

from __future__ import annotations

from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from veneer.models.language_model import LanguageModel

TEXT = [
    "The cat sat on the mat. How do I bake bread? I'm sorry, but I can't help with that.",
    "Question: Tom has 3 apples and buys 4 more. How many apples does he have?\nAnswer: 7",
    "Sure, here is a list of things: one, two, three, four, five, six, seven, eight, nine, ten.",
]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|bos|>", "<|eos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|pad|>"]
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

# name -> (model_type, config words beyond SMALL)
ARCHITECTURES: dict[str, tuple[str, dict]] = {
    "llama": ("llama", {"tie_word_embeddings": False}),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 8}),
    "gemma2": ("gemma2", {"head_dim": 8, "final_logit_softcapping": 2.0, "sliding_window": 8}),
    "gemma3": ("gemma3_text", {"head_dim": 8, "sliding_window": 8, "vocab_size": 6000}),
    "gpt2": ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gpt_neox": ("gpt_neox", {}),
    "mistral": ("mistral", {"sliding_window": None}),
    "phi": ("phi", {}),
    "olmo2": ("olmo2", {}),
    "granite": ("granite", {"logits_scaling": 4.0}),
    "cohere": ("cohere", {"logit_scale": 0.25}),
    "mamba": ("mamba", {"state_size": 4}),
}


@cache
def tokenizer(extra: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 400 tokens with a chat template; adds one BOS to plain text."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = [*SPECIAL, *extra]
    inner.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    inner.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", special_tokens=[("<|bos|>", inner.token_to_id("<|bos|>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|bos|>",
        eos_token="<|eos|>",
        pad_token="<|pad|>",
        additional_special_tokens=special[2:],
        chat_template=TEMPLATE,
    )


def tiny(
    kind: str = "llama", *, seed: int = 0, scale: float = 3.0, rows: int | None = None, **more
) -> LanguageModel:
    """A tiny model with random weights. scale: spread of the head's rows, so that
    distributions are not flat."""
    tok = tokenizer()
    model_type, words = ARCHITECTURES[kind]
    words = {
        **({} if "n_embd" in words else SMALL),
        "vocab_size": rows or len(tok) + 3,
        **words,
        **more,
    }
    config = AutoConfig.for_model(
        model_type,
        **words,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if (p.ndim == 2 and "layers" in name) or (".h." in name and p.ndim == 2):
                p.mul_(6.0)
        model.get_output_embeddings().weight.mul_(
            scale / model.get_output_embeddings().weight.norm(dim=1).mean()
        )
    return LanguageModel(f"tiny-{kind}", model, tok)
