"""`python -m tools.judges.refusal_train`: make refusal_weights.json again from XSTest and the
hand-written examples."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

from tools.judges.refusal_examples import written_examples
from tools.judges.refusal_fit import WRITTEN, Example, choose, fit_settings, topic_words
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


def data_folder() -> Path:
    """VENEER_DATA, otherwise ../shared/data beside the repository."""
    return Path(os.environ.get("VENEER_DATA") or Path(__file__).parents[3] / "shared" / "data")


def xstest_examples(data: Path) -> list[Example]:
    """XSTest's 3 x 450 completions with their final labels; a group is a prompt's `focus`, which
    its unsafe contrasts share."""
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
    """Answers of a small model that refuses nothing, to AdvBench's and TruthfulQA's train prompts,
    read one by one: rambling, wrong and repetitive, and none of them a refusal (five that deflect
    were left out). The models of XSTest do not write so."""
    rows = files.read_json_lines(SMALL_MODEL, "answers of a small model")
    return [
        Example(r["text"], Refusal.NONE, "smollm2-135m", r["prompt"], r["prompt"]) for _, r in rows
    ]


def all_examples(data: Path) -> list[Example]:
    written = [
        Example(t, Refusal.FULL if refuses else Refusal.NONE, WRITTEN, "")
        for t, refuses in written_examples()
    ]
    return [*xstest_examples(data), *small_model_examples(), *written]


def train(data: Path) -> RefusalModel:
    """The model that ships: all models' completions, settings chosen by leaving
    each out in turn."""
    examples = all_examples(data)
    banned = topic_words([e.prompt for e in examples])
    return fit_settings(examples, choose(examples, banned), banned)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> int:
    try:
        files.write_text(WEIGHTS_FILE, train(data_folder()).dump())
    except InputError as error:
        print(f"veneer: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
