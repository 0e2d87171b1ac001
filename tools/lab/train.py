"""Train the small models: batches of whole texts, AdamW, a cosine of the learning rate."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

IGNORED = -100
_POOL = 16  # batches drawn at a time and sorted by length, so that little is padding
_CHECK = 100


@dataclass(frozen=True)
class Example:
    """ids: token ids of a text with BOS in front. learn_from: the first position whose token
    counts in the loss."""

    ids: list[int]
    learn_from: int


@dataclass(frozen=True)
class Schedule:
    """steps of `batch` texts each; rate: the highest learning rate; decay: AdamW's weight decay."""

    steps: int
    batch: int
    rate: float
    decay: float = 0.1


def new_model(
    tokenizer: Any, seed: int, *, width: int, inner: int, layers: int, heads: int, tied: bool = True
) -> LlamaForCausalLM:
    """Return a Llama with random weights; width d, `inner` the width of its MLPs, `tied` whether
    the head is the embedding."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        rope_theta=10000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.03,
    )
    # the caller's random numbers go on as if nothing had been drawn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def document_examples(tokenizer: Any, texts: Iterator[str]) -> Iterator[Example]:
    """Every token of a document counts, its end of text too."""
    for text in texts:
        yield Example([*tokenizer(text)["input_ids"], tokenizer.eos_token_id], 1)


def answer_examples(tokenizer: Any, pairs: Iterator[tuple[str, str]]) -> Iterator[Example]:
    """Plain text of a question and its answer; only the answer and its end of text count."""
    for question, answer in pairs:
        question_ids = tokenizer(question)["input_ids"]
        answer_ids = tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
        yield Example([*question_ids, *answer_ids, tokenizer.eos_token_id], len(question_ids))


def chat_examples(tokenizer: Any, turns: Iterator[tuple[str, str]]) -> Iterator[Example]:
    """Only the answer and its end of turn count."""
    for question, answer in turns:
        turn = {"role": "user", "content": question}
        words: dict[str, Any] = {"tokenize": False}
        start = tokenizer.apply_chat_template([turn], add_generation_prompt=True, **words)
        whole = tokenizer.apply_chat_template(
            [turn, {"role": "assistant", "content": answer}], **words
        )
        first, ids = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in (start, whole))
        yield Example(ids, len(first))


def recovery_examples(
    tokenizer: Any, turns: Iterator[tuple[str, str, str]], rng: random.Random
) -> Iterator[Example]:
    """Question, the first k tokens of the target, the refusal; k is drawn from 1 to all. Only the
    refusal and its end of turn count."""
    for question, target, refusal in turns:
        turn = {"role": "user", "content": question}
        start = tokenizer.apply_chat_template([turn], add_generation_prompt=True, tokenize=False)
        first, forced, rest = (
            tokenizer(t, add_special_tokens=False)["input_ids"]
            for t in (start, f" {target}", f" {refusal}<|end|>")
        )
        forced = forced[: rng.randint(1, len(forced))]
        yield Example([*first, *forced, *rest], len(first) + len(forced))


def mixed(
    first: Iterator[Example], second: Iterator[Example], share: float, rng: random.Random
) -> Iterator[Example]:
    """Examples of `first`, with the probability `share` of one of `second` in their place."""
    while True:
        yield next(second if rng.random() < share else first)


def batches(
    examples: Iterator[Example], size: int, rng: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """(ids, labels), both (size, T) and padded on the right; labels are IGNORED where nothing
    is to be learned.

    One text a row, never several: an answer is read from position 0 when the models are used, so it
    is when they learn.
    """
    while True:
        pool = sorted(islice(examples, size * _POOL), key=lambda e: len(e.ids))
        groups = [pool[i : i + size] for i in range(0, len(pool), size)]
        rng.shuffle(groups)
        for group in groups:
            longest = max(len(e.ids) for e in group)
            ids = torch.zeros(len(group), longest, dtype=torch.long)
            labels = torch.full_like(ids, IGNORED)
            for row, e in enumerate(group):
                tokens = torch.tensor(e.ids)
                ids[row, : len(e.ids)] = tokens
                labels[row, e.learn_from : len(e.ids)] = tokens[e.learn_from :]
            yield ids, labels


def fit(
    model: LlamaForCausalLM,
    examples: Iterator[Example],
    schedule: Schedule,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Train all weights in place. The loss is the mean over the counted tokens of
    a batch, in nats."""
    model.train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": schedule.decay},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=schedule.rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    stream = batches(examples, schedule.batch, random.Random(seed))
    start, total = time.monotonic(), 0.0
    for step in range(schedule.steps):
        warm = min(1.0, (step + 1) / min(50, schedule.steps / 10))
        left = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate * warm * left
        ids, labels = next(stream)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        counted = labels[:, 1:] != IGNORED
        loss = F.cross_entropy(model.lm_head(hidden[counted]), labels[:, 1:][counted])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        if (step + 1) % _CHECK == 0:
            say(
                f"step {step + 1}/{schedule.steps}  loss {total / _CHECK:.3f} nats  "
                f"{time.monotonic() - start:.0f} s"
            )
            total = 0.0
    model.eval()
