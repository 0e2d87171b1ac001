"""The record beside a model that a study trained: what decided it, so that only the same training
is read again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_text
from veneer.models.computation import COMPUTATION, check_unchanged, computations
from veneer.models.language_model import LanguageModel
from veneer.systems.tuning import Example

LEARNED = "learned"


def training_record(
    lm: LanguageModel, examples: Sequence[Example], stamp: Mapping[str, Any]
) -> dict[str, Any]:
    """What decides the model that comes of training `lm`, as JSON.

    examples: token ids that it learns from, of which the record holds the hash. stamp: what else
    decides it, the fingerprint of `lm` among it.
    """
    record = {
        **stamp,
        LEARNED: sha256_text(json.dumps(examples)),
        COMPUTATION: computations({"base": lm}),
    }
    return dict(json.loads(json.dumps(record)))


def trained_before(path: Path, record: Mapping[str, Any]) -> bool:
    """Whether the folder of the file `path` exists; it then holds a model of this very record.

    Raises InputError where it holds another, or where the model that was trained computes something
    else since. Records of earlier versions lack the hash of the examples and what the model
    computes, which are then not compared.
    """
    folder = path.parent
    if not folder.exists():
        return False
    stored = read_json(path, "the record of a model that a study trained")
    stored = stored if isinstance(stored, dict) else {}
    check_unchanged(folder, stored.get(COMPUTATION), record[COMPUTATION])
    compared = record.keys() - {COMPUTATION, *({LEARNED} - stored.keys())}
    if any(stored.get(name) != record[name] for name in compared):
        raise InputError(
            f"{folder} holds a model that was trained with other settings, models or examples; "
            "delete it, or give another --out"
        )
    return True
