"""Fine-tuning on answers: the loss of the answers' tokens, AdamW over it, and what of a model
learns: an adapter, or weights of a copy."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.progress import Progress
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.models.layers import decoder_layers, layers_name
from veneer.models.split import need_one_device

# Families whose fast code reads the weights of these modules past an adapter, so that PEFT refuses
# one there (tuners_utils._check_lora_target_modules_mamba).
FUSING = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})
FUSED = frozenset({"conv1d", "out_proj"})

Example = tuple[list[int], list[int]]  # ids of prompt and answer
Learned = dict[str, nn.Parameter]


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


def layers_from(lm: LanguageModel, first: int) -> range:
    """The layers from `first` on, 0-based. Raises InputError where the model has no such layer."""
    number = len(decoder_layers(lm))
    if not 0 <= first < number:
        raise InputError(
            f"training begins at layer {first}, but {lm.name} has layers 0 to {number - 1}; "
            "expected one of these"
        )
    return range(first, number)


def with_adapter(lm: LanguageModel, rank: int, alpha: int, layers: range | None = None) -> Any:
    """The PEFT model of a new adapter on every linear layer but the head, or on those of some
    decoder layers; base's weights are shared. Mamba's output projections and layers that do more
    than multiply (Llama 4's router) get none."""
    import peft

    experts = any(p.ndim == 3 and "expert" in name for name, p in lm.model.named_parameters())
    words = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        # PEFT finds stacked experts by a name that all layers share
        target_modules="all-linear" if layers is None or experts else _linear(lm, layers),
        exclude_modules=_without_adapter(lm.model) or None,
        task_type="CAUSAL_LM",
    )
    model = peft.get_peft_model(sharing(lm.model), words)
    if layers is not None:
        inside = tuple(f"base_model.model.{layers_name(lm)}.{i}." for i in layers)
        for name, p in model.named_parameters():
            p.requires_grad_(p.requires_grad and name.startswith(inside))
    return model


def _without_adapter(model: Any) -> list[str]:
    """Names of the modules that cannot have an adapter: what PEFT refuses, and kinds of `nn.Linear`
    of a family's own that give no product, but a choice of experts or groups."""
    own = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and type(module).__module__.startswith("transformers.models.")
        and not _multiplies(module)
    ]
    return [*own, *(sorted(FUSED) if model.config.model_type in FUSING else ())]


@torch.no_grad()
def _multiplies(layer: nn.Linear) -> bool:
    """Whether a layer gives one row of outputs for each row of inputs."""
    try:
        out = layer(layer.weight.new_zeros(2, layer.in_features))
    except Exception:  # a layer of its own kind wants other inputs
        return False
    return isinstance(out, Tensor) and out.shape == (2, layer.out_features)


def _linear(lm: LanguageModel, layers: range) -> list[str]:
    """Names of the linear layers within some decoder layers."""
    decoder, at = decoder_layers(lm), layers_name(lm)
    return [
        f"{at}.{i}.{name}"
        for i in layers
        for name, module in decoder[i].named_modules()
        # GPT-2's own kind of linear layer
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
    ]


def learning_copy(lm: LanguageModel, layers: range) -> tuple[Any, Learned]:
    """A copy of the model whose `layers`, which end with the last one, final norm and head learn;
    with all layers the embeddings do too."""
    need_one_device(lm.model, "fine-tuning all weights")
    model = copy.deepcopy(lm.model)
    at = layers_name(lm)
    frozen = tuple(f"{at}.{i}." for i in range(layers.start))
    embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    learned: Learned = {}
    for name, p in model.named_parameters():
        below = p is embeddings and p is not head and layers.start > 0
        p.requires_grad_(p.is_floating_point() and not name.startswith(frozen) and not below)
        if p.requires_grad:
            learned[name] = p
    return model, learned


def own_head(lm: LanguageModel, model: Any) -> Head:
    """The head of a copy of `lm` whose own weights learn."""
    layer = model.get_output_embeddings()
    head = Head(layer.weight, getattr(layer, "bias", None), lm.head.scale, lm.head.softcap)
    return head.first_rows(lm.head.rows)  # rows that only fill the head up have no logit


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
