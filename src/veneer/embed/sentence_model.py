"""A sentence-transformers model, run with transformers alone: a backbone, a pooling, unit length
(Reimers and Gurevych 2019, arXiv 1908.10084).

The folder's own files describe it (modules.json, 1_Pooling/config.json, sentence_bert_config.json).
A folder that needs more than this module can do is refused, never read in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from veneer.embed.chunks import chunks, join_chunks
from veneer.embed.encoder import load_encoder
from veneer.embed.inputs import frame, padded, positions
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file
from veneer.foundation.progress import Progress

TOKENS = 4096  # in one pass, padding counted
# texts tokenised at a time, so that memory does not grow with their number
WINDOW = 4096
POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
KNOWN = {"Transformer", "Pooling", "Normalize"}


class SentenceModel:
    """A sentence-transformers embedder. It reads `longest` tokens at a time; a longer text is split
    into equal pieces (chunks.py), or with `cut` ends there, as in sentence-transformers itself."""

    def __init__(
        self, folder: Path, name: str, device: str | torch.device = "cpu", *, cut: bool = False
    ):
        """Raises InputError where the folder is no such model, or a kind that is not read here."""
        self._pooling, self._lower = (
            _pooling(folder),
            bool(_words(folder, "sentence_bert_config.json").get("do_lower_case")),
        )
        self._model, self._tokenizer = load_encoder(folder, "a sentence-transformers model")
        self._model.to(device).eval()
        self._device = device
        self._start, self._end = frame(self._tokenizer)
        self.longest = (
            _longest(folder, self._model, self._tokenizer) - len(self._start) - len(self._end)
        )
        weights = sha256_file(sorted(folder.glob("*.safetensors"))[0])
        self._cut = cut
        reading = f"{'cut' if cut else 'chunks'}{self.longest}"
        self.id = f"{name}-{weights[:8]}-{self._pooling}-{reading}"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        distinct = list(dict.fromkeys(texts))
        rows = np.zeros((len(distinct), self._model.config.hidden_size), np.float32)
        for at in range(0, len(distinct), WINDOW):
            rows[at : at + WINDOW] = self._window(distinct[at : at + WINDOW])
            if progress:
                progress(min(at + WINDOW, len(distinct)), len(distinct), "embeddings")
        place = {text: row for row, text in enumerate(distinct)}
        return rows[[place[t] for t in texts]] if len(distinct) < len(texts) else rows

    def _window(self, texts: Sequence[str]) -> np.ndarray:
        cased = [t.lower() if self._lower else t for t in texts]
        ids = self._tokenizer(cased, add_special_tokens=False, truncation=False, verbose=False)[
            "input_ids"
        ]
        if self._cut:
            ids = [row[: self.longest] for row in ids]
        pieces = [(n, piece) for n, row in enumerate(ids) for piece in chunks(row, self.longest)]
        vectors = np.zeros((len(pieces), self._model.config.hidden_size), np.float32)
        order = sorted(range(len(pieces)), key=lambda i: (len(pieces[i][1]), i))
        while order:
            most = max(1, TOKENS // (len(pieces[order[-1]][1]) + len(self._start) + len(self._end)))
            # the longest first: memory is highest at the start, not at the end
            batch, order = order[-most:], order[:-most]
            vectors[batch] = self._encode([pieces[i][1] for i in batch])
        return join_chunks(vectors, [n for n, _ in pieces], [len(p) for _, p in pieces], len(texts))

    @torch.inference_mode()
    def _encode(self, pieces: Sequence[Sequence[int]]) -> np.ndarray:
        """Return (B, d), rows of unit length."""
        rows = [[*self._start, *p, *self._end] for p in pieces]
        ids, mask = padded(rows, self._tokenizer.pad_token_id or 0, self._device)  # (B, T)
        # (B, T, d)
        states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        if self._pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()


def _words(folder: Path, name: str) -> Any:
    path = folder / name
    return (
        read_json(path, "the settings of a sentence-transformers model") if path.is_file() else {}
    )


def _pooling(folder: Path) -> str:
    """Return mean or cls; mean where the folder names none, as in sentence-transformers."""
    kinds = [str(m.get("type", "")).rpartition(".")[2] for m in _words(folder, "modules.json")]
    strange = [k for k in kinds if k not in KNOWN]
    words = _words(folder, "1_Pooling/config.json")
    poolings = [k for k, on in words.items() if k.startswith("pooling_mode_") and on]
    prompt = _words(folder, "config_sentence_transformers.json").get("default_prompt_name")
    if strange or prompt or len(poolings) > 1 or any(k not in POOLINGS for k in poolings):
        unsupported = ", ".join(
            [*strange, *(k.removeprefix("pooling_mode_") for k in poolings)]
        ) + (f", prompt {prompt}" if prompt else "")
        raise InputError(
            f"{folder} asks for {unsupported}; expected a model with mean or cls pooling, no "
            "further layers and no prompt, such as sentence-transformers/all-MiniLM-L6-v2"
        )
    return POOLINGS[poolings[0]] if poolings else "mean"


def _longest(folder: Path, model: Any, tokenizer: Any) -> int:
    """Return the tokens in one pass, special ones included: the folder's limit, otherwise that of
    tokenizer and positions."""
    limit = _words(folder, "sentence_bert_config.json").get("max_seq_length")
    return min(int(limit or 10**6), positions(model.config, tokenizer))
