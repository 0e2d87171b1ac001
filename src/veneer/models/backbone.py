"""Where a model's final hidden states come from: its base model's output, or else the input of its
output head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from veneer.foundation.errors import VeneerError


@dataclass(frozen=True)
class States:
    """last_hidden_state: (B, T, d), what the head turns into logits."""

    last_hidden_state: Tensor


class HeadInput:
    """Stands for the backbone of a model that offers none of its own (Llama 4), or whose backbone
    is not followed by its head alone (BERT puts another layer between them): runs the model as far
    as the head and returns what would enter it."""

    def __init__(self, model: nn.Module, name: str):
        self.model, self.name = model, name

    def __call__(self, **words: Any) -> States:
        """Keyword arguments are those of the model's forward. Raises VeneerError where the model
        does not call its head."""
        # looked up here: peft and merging replace it
        layer = self.model.get_output_embeddings()  # type: ignore[operator]
        handle = layer.register_forward_pre_hook(_stop, with_kwargs=True)
        try:
            self.model(**words)
        except _Reached as reached:
            return States(reached.states)
        finally:
            handle.remove()
        raise VeneerError(
            f"{self.name} computes its logits without calling its output head as a layer; "
            "expected a causal language model with a linear head"
        )

    def modules(self) -> Iterator[nn.Module]:
        """All modules of the model, as `nn.Module.modules` gives them."""
        return self.model.modules()


class _Reached(BaseException):
    """The head is about to be called; nothing between it and `HeadInput` may take
    this for a failure."""

    def __init__(self, states: Tensor):
        super().__init__()
        self.states = states


def _stop(layer: nn.Module, args: tuple[Any, ...], words: dict[str, Any]) -> None:
    raise _Reached(args[0] if args else next(iter(words.values())))


# where the head was called with its parameters, the states carry a gradient that nobody needs
@torch.no_grad()
def distance(states: Tensor, true: Tensor, share: float = 0.5) -> float:
    """How far states (B, T, d) are from the true ones, relative to their length: in the row that is
    furthest, `share` of the positions are nearer. Infinite where they are not finite.

    In 16-bit numbers half of the positions must do: a router that wavers between two experts sends
    some of them elsewhere.
    """
    # RWKV turns gradients on by itself
    states, true = states.detach().float(), true.detach().float()
    apart = (states - true).norm(dim=-1) / true.norm(dim=-1).clamp(min=1e-30)  # (B, T)
    return float(apart.nan_to_num(nan=torch.inf).quantile(share, dim=-1).max())
