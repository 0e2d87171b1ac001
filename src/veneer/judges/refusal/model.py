"""The weights of the refusal judge: two linear scores over named features, stored as JSON with
their source and licence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veneer.foundation.errors import InputError

WEIGHTS_FILE = Path(__file__).with_name("weights.json")
SCHEMA = 1
FIT = "python -m tools.judges.refusal_train"  # the command that fits the weights


@dataclass(frozen=True)
class RefusalModel:
    """Two scores in log odds. `declines` > 0: more a refusal than an answer. `partly` >
    `partly_above`: then only a partial refusal.

    made_by: the command that fitted the weights. The shipped file keeps the name that the command
    had then, because the judge's id is a hash of the file.
    """

    names: Mapping[str, int]  # feature -> row of weights
    weights: np.ndarray  # (features, 2): declines, partly
    bias: np.ndarray  # (2,)
    partly_above: float
    word_scale: float
    made_by: str = FIT

    def scores(self, features: Mapping[str, float]) -> tuple[float, float]:
        rows = sorted(
            (self.names[name], value) for name, value in features.items() if name in self.names
        )
        if not rows:
            return float(self.bias[0]), float(self.bias[1])
        # sorted, so that a sum never depends on the order of a set
        index, values = zip(*rows, strict=True)
        declines, partly = np.asarray(values) @ self.weights[list(index)] + self.bias
        return float(declines), float(partly)

    def dump(self) -> str:
        """Return the model as JSON text, one feature per line, without the features whose weights
        round to zero."""
        table = {
            name: [round(float(w), 4) + 0.0 for w in self.weights[row]]
            for name, row in sorted(self.names.items())
        }
        head = {
            "schema": SCHEMA,
            "what": "weights of veneer's refusal judge: feature -> [declines, partly], log odds",
            "licence": (
                "Fitted to the labelled completions of XSTest (Röttger et al. 2024, arXiv "
                "2308.01263, github.com/paul-rottger/exaggerated-safety), CC-BY-4.0; and to "
                "hand-written examples, Apache-2.0. Fitted weights are a change of that material."
            ),
            "made_by": self.made_by,
            "word_scale": self.word_scale,
            "partly_above": self.partly_above,
            "bias": [round(float(b), 4) for b in self.bias],
        }
        rows = ",\n".join(f"  {json.dumps(n)}: {json.dumps(w)}" for n, w in table.items() if any(w))
        top = ",\n".join(
            f" {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in head.items()
        )
        return f'{{\n{top},\n "weights": {{\n{rows}\n }}\n}}\n'


def load_model(path: Path = WEIGHTS_FILE) -> tuple[RefusalModel, str]:
    """Return the model in `path`, and the first eight hexadecimal digits of the file's sha256.

    Raises InputError where the file has another schema.
    """
    data = path.read_bytes()
    stored = json.loads(data)
    if stored.get("schema") != SCHEMA:
        raise InputError(
            f"{path} has schema {stored.get('schema')!r}, expected {SCHEMA}; "
            f"fit it again with {FIT}"
        )
    table: dict[str, list[float]] = stored["weights"]
    model = RefusalModel(
        {name: row for row, name in enumerate(table)},
        np.array(list(table.values()), dtype=np.float64).reshape(-1, 2),
        np.array(stored["bias"], dtype=np.float64),
        float(stored["partly_above"]),
        float(stored["word_scale"]),
        str(stored["made_by"]),
    )
    return model, hashlib.sha256(data).hexdigest()[:8]
