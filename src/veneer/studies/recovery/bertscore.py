"""BERTScore (Zhang et al. 2020, arXiv 1904.09675): each token of one text is matched with the
nearest of the other.

Precision is the mean, over the candidate's tokens, of the largest cosine with a token of the
reference; recall the other way round; F1 their harmonic mean. No idf weights, no rescaling with a
baseline. The published figures use layer 17 of roberta-large.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.text import clean
from veneer.studies.recovery.similarity import Progress

TOKENS = 4096  # in one pass, padding counted


def greedy_f1(candidate: np.ndarray, reference: np.ndarray) -> float:
    """F1 of token vectors (n, d) and (m, d) of unit length; 0 where one side has no tokens, 1
    where both have none."""
    if not len(candidate) or not len(reference):
        return float(len(candidate) == len(reference))
    similarity = candidate @ reference.T
    precision, recall = float(similarity.max(1).mean()), float(similarity.max(0).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


class BertScore:
    """BERTScore F1 with an encoder from a folder (config.json, safetensors, tokenizer). layer:
    whose hidden states are compared, from 1; by default the last. The start and end tokens count
    for matching as in the reference code, where weights are equal.

    Encoders read so many tokens and no more: a longer text is cut there, as the published
    computation does, and `cut` counts such texts.
    """

    name = "bertscore"

    def __init__(self, folder: str | Path, layer: int | None = None, device: str = "cpu"):
        from transformers import AutoModel, AutoTokenizer

        path = Path(folder)
        weights = sorted(path.glob("*.safetensors")) if path.is_dir() else []
        if not weights or not (path / "config.json").is_file():
            raise InputError(
                f"{folder} is no encoder's folder; expected one with config.json, *.safetensors "
                "and a tokenizer"
            )
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._model = AutoModel.from_pretrained(
                path, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{folder} cannot be loaded as an encoder ({str(error).splitlines()[0][:200]}); "
                "check the folder"
            ) from None
        layers = self._model.config.num_hidden_layers
        if layer is not None and not 1 <= layer <= layers:
            raise InputError(
                f"layer {layer} was asked for; {path.name} has the layers 1 to {layers}"
            )
        self._layer = layers if layer is None else layer
        self._model.to(device).eval()
        self._device = device
        known = [
            n
            for n in (getattr(self._tokenizer, "model_max_length", 0), _positions(self._model))
            if n and n < 10**6
        ]
        self.longest = min(known, default=512)
        self.judge = (
            f"bertscore-{path.resolve().name}-{sha256_file(weights[0])[:8]}-layer{self._layer}"
        )
        self.cut = 0

    @property
    def note(self) -> str | None:
        return f"{self.cut} texts cut at {self.longest} tokens" if self.cut else None

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        out = []
        for row, (reference, some) in enumerate(zip(references, candidates, strict=True)):
            first, *rest = self._vectors([clean(reference), *(clean(c) for c in some)])
            out.append(np.array([greedy_f1(v, first) for v in rest], float))
            if progress:
                progress(row + 1, len(references), "BERTScore")
        return out

    @torch.inference_mode()
    def _vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Of each text its tokens' vectors (n, d) of unit length; none for an empty text."""
        ids = [
            self._tokenizer(t, truncation=False, verbose=False)["input_ids"] if t else []
            for t in texts
        ]
        self.cut += sum(len(row) > self.longest for row in ids)
        ids = [
            row if len(row) <= self.longest else [*row[: self.longest - 1], row[-1]] for row in ids
        ]
        order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: (len(ids[i]), i))
        out = [np.zeros((0, 1))] * len(ids)
        while order:
            most = max(1, TOKENS // len(ids[order[-1]]))
            batch, order = order[-most:], order[:-most]
            width = max(len(ids[i]) for i in batch)
            pad = self._tokenizer.pad_token_id or 0
            # (B, T)
            tokens = torch.tensor(
                [[*ids[i], *[pad] * (width - len(ids[i]))] for i in batch], device=self._device
            )
            mask = torch.tensor(
                [[1] * len(ids[i]) + [0] * (width - len(ids[i])) for i in batch],
                device=self._device,
            )
            states = self._model(
                input_ids=tokens, attention_mask=mask, output_hidden_states=True
            ).hidden_states[self._layer]
            # (B, T, d)
            states = torch.nn.functional.normalize(states.float(), dim=-1).cpu().numpy()
            for place, i in enumerate(batch):
                out[i] = states[place, : len(ids[i])]
        return out


def _positions(model: torch.nn.Module) -> int:
    """Positions that the encoder knows; RoBERTa's first two are taken by padding."""
    config = model.config
    given = int(getattr(config, "max_position_embeddings", 0) or 0)
    return given - 2 if given and "roberta" in str(getattr(config, "model_type", "")) else given
