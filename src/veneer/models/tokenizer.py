"""The tokenizer of a model's folder or repository: the same one whatever packages are installed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils.hub import cached_file

from veneer.foundation.files import read_json

# What mistral-common calls them; a tekken.json has no names for them.
OF_MISTRAL = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
}


def load_tokenizer(at: str, **words: Any) -> Any:
    """The tokenizer at a folder or of a repository. words: for `from_pretrained`.

    Where the package mistral-common is installed, the library gives its tokenizer for models of
    Mistral, which renders no chat template and reads no token such as [INST] in a text. Here they
    keep that of their own tokenizer.json. One that has a tekken.json alone puts BOS in front of a
    text, as mistral-common does. A chat template that stands in a file of the processor alone, as
    in older multimodal checkpoints, is the tokenizer's.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(at, **words)
    if type(tokenizer).__name__ == "MistralCommonBackend":
        tokenizer = PreTrainedTokenizerFast.from_pretrained(at, **words)
    file = str(getattr(tokenizer, "vocab_file", None))
    if tokenizer.bos_token is None and file.endswith("tekken.json"):
        vocabulary = tokenizer.get_vocab()
        for name, token in OF_MISTRAL.items():
            if getattr(tokenizer, name) is None and token in vocabulary:
                setattr(tokenizer, name, token)
        tokenizer.add_bos_token = True
    if not tokenizer.chat_template:
        tokenizer.chat_template = _of_processor(at, words.get("revision"))
    return tokenizer


def _of_processor(at: str, revision: str | None) -> str | None:
    """The chat template of a processor's files, in the folder or in the hub's cache; None where
    there is none."""
    for name in ("chat_template.json", "processor_config.json"):
        file = Path(at) / name
        if not Path(at).is_dir():
            with contextlib.suppress(OSError, ValueError, TypeError):
                file = Path(cached_file(at, name, revision=revision, local_files_only=True))
        if file.is_file():
            content = read_json(file, "a file of a processor")
            template = content.get("chat_template") if isinstance(content, dict) else None
            if isinstance(template, str):
                return template
    return None
