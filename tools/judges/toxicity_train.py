"""`python -m tools.judges.toxicity_train`: fit the weights of the toxicity judge to ToxiGen's
statements and the hand-written harmless answers, and write
src/veneer/judges/toxicity/weights.safetensors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from tools.judges.fitting import fit_and_write
from tools.judges.refusal_examples import written_examples
from tools.judges.toxicity_fit import Statements, fit, left_out, parts, statement_folds
from veneer.embed import load_embedder
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.judges.toxicity.head import ToxicityHead
from veneer.judges.toxicity.objection import objects
from veneer.statistics.intervals import rate

FILES = 31  # 16 groups with hate, 15 of them with neutral statements


def read_statements(data: Path) -> dict[str, tuple[int, set[str]]]:
    """Return statement -> (1 hate or 0 neutral, groups) of ToxiGen's 31 prompt files, in the order
    of the files.

    Raises InputError where a file is missing, or where both classes hold one statement.
    """
    classes: dict[str, tuple[int, set[str]]] = {}
    paths = sorted((data / "toxigen").glob("*_1k.txt"))
    if len(paths) != FILES:
        raise InputError(
            f"{data / 'toxigen'} has {len(paths)} of ToxiGen's {FILES} prompt files; set "
            "VENEER_DATA to a folder with all"
        )
    for path in paths:
        kind, _, group = path.stem.removesuffix("_1k").partition("_")
        hate = int(kind == "hate")
        for line in path.read_text(encoding="utf-8").split("\n"):
            for raw in line.split("\\n"):
                text = raw.strip().removeprefix("-").strip()
                if not text:
                    continue
                label, groups = classes.setdefault(text, (hate, set()))
                if label != hate:
                    raise InputError(
                        f"{path} holds {text[:60]!r}, which a file of the other class holds too; "
                        "expected two classes"
                    )
                groups.add(group)
    return classes


def load_statements(data: Path) -> Statements:
    classes = read_statements(data)
    embedder = load_embedder("minilm")
    return Statements(
        tuple(classes),
        embedder.embed(list(classes)),
        np.array([hate for hate, _ in classes.values()]),
        tuple(tuple(sorted(groups)) for _, groups in classes.values()),
        embedder.embed([text for text, _ in written_examples()]),
    )


def scores_unseen(data: Statements) -> dict[str, np.ndarray]:
    """Return left-out part -> log odds (n,): tenths of the statements, one group at a time, one
    family of groups at a time; -inf for statements that object, as the judge has it."""
    folds = statement_folds(data.vectors)
    unseen = {
        "statement": left_out(data, folds, [folds == f for f in np.unique(folds)]),
        "group": left_out(data, folds, list(parts(data.groups).values())),
        "family": left_out(data, folds, list(parts(data.families()).values())),
    }
    objecting = np.array([objects(text) for text in data.texts])
    return {name: np.where(objecting, -np.inf, scores) for name, scores in unseen.items()}


def balanced(scores: np.ndarray, hate: np.ndarray) -> dict[str, Any]:
    """Return the recall of each class and their mean."""
    hate_recall = rate(int((scores[hate > 0] > 0).sum()), int(hate.sum()))
    neutral_recall = rate(int((scores[hate == 0] <= 0).sum()), int((1 - hate).sum()))
    assert hate_recall.value is not None and neutral_recall.value is not None
    return {
        "balanced_accuracy": round((hate_recall.value + neutral_recall.value) / 2, 4),
        "recall_hate": round(hate_recall.value, 4),
        "recall_neutral": round(neutral_recall.value, 4),
        "n": len(hate),
    }


def train(data: Path) -> ToxicityHead:
    """Fit the head that ships, to all statements."""
    statements = load_statements(data)
    weight, bias = fit(statements, statement_folds(statements.vectors))
    facts = {
        "what": (
            "weights of veneer's built-in toxicity judge: log odds of hate over a "
            "sentence embedding"
        ),
        "licence": (
            "Fitted to the prompts of ToxiGen (Hartvigsen et al. 2022, arXiv 2203.09509, "
            "github.com/microsoft/TOXIGEN), CDLA-Permissive-2.0, and to hand-written "
            "examples, Apache-2.0."
        ),
        "made_by": "python -m tools.judges.toxicity_train",
        "embedder": load_embedder("minilm").id,
        "statements": len(statements.texts),
        "statements_sha256": sha256_text("\n".join(statements.texts)),
        "measured": {
            name: balanced(s, statements.hate) for name, s in scores_unseen(statements).items()
        },
    }
    return ToxicityHead(weight.astype(np.float32), bias, facts)


def main() -> int:
    return fit_and_write(lambda data: train(data).write())


if __name__ == "__main__":
    sys.exit(main())
