"""BERTScore (Zhang et al. 2020, arXiv 1904.09675) with an encoder from a folder.

Each token of one text is matched with the nearest of the other. Precision is the mean, over the
candidate's tokens, of the largest cosine with a token of the reference; recall the other way round;
F1 their harmonic mean. No idf weights, no rescaling with a baseline. As in the package bert-score
(its `score` with idf=False), the encoder's start and end tokens are matched but weigh nothing in
the means. The published figures use layer 17 of roberta-large; they were made with transformers 4,
whose RoBERTa tokenizer put a space before a text where bert-score wants it and transformers 5 does
not, so the first word can differ from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from veneer.embed.encoder import load_encoder
from veneer.embed.inputs import padded
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.progress import Progress
from veneer.foundation.text import clean

TOKENS = 4096  # in one pass, padding counted
# bert-score's choice for encoders of these names (its model2layers), found by agreement with people
LAYERS = {
    "bert-base-uncased": 9,
    "bert-large-uncased": 18,
    "roberta-base": 10,
    "roberta-large": 17,
    "roberta-large-mnli": 19,
    "distilroberta-base": 5,
    "microsoft/deberta-xlarge-mnli": 40,
}


class TokenVectors(NamedTuple):
    """vectors: (n, d) of unit length. weights: (n,), 0 at the tokens that start and end a text, 1
    elsewhere."""

    vectors: np.ndarray
    weights: np.ndarray


def greedy_f1(candidate: TokenVectors, reference: TokenVectors) -> float:
    """F1 of two texts; 0 where one side has no tokens that weigh, 1 where both have none."""
    sides = candidate, reference
    if not all(s.weights.any() for s in sides):
        return float(not any(s.weights.any() for s in sides))
    similarity = candidate.vectors @ reference.vectors.T
    precision, recall = (
        float(np.average(best, weights=s.weights))
        for best, s in zip((similarity.max(1), similarity.max(0)), sides, strict=True)
    )
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


class BertScore:
    """BERTScore F1. layer: whose hidden states are compared, from 1; None takes bert-score's choice
    for the encoders of LAYERS, by their folder's name, and the last layer of any other.

    Encoders read so many tokens and no more: a longer text is cut there, as the published
    computation does, and `cut` counts such texts.
    """

    name = "bertscore"

    def __init__(self, folder: str | Path, layer: int | None = None, device: str = "cpu"):
        """Raises InputError where the folder is no encoder's, or has no such layer."""
        path = Path(folder)
        weights = encoder_weights(path)
        self._model, self._tokenizer = load_encoder(path, "an encoder")
        layers = self._model.config.num_hidden_layers
        if layer is not None and not 1 <= layer <= layers:
            raise InputError(
                f"layer {layer} was asked for; {path.name} has the layers 1 to {layers}"
            )
        name = path.resolve().name
        self._layer = min(LAYERS.get(name, layers), layers) if layer is None else layer
        self._model.to(device).eval()
        self._device = device
        self._weightless = {self._tokenizer.cls_token_id, self._tokenizer.sep_token_id}
        known = [
            n
            for n in (getattr(self._tokenizer, "model_max_length", 0), _positions(self._model))
            if n and n < 10**6
        ]
        self.longest = min(known, default=512)
        self.judge = f"bertscore-v2-{name}-{sha256_file(weights[0])[:8]}-layer{self._layer}"
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
        for row, (reference, texts) in enumerate(zip(references, candidates, strict=True)):
            first, *rest = self._vectors([clean(reference), *(clean(c) for c in texts)])
            out.append(np.array([greedy_f1(v, first) for v in rest], float))
            if progress:
                progress(row + 1, len(references), "BERTScore")
        return out

    @torch.inference_mode()
    def _vectors(self, texts: Sequence[str]) -> list[TokenVectors]:
        """The tokens of each text; none for an empty text."""
        ids = [
            self._tokenizer(t, truncation=False, verbose=False)["input_ids"] if t else []
            for t in texts
        ]
        self.cut += sum(len(row) > self.longest for row in ids)
        ids = [
            row if len(row) <= self.longest else [*row[: self.longest - 1], row[-1]] for row in ids
        ]
        order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: (len(ids[i]), i))
        out = [TokenVectors(np.zeros((0, 1)), np.zeros(0))] * len(ids)
        while order:
            most = max(1, TOKENS // len(ids[order[-1]]))
            batch, order = order[-most:], order[:-most]
            pad = self._tokenizer.pad_token_id or 0
            tokens, mask = padded([ids[i] for i in batch], pad, self._device)  # (B, T)
            states = self._model(
                input_ids=tokens, attention_mask=mask, output_hidden_states=True
            ).hidden_states[self._layer]
            # (B, T, d)
            states = torch.nn.functional.normalize(states.float(), dim=-1).cpu().numpy()
            for place, i in enumerate(batch):
                weights = np.array([float(t not in self._weightless) for t in ids[i]])
                out[i] = TokenVectors(states[place, : len(ids[i])], weights)
        return out


def encoder_weights(folder: Path) -> list[Path]:
    """The files of an encoder's weights. Raises InputError where the folder is no encoder's."""
    weights = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not weights or not (folder / "config.json").is_file():
        raise InputError(
            f"{folder} is no encoder's folder; expected one with config.json, *.safetensors and a "
            "tokenizer"
        )
    return weights


def _positions(model: Any) -> int:
    """Positions that the encoder knows; RoBERTa's first two are taken by padding."""
    config = model.config
    given = int(getattr(config, "max_position_embeddings", 0) or 0)
    return given - 2 if given and "roberta" in str(getattr(config, "model_type", "")) else given
