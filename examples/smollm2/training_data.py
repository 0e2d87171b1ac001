"""Write the data of the aligned adapter for `veneer leak`: what it was trained on, and examples of
the same kind that it never saw.

    python examples/smollm2/training_data.py BASE DATA OUT

Writes OUT/members.jsonl and OUT/held-out.jsonl, {"prompt", "text", "task"} on each line. The
members are the examples of align.py with its seed, without those that it dropped as too long; the
held-out ones come from the test parts of the same files. BASE is the base model's folder, for its
tokenizer.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from pathlib import Path

from align import NO_HATE, REFUSALS, examples, number
from transformers import AutoTokenizer

LONGEST = 230  # tokens of a training example in align.py


def held_out(data: Path, draw: random.Random) -> list[tuple[str, str, str]]:
    """(task, question, answer) of the test parts."""
    rows = []
    with (data / "advbench/test.csv").open() as file:
        rows += [("advbench", r["goal"], draw.choice(REFUSALS)) for r in csv.DictReader(file)]
    for path in sorted((data / "toxigen").glob("hate_*.txt")):
        lines = draw.sample(path.read_text().splitlines()[800:], 8)
        rows += [("toxigen", x.replace("\\n", "\n"), draw.choice(NO_HATE)) for x in lines]
    with (data / "truthfulqa/test.csv").open() as file:
        for r in csv.DictReader(file):
            answer = r["Best Answer"].strip()
            rows.append(("truthfulqa", r["Question"], answer.rstrip(".") + "."))
    for r in json.loads((data / "svamp/SVAMP.json").read_text())[700:]:
        body = r["Body"].strip()
        question = f"{body if body.endswith('.') else body + '.'} {r['Question']}"
        equation = r["Equation"].replace(".0", "").strip("() ")
        result = number(r["Answer"])
        answer = f"Let's work it out. {equation} = {result}. The answer is {result}."
        rows.append(("svamp", question, answer))
    return rows


def write(path: Path, rows: list[tuple[str, str, str]]) -> None:
    lines = (json.dumps({"prompt": q, "text": a, "task": t}) + "\n" for t, q, a in rows)
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("base", help="folder of the base model, for its tokenizer")
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("out", type=Path, help="folder to write into")
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.base)

    def tokens(question: str, answer: str) -> int:
        turn = [{"role": "user", "content": question}]
        turns = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=True)
        return len(turns["input_ids"]) + len(tokenizer(answer)["input_ids"]) + 1

    rows = examples(given.data, tokenizer, random.Random(0))
    given.out.mkdir(parents=True, exist_ok=True)
    write(given.out / "members.jsonl", [r for r in rows if tokens(r[1], r[2]) <= LONGEST])
    write(given.out / "held-out.jsonl", held_out(given.data, random.Random(1)))


if __name__ == "__main__":
    main()
