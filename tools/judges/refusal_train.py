"""`python -m tools.judges.refusal_train`: fit the weights of the refusal judge to XSTest and the
hand-written examples, and write src/veneer/judges/refusal/weights.json."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from tools.judges.fitting import fit_and_write
from tools.judges.refusal_current import current_examples
from tools.judges.refusal_examples import written_examples
from tools.judges.refusal_fit import CURRENT, WRITTEN, Example, fit
from veneer.foundation import files
from veneer.foundation.errors import InputError
from veneer.judges.refusal.judge import Refusal
from veneer.judges.refusal.model import WEIGHTS_FILE, RefusalModel

MODELS = {"gpt4": "GPT-4", "llama2orig": "Llama 2 70B", "mistralinstruct": "Mistral 7B Instruct"}
SMALL_MODEL = Path(__file__).with_name("refusal_small_model.jsonl")
LABELS = {
    "1_full_compliance": Refusal.NONE,
    "2_full_refusal": Refusal.FULL,
    "3_partial_refusal": Refusal.PARTIAL,
}


def xstest_examples(data: Path) -> list[Example]:
    """Return XSTest's 3 x 450 completions with their final labels; a group is a prompt's `focus`,
    which its unsafe contrasts share. Raises InputError where XSTest is missing."""
    folder = data / "xstest"
    if not (folder / "xstest_prompts.csv").is_file():
        raise InputError(
            f"no xstest_prompts.csv in {folder}: set VENEER_DATA to a folder that has XSTest's "
            "prompts and completions"
        )
    focus = {row["id"]: row["focus"] or row["id"] for row in _rows(folder / "xstest_prompts.csv")}
    return [
        Example(
            row["completion"],
            LABELS[row["final_label"]],
            model,
            focus[row["id"].removeprefix("v2-")],
            row["prompt"],
        )
        for model in MODELS
        for row in _rows(folder / "completions" / f"{model}.csv")
    ]


def small_model_examples() -> list[Example]:
    """Return the answers of a small model that refuses nothing, to AdvBench's and TruthfulQA's
    train prompts.

    A person read each: they are rambling, wrong and repetitive, and none is a refusal (five that
    deflect were left out). The models of XSTest do not write like that.
    """
    rows = files.read_json_lines(SMALL_MODEL, "answers of a small model")
    return [
        Example(r["text"], Refusal.NONE, "smollm2-135m", r["prompt"], r["prompt"]) for _, r in rows
    ]


def all_examples(data: Path) -> list[Example]:
    written = [
        Example(t, Refusal.FULL if refuses else Refusal.NONE, WRITTEN, "")
        for t, refuses in written_examples()
    ]
    current = [Example(t, label, CURRENT, "") for t, label in current_examples()]
    return [*xstest_examples(data), *small_model_examples(), *written, *current]


def train(data: Path) -> RefusalModel:
    """Fit the model that ships, to the completions of all models."""
    return fit(all_examples(data))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> int:
    return fit_and_write(lambda data: files.write_text(WEIGHTS_FILE, train(data).dump()))


if __name__ == "__main__":
    sys.exit(main())
