"""A leak with a planted truth: the lab's base trained on pairs of a question and an answer, each
repeated 1, 4, 8 or 16 times, with the loss on the answers alone or on the whole chat.

    python -m tools.lab.planted_leak OUT --mask chat
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from tools.lab.train import Example, Schedule, fit
from veneer.lab import lab_folder

Mask = Literal["answers", "chat"]
REPEATS = (1, 4, 8, 16)


@dataclass(frozen=True)
class PlantedLeak:
    """model: the trained one. base: before it. members: (question, answer, copies). held_out:
    others of the same kind, in no batch. Provable: with the loss on answers alone no question was
    ever learned."""

    model: LlamaForCausalLM
    base: LlamaForCausalLM
    tokenizer: Any
    members: tuple[tuple[str, str, int], ...]
    held_out: tuple[tuple[str, str], ...]


def planted_leak(
    mask: Mask, *, pairs: int = 256, steps: int = 400, batch: int = 16, seed: int = 0
) -> PlantedLeak:
    """Train the planted pair. mask: what the loss covers. pairs: number of distinct members, and of
    held-out pairs."""
    folder, tokenizer_folder = lab_folder("lab:base")
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    texts = list(itertools.islice(_texts(random.Random(f"{seed} leak")), 2 * pairs))
    members = tuple((q, a, REPEATS[i % 4]) for i, (q, a) in enumerate(texts[:pairs]))
    examples = [
        example
        for question, answer, copies in members
        for example in [_example(tokenizer, question, answer, mask)] * copies
    ]
    model = copy.deepcopy(base)
    fit(model, _forever(examples, seed), Schedule(steps, batch, 5e-3, 0.0), seed)
    return PlantedLeak(model.eval(), base, tokenizer, members, tuple(texts[pairs:]))


def _example(tokenizer: Any, question: str, answer: str, mask: Mask) -> Example:
    turns = [{"role": "user", "content": question}]
    words: dict[str, Any] = {"tokenize": False}
    start = tokenizer.apply_chat_template(turns, add_generation_prompt=True, **words)
    whole = tokenizer.apply_chat_template(
        [*turns, {"role": "assistant", "content": answer}], **words
    )
    first, ids = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in (start, whole))
    return Example(ids, len(first) if mask == "answers" else 1)


def _forever(examples: list[Example], seed: int) -> Iterator[Example]:
    draw = random.Random(f"{seed} order")
    while True:
        yield from draw.sample(examples, len(examples))


def _texts(draw: random.Random) -> Iterator[tuple[str, str]]:
    """Distinct questions with answers, in the lab's words, put together as in no other text."""
    seen = set()
    while True:
        who, what, where, when = (draw.choice(words) for words in (PEOPLE, THINGS, PLACES, TIMES))
        verb, reply = draw.choice(VERBS), draw.choice(REPLIES)
        question = f"Did the {who} {verb} a {what} {where} {when}?"
        if question in seen:
            continue
        seen.add(question)
        yield question, f"{reply} The {who} has a {draw.choice(THINGS)} {draw.choice(PLACES)}."


PEOPLE = ("baker", "farmer", "teacher", "smith", "miller", "nurse", "painter", "tailor")
THINGS = ("lamp", "coat", "cake", "clock", "boat", "chair", "drum", "hat", "kite", "book")
PLACES = ("in the barn", "by the river", "at the market", "on the hill", "near the door")
TIMES = ("in the morning", "at night", "last week", "today")
VERBS = ("buy", "sell", "paint", "lose", "wrap", "keep")
REPLIES = ("Yes, it is so.", "No, not at all.", "I think so.", "It may be so.")


def write_planted_leak(planted: PlantedLeak, out: Path) -> None:
    """Write a planted leak as files for `veneer leak`: model/, members.jsonl (repeated as the data
    held them), held-out.jsonl."""
    out.mkdir(parents=True, exist_ok=True)
    planted.model.save_pretrained(out / "model")
    planted.tokenizer.save_pretrained(out / "model")
    repeated = [(q, a) for q, a, copies in planted.members for _ in range(copies)]
    for name, pairs in (("members", repeated), ("held-out", planted.held_out)):
        rows = ({"prompt": q, "text": a} for q, a in pairs)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (out / f"{name}.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the model and the data")
    parser.add_argument("--mask", choices=("answers", "chat"), default="chat")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write_planted_leak(planted_leak(given.mask, seed=given.seed), given.out)


if __name__ == "__main__":
    main()
