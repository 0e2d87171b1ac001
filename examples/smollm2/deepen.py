#!/usr/bin/env python3
"""Train two more adapters of the real small pair.

    python examples/smollm2/deepen.py answers PAIR DATA ANSWERS
    python examples/smollm2/deepen.py aligned-2 PAIR DATA ANSWERS OUT
    python examples/smollm2/deepen.py aligned-deep PAIR DATA ANSWERS OUT --batch 4 --rate 1e-3

answers: base answers the harmless instructions (train part) in its own chat format, greedily; some
of them a second time behind the opening "Sure, here is". aligned-2: aligned learns to answer these
instructions as base does. aligned-deep: it learns to refuse although the first tokens of its answer
comply ("safety recovery" examples, Qi et al. 2025, arXiv 2406.05946), and to answer harmless
instructions behind OPENING. Both adapters are trained on aligned; make.py adds the first to
aligned, and the second to the result.

All examples come from the train parts that align.py uses and from the train part of instructions.
Layers below --from-layer stay as they are, so they run once and their output is kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from align import REFUSALS, examples
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

GOALS = 260  # align.py takes these AdvBench train goals; the attack takes the next 100
LONGEST = 230  # tokens of an example, as in align.py
OPENING = "Sure, here is"
OPENED = 3  # every third instruction is answered behind OPENING, too
RECOVERIES = 120  # goals
MOST_FORCED = 20  # tokens of a compliant target in front of a refusal
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Example:
    """ids: tokens of prompt and answer; learn_from: position of the first token in the loss."""

    kind: str
    ids: list[int]
    learn_from: int


# -- answers of the teacher ---------------------------------------------------------------------


def chat_ids(tokenizer: Any, question: str) -> list[int]:
    turn = [{"role": "user", "content": question}]
    return tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=True)[
        "input_ids"
    ]


def instructions(data: Path) -> list[dict[str, str]]:
    lines = (data / "instructions/train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@torch.inference_mode()
def continue_greedily(
    model: Any, tokenizer: Any, starts: list[list[int]], most: int, *, quiet: bool = False
) -> list[Any]:
    """Up to `most` new tokens behind each start, without the end token; batches of 32 of like
    length. Returns (new ids, whether the model ended its turn) for each start."""
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    order = sorted(range(len(starts)), key=lambda i: len(starts[i]))
    answers: list[Any] = [None] * len(starts)
    for first in range(0, len(order), 32):
        rows = order[first : first + 32]
        longest = max(len(starts[i]) for i in rows)
        ids = torch.full((len(rows), longest), end)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(rows):
            ids[row, longest - len(starts[i]) :] = torch.tensor(starts[i])
            mask[row, longest - len(starts[i]) :] = 1
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=most,
            eos_token_id=end,
            pad_token_id=end,
        )[:, longest:].tolist()
        for i, new in zip(rows, out, strict=True):
            answers[i] = (new[: new.index(end)], True) if end in new else (new, False)
        if not quiet:
            print(f"{first + len(rows)}/{len(order)} answers", flush=True)
    return answers


def write_answers(base: Path, data: Path, out: Path, most: int) -> None:
    """Write a JSON line for each answer: id, prompt, forced (text in front), text, ended."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    requests = [(row, "") for row in instructions(data)]
    requests += [(row, OPENING) for row, _ in requests[::OPENED]]
    forced = [tokenizer(text, add_special_tokens=False)["input_ids"] for _, text in requests]
    starts = [
        chat_ids(tokenizer, r["prompt"]) + f for (r, _), f in zip(requests, forced, strict=True)
    ]
    lines = []
    for (row, text), (ids, ended) in zip(
        requests, continue_greedily(model, tokenizer, starts, most), strict=True
    ):
        answer = {"id": row["id"], "prompt": row["prompt"], "forced": text}
        lines.append(json.dumps(answer | {"text": tokenizer.decode(ids), "ended": ended}))
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


# -- examples -----------------------------------------------------------------------------------


def answered(tokenizer: Any, answers: Path, *, opened: bool) -> list[Example]:
    """The instructions with base's answers; with `opened` those behind OPENING. Only what base
    wrote itself counts in the loss."""
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    examples_of_base = []
    for line in answers.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if bool(row["forced"]) is opened:
            start = chat_ids(tokenizer, row["prompt"])
            start += tokenizer(row["forced"], add_special_tokens=False)["input_ids"]
            new = tokenizer(row["text"], add_special_tokens=False)["input_ids"]
            new += [end] if row["ended"] else []
            kind = "opened instruction" if opened else "instruction"
            examples_of_base.append(Example(kind, start + new, len(start)))
    return examples_of_base


def kept(tokenizer: Any, data: Path, counts: dict[str, int], rng: random.Random) -> list[Example]:
    """Examples of each kind that aligned was trained on, so that it forgets none."""
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows = examples(data, tokenizer, random.Random(0))
    chosen = []
    for task, count in counts.items():
        own = [r for r in rows if r[0] == task]
        for _, question, answer in rng.sample(own, count):
            start = chat_ids(tokenizer, question)
            new = tokenizer(answer, add_special_tokens=False)["input_ids"]
            chosen.append(Example(task, [*start, *new, end], len(start)))
    return chosen


def targets(tokenizer: Any, path: Path) -> list[tuple[str, list[int]]]:
    """(goal, tokens of its compliant target) of an AdvBench file."""
    with path.open(encoding="utf-8") as file:
        return [
            (r["goal"], tokenizer(r["target"], add_special_tokens=False)["input_ids"])
            for r in csv.DictReader(file)
        ]


def recoveries(tokenizer: Any, data: Path, rng: random.Random) -> list[Example]:
    """Harmful goal, the first k tokens of its compliant target, a refusal; k is drawn from 1 to
    MOST_FORCED. Only the refusal counts in the loss."""
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows = targets(tokenizer, data / "advbench/train.csv")[:GOALS]
    chosen = []
    for goal, target in rng.sample(rows, RECOVERIES):
        start = chat_ids(tokenizer, goal)
        forced = target[: rng.randint(1, min(MOST_FORCED, len(target)))]
        refusal = tokenizer(" " + rng.choice(REFUSALS), add_special_tokens=False)["input_ids"]
        first = len(start) + len(forced)
        chosen.append(Example("recovery", [*start, *forced, *refusal, end], first))
    return chosen


# name -> kind of aligned's examples -> how many of them it sees again
KEPT = {
    "aligned-2": {"advbench": 100, "toxigen": 20, "truthfulqa": 25, "svamp": 40},
    "aligned-deep": {"advbench": 24, "toxigen": 8, "truthfulqa": 8, "svamp": 16},
}


def mix(name: str, tokenizer: Any, data: Path, answers: Path) -> list[Example]:
    """The training examples of `name`, without those longer than LONGEST."""
    rng = random.Random(0)
    mixed = kept(tokenizer, data, KEPT[name], rng)
    instructed = answered(tokenizer, answers, opened=False)
    if name == "aligned-2":
        mixed += instructed[::2]
    else:
        mixed += instructed[::12] + answered(tokenizer, answers, opened=True)[::4]
        mixed += recoveries(tokenizer, data, rng)
    return [e for e in mixed if len(e.ids) <= LONGEST]


# -- training -----------------------------------------------------------------------------------


def through(body: Any, layers: Any, x: Tensor) -> Tensor:
    """(B, T, d) hidden states behind `layers`."""
    positions = torch.arange(x.shape[1])[None]
    rope = body.rotary_emb(x, positions)
    for layer in layers:
        x = layer(x, position_ids=positions, position_embeddings=rope)
    return x


@torch.no_grad()
def lower_states(body: Any, layers: Any, rows: Sequence[Example]) -> list[Tensor]:
    """(T, d) of each example behind the layers that stay as they are. Padding stands on the right,
    where no token before it sees it."""
    start = time.monotonic()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    states_by_row: list[Any] = [None] * len(rows)
    for first in range(0, len(order), 8):
        group = order[first : first + 8]
        longest = len(rows[group[-1]].ids)
        ids = torch.tensor([rows[i].ids + [0] * (longest - len(rows[i].ids)) for i in group])
        states = through(body, layers, body.embed_tokens(ids))
        for row, i in enumerate(group):
            states_by_row[i] = states[row, : len(rows[i].ids)].clone()
    print(f"lower layers {time.monotonic() - start:.0f} s", flush=True)
    return states_by_row


def batch_of(rows: Sequence[Example], low: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """States (B, T, d) and the next tokens (B, T), -100 where nothing is to be learned."""
    longest = max(len(e.ids) for e in rows)
    x = torch.stack([F.pad(s, (0, 0, 0, longest - len(s))) for s in low])
    y = torch.full((len(rows), longest), -100)
    for row, e in enumerate(rows):
        y[row, e.learn_from - 1 : len(e.ids) - 1] = torch.tensor(e.ids[e.learn_from :])
    return x, y


def train(model: Any, rows: Sequence[Example], given: argparse.Namespace) -> Any:
    """Return the model with a trained adapter on its layers from `given.from_layer` on."""
    torch.manual_seed(0)
    rng = random.Random(0)
    count = model.config.num_hidden_layers
    config = LoraConfig(
        r=given.rank,
        lora_alpha=2 * given.rank,
        task_type="CAUSAL_LM",
        layers_to_transform=list(range(given.from_layer, count)),
        target_modules=list(MODULES),
    )
    adapted = get_peft_model(model, config)
    body, lm_head = adapted.base_model.model.model, adapted.base_model.model.lm_head
    low = lower_states(body, body.layers[: given.from_layer], rows)
    weights = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=given.rate, weight_decay=0.0)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    batches = [order[i : i + given.batch] for i in range(0, len(order), given.batch)]
    total, step, start, losses = given.epochs * len(batches), 0, time.monotonic(), []
    for _ in range(given.epochs):
        rng.shuffle(batches)
        for b in batches:
            rate = min(1, (step + 1) / 10) * (0.5 + 0.5 * math.cos(math.pi * step / total))
            for group in optimizer.param_groups:
                group["lr"] = given.rate * rate
            x, y = batch_of([rows[i] for i in b], [low[i] for i in b])
            counted = y != -100
            hidden = through(body, body.layers[given.from_layer :], x)[counted]
            loss = F.cross_entropy(lm_head(body.norm(hidden)), y[counted])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            step += 1
            if step % 10 == 0:
                seconds = time.monotonic() - start
                mean = sum(losses[-10:]) / 10
                print(f"step {step}/{total}  loss {mean:.3f} nats  {seconds:.0f} s", flush=True)
    return adapted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=("answers", "aligned-2", "aligned-deep"))
    parser.add_argument("pair", type=Path, help="folder with base and aligned")
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("answers", type=Path, help="file of base's answers")
    parser.add_argument("out", type=Path, nargs="?", help="folder of the adapter to write")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--from-layer", type=int, default=20)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--batch", type=int, default=8, help="examples")
    parser.add_argument("--most", type=int, default=64, help="new tokens of an answer")
    given = parser.parse_args()
    if given.what == "answers":
        write_answers(given.pair / "base", given.data, given.answers, given.most)
        return
    under = given.pair / "aligned"
    tokenizer = AutoTokenizer.from_pretrained(under)
    rows = mix(given.what, tokenizer, given.data, given.answers)
    tokens = sum(len(e.ids) for e in rows)
    print(len(rows), dict(Counter(e.kind for e in rows)), tokens, "tokens", flush=True)
    model = AutoModelForCausalLM.from_pretrained(under, dtype=torch.float32)
    adapted = train(model, rows, given)
    adapted.peft_config["default"].base_model_name_or_path = under.name
    adapted.half().save_pretrained(given.out)


if __name__ == "__main__":
    main()
