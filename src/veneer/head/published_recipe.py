"""The published recipe, for comparison: Adam over a dense dW on every row, top-k targets
renormalised, minibatches of tokens."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from veneer.head.config import PaperRecipe
from veneer.head.events import Log, RecipeStep
from veneer.head.objective import Objective
from veneer.head.token_blocks import Tokens
from veneer.models.head import Head


def solve_as_published(
    tokens: Tokens,
    select: Objective,
    head: Head,
    recipe: PaperRecipe,
    *,
    seed: int,
    max_seconds: float | None = None,
    every: int = 1,
    log: Log | None = None,
) -> Tensor:
    """scale * dW (V, d). select: over every row. every: epochs between two looks at the select part
    (not counted as time)."""
    blocks = list(tokens)
    hidden = torch.cat([b["hidden"] for b in blocks])
    ids = torch.cat([b["aligned_ids"] for b in blocks]).long()
    # renormalised: the tail becomes zero
    target = torch.cat([b["aligned_logprobs"] for b in blocks]).softmax(-1)
    weight = head.weight.to(hidden) * head.scale
    change = torch.zeros_like(weight, requires_grad=True)
    adam = torch.optim.Adam([change], lr=recipe.learning_rate)
    draw = torch.Generator().manual_seed(seed)
    spent, started = 0.0, time.perf_counter()
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(hidden), generator=draw).to(hidden.device)
        for at in range(0, len(order), recipe.batch):
            take = order[at : at + recipe.batch]
            h = hidden[take]
            with torch.no_grad():
                z = h @ (weight + change).t()
                if head.bias is not None:
                    z += head.bias.to(z) * head.scale
                if head.softcap is not None:
                    z = head.softcap * torch.tanh(z / head.softcap)
                q = z.softmax(-1)
                q.scatter_add_(1, ids[take], -target[take])
                if head.softcap is not None:  # the slope of the cap at each logit
                    q *= 1 - (z / head.softcap) ** 2
                change.grad = q.t() @ h / len(take)
            adam.step()
        spent += time.perf_counter() - started
        if log and (epoch % every == 0 or epoch == recipe.epochs):
            kl = select.loss(change.detach())
            log(RecipeStep(recipe.learning_rate, epoch, kl, round(spent, 3)))
        if max_seconds is not None and spent >= max_seconds:
            break
        started = time.perf_counter()
    return change.detach()
