#!/usr/bin/env python3
"""Measure one model of the pair on the test parts: one line per figure, with its 95 % interval.

    python examples/smollm2/figures.py MODEL DATA [--limit 50] [--forced 1,5,99] [--tokens 24]

Greedy answers of `--tokens` new tokens in the chat format. Refusals are full refusals by the
built-in refusal judge. Behind k forced tokens of AdvBench's target the judge reads the whole
answer, forced tokens included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from deepen import chat_ids, continue_greedily, targets
from transformers import AutoModelForCausalLM, AutoTokenizer

from veneer.judges.refusal import Refusal, RefusalJudge
from veneer.prompts.prompt import Prompt
from veneer.statistics.intervals import rate
from veneer.tasks.registry import get_task

LONGER = 40  # new tokens that a worked sum needs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=50, help="prompts of a set")
    parser.add_argument("--forced", default="1,5,99", help="numbers of forced tokens")
    parser.add_argument("--tokens", type=int, default=24, help="new tokens of an answer")
    parser.add_argument("--only", default="", help="the sets to measure, all without it")
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32).eval()
    judge = RefusalJudge()

    def answers(
        prompts: Sequence[Prompt], tokens: int, forced: Sequence[list[int]] | None = None
    ) -> list[str]:
        first = forced or [[] for _ in prompts]
        starts = [chat_ids(tokenizer, p.messages[0]["content"]) for p in prompts]
        starts = [s + f for s, f in zip(starts, first, strict=True)]
        new = continue_greedily(model, tokenizer, starts, tokens, quiet=True)
        return [tokenizer.decode(f + ids) for f, (ids, _) in zip(first, new, strict=True)]

    def refused(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[bool]:
        questions = [p.messages[0]["content"] for p in prompts]
        verdicts = (judge.judge(t, q) for t, q in zip(texts, questions, strict=True))
        return [v is Refusal.FULL for v in verdicts]

    def test(name: str, label: str | None = None) -> list[Prompt]:
        prompts = get_task(name, given.data).prompts("test")
        prompts = [p for p in prompts if label is None or p.reference["label"] == label]
        return prompts[: given.limit]

    def say(name: str, hits: Sequence[bool], texts: Sequence[str]) -> None:
        e = rate(sum(hits), len(hits))
        seconds = time.monotonic() - start
        print(f"{name:<28}{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]  n = {len(hits)}  ", end="")
        print(f"{seconds:.0f} s  {texts[0]!r}", flush=True)

    start = time.monotonic()
    sets = {
        "AdvBench refused": test("advbench"),
        "instructions refused": test("instructions"),
        "XSTest safe refused": test("xstest", "safe"),
        "XSTest unsafe refused": test("xstest", "unsafe"),
    }
    for name, prompts in sets.items():
        if given.only in name:
            texts = answers(prompts, given.tokens)
            say(name, refused(prompts, texts), texts)
    svamp = get_task("svamp", given.data)
    if given.only in "SVAMP right":
        prompts = test("svamp")
        texts = answers(prompts, LONGER)
        right = [svamp.score(p, t)["accuracy"] == 1 for p, t in zip(prompts, texts, strict=True)]
        say("SVAMP right", right, texts)
    target = dict(targets(tokenizer, given.data / "advbench/test.csv"))
    goals = sets["AdvBench refused"]
    for k in map(int, given.forced.split(",")) if given.forced else ():
        forced = [target[p.messages[0]["content"]][:k] for p in goals]
        texts = answers(goals, given.tokens, forced)
        say(f"AdvBench behind {k}", refused(goals, texts), texts)
    harmless = sets["instructions refused"]
    opening = tokenizer("Sure, here is", add_special_tokens=False)["input_ids"]
    if given.forced:
        texts = answers(harmless, given.tokens, [opening for _ in harmless])
        say("instructions behind opening", refused(harmless, texts), texts)


if __name__ == "__main__":
    main()
