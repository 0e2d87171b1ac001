"""How the tokenizer of a GGUF file cuts a text before its merges: the file gives llama.cpp's name
for it, and transformers does not know all of these names."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tokenizers import Regex, pre_tokenizers

from veneer.models.gguf.vocabulary import LLAMA3

# llama.cpp's names of one cut (src/llama-vocab.cpp)
LIKE_GPT2 = ("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "roberta-bpe")
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
LIKE_LLAMA3 = ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0")
LIKE_QWEN2 = ("qwen2", "deepseek-r1-qwen", "megrez")
WHOLE_WORDS = (*LIKE_LLAMA3, "lfm2", "tekken")  # a word of the vocabulary is one token


def cut_as_llama_cpp(tokenizer: Any, pre: str | None, path: Path) -> None:
    """Let the tokenizer of a GGUF file with byte-level BPE cut texts as `pre` says. Warns of a name
    that neither Veneer nor transformers knows."""
    backend = tokenizer.backend_tokenizer
    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre in LIKE_GPT2:
        backend.pre_tokenizer = gpt2
    elif pre in SINGLE_DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, gpt2])
    elif pre in (*LIKE_LLAMA3, *LIKE_QWEN2):
        pattern = LLAMA3 if pre in LIKE_LLAMA3 else LLAMA3.replace("{1,3}", "")
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, bare])
    elif pre not in _known_to_the_library():
        logging.getLogger("veneer").warning(
            "veneer: %s cuts texts in the way %r, which transformers does not know: some texts "
            "become other tokens than in llama.cpp; give the model as a folder of safetensors",
            path,
            pre or "default",
        )
    if pre in WHOLE_WORDS:
        backend.model.ignore_merges = True


def _known_to_the_library() -> frozenset[str]:
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:  # not every release has it
        return frozenset()
    return frozenset(GGUF_PRE_TOKENIZER_SPLITS)
