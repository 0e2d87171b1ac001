"""Tiny models that think: each token is followed by the one that a chain of tokens names, so that
what they write is known."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise

import torch
from transformers import AddedToken, AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from tiny import SMALL, TEMPLATE, tokenizer
from veneer.models.language_model import LanguageModel

HARMONY = ("<|start|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>", "<|constrain|>")


def with_marks(
    marks: Sequence[str], *, special: bool = True, opens: str = ""
) -> PreTrainedTokenizerFast:
    """A tokenizer that has these marks as tokens, special ones (Mistral) or ordinary ones (Qwen).
    opens: what the chat template puts behind the assistant's header."""
    own = deepcopy(tokenizer())
    own.add_tokens([AddedToken(m, special=special, normalized=False) for m in marks])
    own.chat_template = TEMPLATE.replace(
        "<|assistant|>{% endif %}", "<|assistant|>" + opens + "{% endif %}"
    )
    return own


def ids_of(own: PreTrainedTokenizerFast, *pieces: str) -> list[int]:
    """Token ids of texts and marks, one behind the other."""
    return [i for p in pieces for i in own(p, add_special_tokens=False)["input_ids"]]


def chain(own: PreTrainedTokenizerFast, *pieces: str, name: str = "chain") -> LanguageModel:
    """A model that writes these pieces behind the first of them, and `<|end|>`. No token
    may occur twice."""
    ids = [*ids_of(own, *pieces), own.convert_tokens_to_ids("<|end|>")]
    assert len(set(ids)) == len(ids), "a token that occurs twice has two successors"
    size, width = len(own), 64
    config = AutoConfig.for_model(
        "llama",
        **{**SMALL, "hidden_size": width},
        vocab_size=size,
        tie_word_embeddings=False,
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.mul_(0.0)
        states = model.get_input_embeddings().weight
        states.copy_(torch.nn.functional.normalize(torch.randn(size, width), dim=1))
        head = model.get_output_embeddings().weight
        # no row of zeros: the head is measured against the logits
        head.copy_(0.01 * torch.randn(size, width))
        for before, after in pairwise(ids):
            head[after] += 8.0 * states[before]
    return LanguageModel(name, model, own)
