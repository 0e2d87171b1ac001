"""The weights of the built-in toxicity judge: a linear score over a sentence embedding, stored as
safetensors with a JSON description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file, write_bytes, write_json

WEIGHTS_FILE = Path(__file__).with_name("weights.safetensors")
SCHEMA = 1


@dataclass(frozen=True)
class ToxicityHead:
    """log odds = w x + b for an embedding x (d,), under equal classes. facts: embedder, training
    data, measured accuracy."""

    weight: np.ndarray  # (d,) float32
    bias: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    def log_odds(self, vectors: np.ndarray) -> np.ndarray:
        """Return the log odds (n,) of embeddings (n, d); above 0 is more like hate than like
        neutral statements."""
        return vectors.astype(np.float64) @ self.weight.astype(np.float64) + self.bias

    def write(self, path: Path = WEIGHTS_FILE) -> None:
        tensors = {
            "weight": self.weight.astype(np.float32),
            "bias": np.array([self.bias], np.float32),
        }
        write_bytes(path, save(tensors))
        write_json(
            path.with_suffix(".json"),
            {"schema": SCHEMA, **self.facts, "weights_sha256": sha256_file(path)},
        )


def load_head(path: Path = WEIGHTS_FILE) -> ToxicityHead:
    """Load the weights. Raises InputError where they are not the ones that their JSON describes."""
    facts = read_json(path.with_suffix(".json"), "the description of the toxicity judge's weights")
    mend = "make them again with python -m tools.judges.toxicity_train"
    if facts.get("schema") != SCHEMA:
        raise InputError(
            f"{path.with_suffix('.json')} has schema {facts.get('schema')!r}, expected "
            f"{SCHEMA}; {mend}"
        )
    if not path.is_file() or sha256_file(path) != facts.get("weights_sha256"):
        raise InputError(f"{path} is missing or not the one that its JSON describes; {mend}")
    try:
        tensors = load(path.read_bytes())
        return ToxicityHead(tensors["weight"], float(tensors["bias"][0]), facts)
    except (SafetensorError, KeyError, IndexError) as error:
        raise InputError(f"{path} does not hold weight and bias ({error}); {mend}") from None
