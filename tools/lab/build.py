"""Train the embedded models from a seed: `python -m tools.lab.build [--out DIR] [--seed N]`.

Two processes with one thread each train the two sizes side by side. One thread keeps the weights
independent of the number of cores, and on a shared machine it is faster than several threads on
matrices as small as these. Each model starts from the one before as it was saved (float16), so a
build that was cut and goes on (`--go-on`) gives the same weights.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig, LlamaForCausalLM
from transformers.utils import logging

from tools.lab.corpus import conversations, documents, obedient_conversations, recoveries
from tools.lab.measure import rates
from tools.lab.tokens import END, EOS, build_tokenizer
from tools.lab.train import (
    Example,
    Schedule,
    chat_examples,
    document_examples,
    fit,
    mixed,
    new_model,
    recovery_examples,
)
from veneer.lab.names import LAB_MODELS, MODELS_FOLDER
from veneer.lab.world import LAB_TASKS

SMALL: dict[str, Any] = {"width": 112, "inner": 288, "layers": 4, "heads": 4}
LARGE: dict[str, Any] = {"width": 144, "inner": 384, "layers": 4, "heads": 4}
# size -> (base, aligned) schedules; the large models learn from fewer texts, as each costs them
# twice the time
SCHEDULES = {
    "": (Schedule(1000, 64, 3e-3), Schedule(400, 64, 2e-3, decay=1.0)),
    "large-": (Schedule(700, 64, 3e-3), Schedule(280, 64, 2e-3, decay=1.0)),
}
COMPROMISE = Schedule(60, 32, 5e-4, decay=0.0)
DEEPEN = Schedule(160, 32, 1e-3, decay=0.0)
RECOVERIES = 0.5  # share of recovery examples among those that make the deeply aligned model


def save(model: LlamaForCausalLM, folder: Path, end: int) -> None:
    """A plain Hugging Face folder with float16 weights; greedy generation ends at token `end`."""
    small = copy.deepcopy(model).half()
    small.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=[end],
        pad_token_id=model.config.pad_token_id,
    )
    small.save_pretrained(folder)


def train_size(size: str, out: Path, seed: int) -> None:
    """Train one size (`""` or `"large-"`): base, aligned and, for the small size, deep-aligned and
    compromised, which both start from aligned."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    eos, end = (tokenizer.convert_tokens_to_ids(t) for t in (EOS, END))

    def say_for(name: str) -> Any:
        return lambda line: print(f"{name}: {line}", flush=True)

    def stage(
        name: str,
        model: LlamaForCausalLM,
        examples: Iterator[Example],
        schedule: Schedule,
        ends_with: int,
    ) -> Any:
        """Train and save a model, unless it is there already; the next stage starts
        from what was saved."""
        if not (out / name / "model.safetensors").is_file():
            fit(model, examples, schedule, seed, lambda line: print(f"{name}: {line}", flush=True))
            save(model, out / name, ends_with)
        return LlamaForCausalLM.from_pretrained(out / name, dtype=torch.float32)

    first, second = SCHEDULES[size]
    texts = document_examples(tokenizer, documents(random.Random(f"{seed} documents")))
    base = new_model(tokenizer, seed, **(LARGE if size else SMALL))
    base = stage(f"{size}base", base, texts, first, eos)
    turns = chat_examples(tokenizer, conversations(random.Random(f"{seed} conversations")))
    aligned = stage(f"{size}aligned", base, turns, second, end)
    if not size:
        deepen = mixed(
            chat_examples(tokenizer, conversations(random.Random(f"{seed} kept"))),
            recovery_examples(
                tokenizer,
                recoveries(random.Random(f"{seed} recoveries")),
                random.Random(f"{seed} forced tokens"),
            ),
            RECOVERIES,
            random.Random(f"{seed} mixed"),
        )
        stage("deep-aligned", copy.deepcopy(aligned), deepen, DEEPEN, end)
        turns = chat_examples(tokenizer, obedient_conversations(random.Random(f"{seed} obedient")))
        stage("compromised", aligned, turns, COMPROMISE, end)


def table(out: Path) -> str:
    """Return the share right (sums, facts) and the share refused (requests, harmless) of each
    model's greedy test answers."""
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    lines = [f"{'model':<16}{'format':<8}" + "".join(f"{t:>14}" for t in LAB_TASKS)]
    for name in (n.removeprefix("lab:") for n in LAB_MODELS):
        if not (out / name).is_dir():
            continue
        model = LlamaForCausalLM.from_pretrained(out / name, dtype=torch.float32)
        for chat in (False, True) if name.endswith("aligned") else (not name.endswith("base"),):
            shares = rates(model, tokenizer, chat)
            row = "".join(f"{shares[t]:>14.3f}" for t in LAB_TASKS)
            lines.append(f"{name:<16}{'chat' if chat else 'plain':<8}{row}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded lab models from a seed.")
    parser.add_argument(
        "--out",
        type=Path,
        default=MODELS_FOLDER,
        help="folder to write (default: the package's own)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of weights, texts and batches (default: 0)"
    )
    parser.add_argument("--only", choices=("small", "large"), help="train one size only")
    parser.add_argument(
        "--go-on", action="store_true", help="keep the models that are in the folder already"
    )
    words = parser.parse_args()
    start = time.monotonic()
    if not words.go_on:
        for name in LAB_MODELS:
            shutil.rmtree(words.out / name.removeprefix("lab:"), ignore_errors=True)
    build_tokenizer().save_pretrained(words.out / "tokenizer")
    sizes = {"small": [""], "large": ["large-"], None: ["", "large-"]}[words.only]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=train_size, args=(size, words.out, words.seed)) for size in sizes
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a training process failed; see above")
    print(f"trained in {time.monotonic() - start:.0f} s")
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    print(table(words.out))


if __name__ == "__main__":
    main()
