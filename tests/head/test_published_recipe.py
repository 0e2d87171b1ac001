"""The published recipe against autograd, with and without a soft cap."""

import pytest
import torch

from veneer.head.config import PaperRecipe
from veneer.head.published_recipe import solve_as_published
from veneer.models.head import Head


@pytest.mark.parametrize("cap", [None, 2.0])
def test_the_steps_are_those_of_adam_on_the_capped_loss(cap):
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(12, 4, generator=draw)
    ids = torch.stack([torch.randperm(7, generator=draw)[:3] for _ in range(12)])
    logs = torch.randn(12, 3, generator=draw).log_softmax(-1)
    head = Head(torch.randn(7, 4, generator=draw), None, 1.0, cap)
    block = {"hidden": hidden, "aligned_ids": ids, "aligned_logprobs": logs}
    recipe = PaperRecipe(learning_rate=0.05, batch=12, epochs=20)
    solution = solve_as_published([block], None, head, recipe, seed=0)

    change = torch.zeros(7, 4, requires_grad=True)
    adam = torch.optim.Adam([change], lr=0.05)
    for _ in range(20):
        adam.zero_grad()
        z = hidden @ (head.weight + change).t()
        z = z if cap is None else cap * torch.tanh(z / cap)
        loss = -(logs.softmax(-1) * z.log_softmax(-1).gather(1, ids)).sum(-1).mean()
        loss.backward()
        adam.step()
    assert torch.allclose(solution, change.detach(), atol=1e-4)
