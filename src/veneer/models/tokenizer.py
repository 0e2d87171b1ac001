"""The tokenizer of a model's folder or repository: the same one whatever packages are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils.hub import cached_file

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.files import read_json
from veneer.models.tokenizer_pipeline import follow_file, follow_sentencepiece

# What mistral-common calls them; a tekken.json has no names for them.
OF_MISTRAL = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
}
OWN = "tokenizer.json"
# files of which tokenizers are made
VOCABULARIES = (
    OWN,
    "*.model*",
    "vocab*",
    "tekken.json",
    "*.tiktoken",
    "*.gguf",
    "tokenization_*.py",
)
SENTENCEPIECE = "tokenizer.model"  # tiktoken's files have this name too:
TIKTOKEN = re.compile(rb"[\w+/]+=* \d+\s")  # their first line


def load_tokenizer(at: str, **words: Any) -> Any:
    """The tokenizer at a folder or of a repository. words: for `from_pretrained`.

    Where the package mistral-common is installed, the library gives its tokenizer for models of
    Mistral, which renders no chat template and reads no token such as [INST] in a text. Here they
    keep that of their own tokenizer.json. One that has a tekken.json alone puts BOS in front of a
    text, as mistral-common does. A chat template that stands in a file of the processor alone, as
    in older multimodal checkpoints, is the tokenizer's. Texts are cut as the tokenizer's own files
    say, whatever class the library takes (tokenizer_pipeline.py).
    """
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(at, **words)
    except Exception:
        model = _file(at, SENTENCEPIECE, words)
        lacking = importlib.util.find_spec("sentencepiece") is None
        if _file(at, OWN, words) is None and _is_sentencepiece(model) and lacking:
            raise MissingExtra(
                "sentencepiece", "sentencepiece", f"reading {at}/{SENTENCEPIECE}"
            ) from None
        folder = Path(at)
        if folder.is_dir() and not any(p for name in VOCABULARIES for p in folder.glob(name)):
            raise InputError(
                f"{at} has no tokenizer; expected tokenizer.json in the model's folder: save the "
                "model's tokenizer there with save_pretrained"
            ) from None
        raise
    if type(tokenizer).__name__ == "MistralCommonBackend":
        tokenizer = PreTrainedTokenizerFast.from_pretrained(at, **words)
    file = str(getattr(tokenizer, "vocab_file", None))
    if tokenizer.bos_token is None and file.endswith("tekken.json"):
        vocabulary = tokenizer.get_vocab()
        for name, token in OF_MISTRAL.items():
            if getattr(tokenizer, name) is None and token in vocabulary:
                setattr(tokenizer, name, token)
        tokenizer.add_bos_token = True
    if hasattr(tokenizer, "backend_tokenizer") and not _is_foreign(tokenizer):
        if (own := _file(at, OWN, words)) is not None:
            follow_file(tokenizer, own)
        elif Path(file).name == SENTENCEPIECE and _is_sentencepiece(Path(file)):
            follow_sentencepiece(tokenizer, Path(file), _settings(at, words))
    if not tokenizer.chat_template:
        tokenizer.chat_template = _of_processor(at, words)
    return tokenizer


def _is_foreign(tokenizer: Any) -> bool:
    """Whether its class is the repository's own code, which does what it does on purpose."""
    return type(tokenizer).__module__.startswith("transformers_modules")


def _settings(at: str, words: dict[str, Any]) -> dict[str, Any]:
    file = _file(at, "tokenizer_config.json", words)
    content = read_json(file, "the config of a tokenizer") if file is not None else None
    return content if isinstance(content, dict) else {}


def _is_sentencepiece(file: Path | None) -> bool:
    if file is None or not file.is_file():
        return False
    with file.open("rb") as stream:
        return TIKTOKEN.match(stream.read(200)) is None


def _file(at: str, name: str, words: dict[str, Any]) -> Path | None:
    """A file of the folder, or of the repository as the hub's cache holds it; None where there is
    none."""
    file = Path(at) / name
    if not Path(at).is_dir():
        with contextlib.suppress(OSError, ValueError, TypeError):
            revision = words.get("revision")
            file = Path(cached_file(at, name, revision=revision, local_files_only=True))
    return file if file.is_file() else None


def _of_processor(at: str, words: dict[str, Any]) -> str | None:
    """The chat template of a processor's files, in the folder or in the hub's cache; None where
    there is none."""
    for name in ("chat_template.json", "processor_config.json"):
        if (file := _file(at, name, words)) is not None:
            content = read_json(file, "a file of a processor")
            template = content.get("chat_template") if isinstance(content, dict) else None
            if isinstance(template, str):
                return template
    return None
