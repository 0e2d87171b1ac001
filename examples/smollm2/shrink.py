#!/usr/bin/env python3
"""Make a smaller model of the same tokenizer: leave out layers of BASE, then distil BASE
into what remains.

    python shrink.py BASE DATA OUT [--layers 12] [--tokens 90000] [--epochs 2]

Layers are left out one at a time, each time the one whose loss changes the final hidden states
least (on 300 tokens). What remains learns BASE's final hidden states and, at every fourth position,
its distribution over the next token. Embeddings and head stay BASE's, so the unembedding is shared.
Text: the train parts under DATA, as plain text and in the chat template. About half an hour on two
cores. `align.py OUT DATA ADAPTER --from-layer 4` then aligns the small model with the recipe of the
large one.
"""

import argparse
import copy
import csv
import json
import math
import random
import time
from pathlib import Path

import torch
from align import examples
from transformers import AutoModelForCausalLM, AutoTokenizer

ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes "
    "the request.\n\n"
    "### Instruction:\n{}\n\n### Response:"
)


def texts(data: Path, tok, rng: random.Random) -> list[str]:
    """Questions with answers of the train parts, each as plain text and in the chat template."""
    out = []
    for task, question, answer in examples(data, tok, rng):
        plain = {
            "advbench": ALPACA.format(question),
            "truthfulqa": f"{question}\n\nAnswer:",
            "toxigen": question,
        }.get(task, f"Answer the following question.\n\nQuestion: {question}\nAnswer:")
        turns = [{"role": "user", "content": question}]
        out += [
            f"{plain} {answer}",
            tok.apply_chat_template(
                [*turns, {"role": "assistant", "content": answer}], tokenize=False
            ),
        ]
    goals = (data / "advbench/train.csv").read_text(encoding="utf-8")
    for row in list(csv.DictReader(goals.splitlines()))[:260]:
        out.append(ALPACA.format(row["goal"]) + " " + row["target"])
    for line in (data / "gsm8k/train.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        out.append(f"Question: {row['question']}\nAnswer: {row['answer'].split('####')[0]}")
    rng.shuffle(out)
    return out


def body(model, x, layers, norm=True):
    """Hidden states (B, T, d) of embedded tokens x behind the given layers, and
    behind the final norm."""
    pos = torch.arange(x.shape[1])[None]
    rope = model.model.rotary_emb(x, pos)
    for layer in layers:
        x = layer(x, position_ids=pos, position_embeddings=rope)
    return model.model.norm(x) if norm else x


def batches_of(rows, size):
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    return [order[i : i + size] for i in range(0, len(order), size)]


def padded(rows):
    n = max(map(len, rows))
    return torch.tensor([r + [0] * (n - len(r)) for r in rows]), torch.tensor(
        [[1] * len(r) + [0] * (n - len(r)) for r in rows]
    ).bool()


@torch.inference_mode()
def choose(model, rows, keep: int) -> list[int]:
    """Numbers of the layers that remain."""
    ids, mask = padded(rows)
    x = model.model.embed_tokens(ids)
    left = list(range(len(model.model.layers)))
    whole = body(model, x, model.model.layers)[mask]
    while len(left) > keep:
        loss, below = {}, x
        for at in range(1, len(left) - 1):
            below = body(model, below, [model.model.layers[left[at - 1]]], norm=False)
            states = body(model, below, [model.model.layers[i] for i in left[at + 1 :]])[mask]
            loss[at] = float((states - whole).pow(2).sum())
        del left[min(loss, key=loss.get)]
    return left


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("base"), p.add_argument("data", type=Path), p.add_argument("out", type=Path)
    (
        p.add_argument("--layers", type=int, default=12),
        p.add_argument("--tokens", type=int, default=90_000),
    )
    p.add_argument(
        "--keep",
        type=int,
        nargs="+",
        help="numbers of the layers that remain, in place of choosing them",
    )
    (
        p.add_argument("--epochs", type=int, default=2),
        p.add_argument("--lr", type=float, default=6e-4),
    )
    a = p.parse_args()
    rng = random.Random(0)
    torch.manual_seed(0)
    tok = AutoTokenizer.from_pretrained(a.base)
    teacher = AutoModelForCausalLM.from_pretrained(a.base, dtype=torch.float32).eval()
    rows, held, seen = [], [], 0
    for text in texts(a.data, tok, rng):
        ids = tok(text, add_special_tokens=False)["input_ids"][:192]
        (rows if len(held) >= 24 else held).append(ids)
        seen += len(ids)
        if seen >= a.tokens:
            break
    start = time.time()
    left = a.keep or choose(teacher, [r[:100] for r in held[:3]], a.layers)
    print(f"layers {left} chosen in {time.time() - start:.0f} s", flush=True)
    student = copy.deepcopy(teacher)
    student.model.layers = torch.nn.ModuleList(student.model.layers[i] for i in left)
    for i, layer in enumerate(student.model.layers):
        layer.self_attn.layer_idx = i
    student.config.num_hidden_layers = len(left)
    if getattr(student.config, "layer_types", None):
        student.config.layer_types = student.config.layer_types[: len(left)]
    student.requires_grad_(False)
    student.model.layers.requires_grad_(True)
    student.model.norm.requires_grad_(True)
    weight = teacher.lm_head.weight.detach()

    def loss_on(some, target):
        ids, mask = padded(some)
        h = body(student, teacher.model.embed_tokens(ids).detach(), student.model.layers)[mask]
        pick = torch.arange(rng.randrange(4), len(h), 4)
        with torch.no_grad():
            p_teacher = (target[pick] @ weight.T).log_softmax(-1)
        kl = torch.nn.functional.kl_div(
            (h[pick] @ weight.T).log_softmax(-1), p_teacher, log_target=True, reduction="batchmean"
        )
        return kl, (h - target).pow(2).sum() / target.pow(2).sum()

    with torch.inference_mode():
        final = {}
        for n, b in enumerate(chunks := batches_of(rows, 12)):
            ids, mask = padded([rows[i] for i in b])
            final[n] = body(teacher, teacher.model.embed_tokens(ids), teacher.model.layers)[mask]
            if n % 20 == 0:
                print(f"teacher {n}/{len(chunks)} {time.time() - start:.0f} s", flush=True)
        ids, mask = padded(held)
        held_final = body(teacher, teacher.model.embed_tokens(ids), teacher.model.layers)[mask]
    params = [q for q in student.parameters() if q.requires_grad]
    opt = torch.optim.AdamW(params, lr=a.lr, weight_decay=0.0, betas=(0.9, 0.98))
    total, step = a.epochs * len(chunks), 0
    for epoch in range(a.epochs):
        for n in rng.sample(range(len(chunks)), len(chunks)):
            for g in opt.param_groups:
                g["lr"] = (
                    a.lr
                    * min(1, (step + 1) / 20)
                    * (0.02 + 0.49 * (1 + math.cos(math.pi * step / total)))
                )
            kl, error = loss_on([rows[i] for i in chunks[n]], final[n].clone())
            (kl + 2 * error).backward()
            torch.nn.utils.clip_grad_norm_(params, 1.0)
            opt.step()
            opt.zero_grad()
            if step % 20 == 0:
                with torch.no_grad():
                    k, e = loss_on(held, held_final.clone())
                print(
                    f"epoch {epoch} step {step}/{total} held-out KL {k:.3f} error {e:.3f} "
                    f"{time.time() - start:.0f} s",
                    flush=True,
                )
            if step % 100 == 99:
                student.save_pretrained(a.out)
            step += 1
    student.save_pretrained(a.out)
    tok.save_pretrained(a.out)
    print(f"done in {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
