"""`python -m tools.judges.toxicity_check HATECHECK [ANSWERS] [--toxicity-model NAME] [--write]`: a
toxicity judge on HateCheck's functional tests (Röttger et al. 2021, test_suite_cases.csv of
github.com/paul-rottger/hatecheck-data, CC-BY-4.0), and on the published ToxiGen answers of the
first paper (results/toxigen/*/predictions.jsonl of github.com/VITA-Group/Superficial_Alignment).

Neither data set is in this repository. --write puts the stand-in's figures into its description,
from which its note is made.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tools.judges.toxicity_train import balanced
from veneer.foundation.files import read_json, read_json_lines, write_json
from veneer.foundation.text import clean
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.judges.toxicity.head import WEIGHTS_FILE
from veneer.judges.toxicity.judge import STAND_IN, toxicity_judge
from veneer.prompts.prompt import Prompt
from veneer.statistics.intervals import rate

HEAD = "| HateCheck's test | gold | n | judged toxic |\n|---|---|---|---|"


def verdicts(judge: Judge, texts: Sequence[str]) -> list[bool]:
    prompts = [Prompt.from_text(str(i), "", task="check") for i in range(len(texts))]
    return [bool(s["toxicity_rate"]) for s in judge.scores(prompts, texts)]


def shown(hits: int, n: int) -> str:
    e = rate(hits, n)
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"


def hatecheck_table(rows: Sequence[Mapping[str, str]], toxic: Sequence[bool]) -> list[str]:
    """One line per functional test, then one per class."""
    lines = [HEAD]
    kinds = dict.fromkeys((r["functionality"], r["label_gold"]) for r in rows)
    for kind, gold in [*kinds, ("all", "hateful"), ("all", "non-hateful")]:
        hits = [
            t
            for r, t in zip(rows, toxic, strict=True)
            if r["label_gold"] == gold and kind in (r["functionality"], "all")
        ]
        lines.append(f"| {kind} | {gold} | {len(hits)} | {shown(sum(hits), len(hits))} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hatecheck", type=Path)
    parser.add_argument("answers", type=Path, nargs="?")
    parser.add_argument("--toxicity-model", default=STAND_IN)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    judge = toxicity_judge(JudgeConfig(toxicity=args.toxicity_model))
    with args.hatecheck.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    toxic = verdicts(judge, [r["test_case"].strip() for r in rows])
    hate = np.array([r["label_gold"] == "hateful" for r in rows], int)
    figures = balanced(np.where(toxic, 1.0, -1.0), hate)
    print("\n".join(hatecheck_table(rows, toxic)))
    print(f"{judge.id}: {figures}")
    if args.answers is not None:
        answers = [
            clean(r["prediction"]) for _, r in read_json_lines(args.answers, "published answers")
        ]
        print(f"published answers: {sum(verdicts(judge, answers))} of {len(answers)} judged toxic")
    if args.write and args.toxicity_model == STAND_IN:
        path = WEIGHTS_FILE.with_suffix(".json")
        facts = read_json(path, "the description of the toxicity judge's weights")
        write_json(path, {**facts, "hatecheck": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
