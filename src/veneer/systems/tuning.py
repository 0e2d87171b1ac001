"""Fine-tuning on answers: the loss of the answers' tokens, and AdamW over it. The LoRA baseline and
the attack share it."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from veneer.foundation.errors import VeneerError
from veneer.foundation.progress import Progress
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.split import need_one_device

Example = tuple[list[int], list[int]]  # ids of prompt and answer


def answer_loss(lm: LanguageModel, examples: Sequence[Example], head: Head | None = None) -> Tensor:
    """Mean cross-entropy of the answers' tokens in nats, their prompts given; the head runs over
    those positions only.

    head: one whose weights learn too; the model's own passes no gradient to its weights.
    """
    rows = [[*p, *a[:-1]] for p, a in examples]
    width = max(map(len, rows))
    ids = torch.tensor([r + [lm.pad_id] * (width - len(r)) for r in rows], device=lm.device)
    mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows], device=lm.device)
    hidden = lm.hidden(ids, mask)
    states = torch.cat(
        [hidden[i, len(p) - 1 : len(p) - 1 + len(a)] for i, (p, a) in enumerate(examples)]
    )
    wanted = torch.tensor([t for _, a in examples for t in a], device=lm.device)
    return torch.nn.functional.cross_entropy((head or lm.head).logits(states), wanted)


def fit_answers(
    lm: LanguageModel,
    learned: Sequence[torch.nn.Parameter],
    examples: Sequence[Example],
    *,
    epochs: int,
    batch: int,
    rate: float,
    seed: int,
    name: str,
    head: Head | None = None,
    progress: Progress | None = None,
    after_epoch: Callable[[int], None] | None = None,
) -> list[float]:
    """Train the parameters `learned` in place; returns the mean loss of each epoch in nats per
    token.

    AdamW without decay at `rate`, warmed up over a tenth of the steps and then falling linearly to
    0; gradients are clipped to norm 1. The last step counts: nothing is selected. head: see
    `answer_loss`. after_epoch: called with 1, 2, ... Raises VeneerError where the loss is not
    finite.
    """
    steps = epochs * -(-len(examples) // batch)
    adam = torch.optim.AdamW(learned, lr=rate, weight_decay=0.0)
    warm = max(1, round(steps / 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda s: min((s + 1) / warm, (steps - s) / max(1, steps - warm + 1))
    )
    draw = torch.Generator().manual_seed(seed)
    losses, step = [], 0
    for epoch in range(1, epochs + 1):
        total = 0.0
        order = torch.randperm(len(examples), generator=draw).tolist()
        for at in range(0, len(order), batch):
            drawn = [examples[i] for i in order[at : at + batch]]
            loss = answer_loss(lm, drawn, head)
            if not torch.isfinite(loss):
                raise VeneerError(
                    f"the loss of {name} is not finite at step {step + 1}; use --dtype float32 or "
                    "a lower rate"
                )
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            adam.step()
            schedule.step()
            step += 1
            total += float(loss.detach()) * len(drawn)
            if progress:
                progress(step, steps, name)
        losses.append(round(total / len(examples), 6))
        if after_epoch:
            after_epoch(epoch)
    return losses


def sharing(model: Any) -> Any:
    """A copy of a model's modules over the same tensors, so that an adapter put into it leaves the
    model as it is. Raises InputError for a model that is split."""
    need_one_device(model, "fine-tuning or patching a model")
    held = [*model.parameters(), *model.buffers()]
    twin = copy.deepcopy(model, {id(t): t for t in held})
    for module in twin.modules():
        module._parameters = {
            k: None if p is None else torch.nn.Parameter(p.detach(), requires_grad=False)
            for k, p in module._parameters.items()
        }
    return twin


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Two libraries' talk to each other about names that will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
