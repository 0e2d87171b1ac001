"""Capture against what a person would write by hand with transformers.

    python benchmarks/peers.py [--prompts 16] [--tokens 128] [--batch 8] [--out FILE]

By hand: `generate` in batches in the order of the prompts, then one forward pass of the aligned and
one of the base model over prompt and answer, top 64 log-probabilities of the aligned model and
hidden states of base, one file for each batch. Beside it `capture_responses` of the same prompts of
the real pair with the same batch size, which also keeps base's own top 64 and checks one prompt by
teacher forcing. Both must give the same number of answer tokens. CPU seconds without loading the
models; each side runs in a process of its own, whose peak memory counts the models too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from pair_prompts import load_pair, train_prompts
from veneer import capture_responses
from veneer.capture.config import CaptureConfig
from veneer.models.decode import Sampling
from veneer.models.pair import Pair

K = 64


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bytes_in(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@torch.inference_mode()
def by_hand(pair: Pair, prompts: list, given: argparse.Namespace, out: Path) -> int:
    """Capture with transformers alone. Returns the number of answer tokens."""
    count, base, aligned = 0, pair.base, pair.aligned
    for number, at in enumerate(range(0, len(prompts), given.batch)):
        batch = prompts[at : at + given.batch]
        formatted, plain = (
            [form.encode(lm.tokenizer, p) for p in batch]
            for form, lm in ((pair.aligned_format, aligned), (pair.base_format, base))
        )
        ids, mask = padded(formatted, aligned.pad_id)
        whole = aligned.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=given.tokens,
            do_sample=False,
            pad_token_id=aligned.pad_id,
            eos_token_id=list(pair.aligned_stop_ids),
        )
        answers = whole[:, ids.shape[1] :]
        ends = torch.isin(answers, torch.tensor(pair.aligned_stop_ids))
        ones = (ends.cumsum(-1) - ends.long() == 0).long()  # up to the first end, itself included
        logits = aligned.model(
            input_ids=whole, attention_mask=torch.cat([mask, ones], dim=1)
        ).logits[:, -answers.shape[1] - 1 : -1]
        top = logits.log_softmax(-1).topk(K)
        ids, mask = padded(plain, base.pad_id)
        hidden = base.model.model(
            input_ids=torch.cat([ids, answers], dim=1),
            attention_mask=torch.cat([mask, ones], dim=1),
        ).last_hidden_state[:, -answers.shape[1] - 1 : -1]
        kept = {"ids": top.indices.int(), "logprobs": top.values, "hidden": hidden}
        real = ones.bool()
        torch.save(
            {**{k: v[real] for k, v in kept.items()}, "answers": answers[real]},
            out / f"{number}.pt",
        )
        count += int(ones.sum())
    return count


def padded(rows: list[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = [[pad] * (width - len(r)) + list(r) for r in rows]
    mask = [[0] * (width - len(r)) + [1] * len(r) for r in rows]
    return torch.tensor(ids), torch.tensor(mask)


def capture(side: str, given: argparse.Namespace) -> dict:
    """One side: CPU seconds, peak memory, bytes on disk."""
    pair, prompts = load_pair(), train_prompts(given.prompts // 2)
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "capture"
        before = time.process_time()
        if side == "by hand":
            out.mkdir()
            tokens = by_hand(pair, prompts, given, out)
        else:
            config = CaptureConfig(
                k=K,
                batch_size=given.batch,
                noise_prompts=1,
                sampling=Sampling(given.tokens),
            )
            tokens = capture_responses(pair, prompts, out, config).tokens
        seconds = time.process_time() - before
        size = bytes_in(out)
    return {"side": side, "tokens": tokens, "seconds": seconds, "bytes": size, "mb": peak_mb()}


SIDES = ("by hand", "veneer")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=16, help="AdvBench and SVAMP, half each")
    parser.add_argument("--tokens", type=int, default=128, help="at most, for each answer")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, help="figures as JSON")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(capture(given.side, given)))
        return
    figures = []
    for side in SIDES:
        command = [sys.executable, __file__, "--side", side, "--prompts", str(given.prompts)]
        command += ["--tokens", str(given.tokens), "--batch", str(given.batch)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(figures[-1]), flush=True)
    if figures[0]["tokens"] != figures[1]["tokens"]:
        sys.exit("the two sides gave answers of different lengths; the ratio would mean nothing")
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
