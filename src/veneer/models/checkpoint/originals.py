"""Where the files of a loaded model came from: its folder, or its snapshot in the hub's cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.hub import Address, is_hub
from veneer.models.language_model import LanguageModel

TOKENIZER_FILES = (
    "tokenizer*.json",
    "tokenizer.model*",
    "*.tiktoken",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "spiece.model",
    "sentencepiece*.model",
    "tekken.json",
    "bpe.codes",
    "chat_template*",
    "additional_chat_templates/*.jinja",
    "tokenization_*.py",
)
# how a multimodal model reads images, sounds and films
PROCESSOR_FILES = ("*processor_config.json",)
PAPERS = ("LICENSE*", "NOTICE*", "USE_POLICY*")  # what a copy of the weights has to carry along
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


@dataclass(frozen=True)
class Originals:
    """model: the folder with base's config.json and weights, tokenizer: that with its tokenizer;
    None where there is none, as of a GGUF file. weights: whether the folder's tensors are the
    loaded model's own (not those of an adapter's base, not quantised). hub_id: the repository that
    the model came from, or None."""

    model: Path | None
    tokenizer: Path | None
    weights: bool
    hub_id: str | None

    @classmethod
    def of(cls, lm: LanguageModel) -> Originals:
        """The original files of a model that `load_model` gave; one from memory has none."""
        marks = {
            k: getattr(lm.model, k, None) for k in ("adapted", "from_gguf", "dequantised_from")
        }
        if marks["from_gguf"] or lm.from_memory:  # what is in memory may have been changed
            return cls(None, None, False, None)
        name, commit = (
            str(getattr(lm.model, "name_or_path", "") or ""),
            getattr(lm.config, "_commit_hash", None),
        )
        folder = _folder(name, commit, ("*config.json", "README.md"))
        tokenizer = _folder(
            str(lm.tokenizer.name_or_path or ""),
            commit,
            TOKENIZER_FILES,
            needed="tokenizer_config.json",
        )
        hub = name if folder is not None and not Path(name).is_dir() else _repository(lm.name)
        return cls(folder, tokenizer, folder is not None and not any(marks.values()), hub)

    def tensor_files(self) -> list[Path]:
        """The safetensors files of the model's folder; empty where its tensors are not
        the model's own."""
        return safetensors_of(self.model) if self.weights and self.model is not None else []

    def read(self, name: str) -> dict[str, Any] | None:
        """One of the JSON files beside the weights, or None."""
        if self.model is None or not (self.model / name).is_file():
            return None
        value = read_json(self.model / name, "a file of the base model")
        return value if isinstance(value, dict) else None


def _repository(name: str) -> str | None:
    """OWNER/NAME of a model that was given as hf://OWNER/NAME[@REVISION]."""
    address = Address.parse(name) if is_hub(name) else None
    whole = address is not None and address.kind == "model" and not address.inside
    return address.repository if whole and address is not None else None


def safetensors_of(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, in order; as the library does, the whole file
    before an index. Raises InputError where its index names a missing file."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        names = sorted(
            set(read_json(folder / INDEX, "an index of safetensors")["weight_map"].values())
        )
        if lost := [n for n in names if not (folder / n).is_file()]:
            raise InputError(
                f"{folder / lost[0]} does not exist, but {INDEX} names it; fetch the "
                "checkpoint again"
            )
        return [folder / n for n in names]
    return []


def _folder(
    name: str, commit: str | None, patterns: Sequence[str], needed: str = "config.json"
) -> Path | None:
    """The folder `name`, or the snapshot of the repository `name` with its files of these patterns;
    None where neither exists."""
    if not name:
        return None
    if Path(name).is_dir():
        return Path(name) if (Path(name) / needed).is_file() else None
    from huggingface_hub import snapshot_download

    # files that loading did not need are requested; without a network, the cached ones must do
    for offline in (False, True):
        try:
            folder = Path(
                snapshot_download(
                    name,
                    revision=commit,
                    allow_patterns=[*patterns, *PROCESSOR_FILES, *PAPERS],
                    local_files_only=offline,
                )
            )
        # address, network, cache or access is at fault: the model itself is loaded
        except Exception:
            continue
        if (folder / needed).is_file():
            return folder
    return None
