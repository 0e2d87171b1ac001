"""Held-out distributions of base, veneer and aligned model at the report part's tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from veneer.capture.artefact import Capture
from veneer.capture.distributions import kl_lumped, log_masses
from veneer.head.veneer import Veneer
from veneer.models.head import Head
from veneer.statistics import intervals

COLUMNS = (
    "prompt",
    "position",
    "hidden",
    "aligned_ids",
    "aligned_logprobs",
    "aligned_tail",
    "base_ids",
    "base_at_aligned",
    "base_outside",
)


@dataclass(frozen=True)
class HeldOut:
    """One entry per token, all arrays (N,). kl_*: KL(aligned || system) in nats, tail lumped, 0
    where rounding made it less. base_second, base_third: base's next choices. prompt: the prompt's
    number in the capture; task: its task, by prompt number; cluster: its cluster by prompt number,
    None where every prompt stands by itself (`Capture.clusters`)."""

    prompt: np.ndarray
    position: np.ndarray
    kl_base: np.ndarray
    kl_veneer: np.ndarray
    aligned_top: np.ndarray
    base_top: np.ndarray
    base_second: np.ndarray
    base_third: np.ndarray
    veneer_top: np.ndarray
    task: dict[int, str]
    cluster: Sequence[int] | None = None

    def of_tasks(self, tasks: Sequence[str]) -> np.ndarray:
        """Mask (N,) of the tokens of the given tasks."""
        return np.isin(self.prompt, [n for n, t in self.task.items() if t in tasks])

    def by_prompt(
        self, values: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Per prompt: sums of `values` and numbers of tokens, prompts in ascending order."""
        keep = np.ones(len(values), bool) if mask is None else mask
        _, inverse = np.unique(self.prompt[keep], return_inverse=True)
        return np.bincount(inverse, values[keep]), np.bincount(inverse).astype(float)

    def clusters(self, mask: np.ndarray | None = None) -> np.ndarray | None:
        """The cluster of each prompt of `by_prompt`; None where every prompt stands by itself."""
        keep = np.ones(len(self.prompt), bool) if mask is None else mask
        return cluster_ids(self.cluster, np.unique(self.prompt[keep]))

    def ratio(
        self, values: np.ndarray, mask: np.ndarray | None = None, *, seed: int
    ) -> intervals.Estimate:
        """The mean of amounts over the tokens in `mask`; the interval resamples prompts, or whole
        clusters of them."""
        sums, counts = self.by_prompt(values, mask)
        return intervals.ratio_of_sums(sums, counts, seed=seed, clusters=self.clusters(mask))

    def share(
        self, hits: np.ndarray, mask: np.ndarray | None = None, *, seed: int
    ) -> intervals.Estimate:
        """The share of the tokens in `mask` that `hits` (N,) marks, likewise."""
        sums, counts = self.by_prompt(hits.astype(float), mask)
        return intervals.ratio_on_scale(sums, counts, 0, 1, seed=seed, clusters=self.clusters(mask))

    def difference(
        self, a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None, *, seed: int
    ) -> intervals.Estimate:
        """The mean of a - b over the tokens in `mask`, paired, likewise."""
        sums, counts = self.by_prompt(a - b, mask)
        return intervals.ratio_of_sums(
            sums, counts, seed=seed, clusters=self.clusters(mask), signed=True
        )


def cluster_ids(clusters: Sequence[int] | None, numbers: ArrayLike) -> np.ndarray | None:
    """The ids of the clusters of some prompts, by their numbers; None where every prompt of the
    capture stands by itself."""
    return None if clusters is None else np.array(clusters)[np.asarray(numbers, int)]


def held_out(
    capture: Capture, veneer: Veneer, prompts: Sequence[int], *, device: str | torch.device = "cpu"
) -> HeldOut:
    """Run the veneer's head over the hidden states of the given prompts' tokens: exact over the
    whole vocabulary, in chunks."""
    return held_out_of(capture, veneer.apply(capture.head), prompts, device=device)


def held_out_of(
    capture: Capture,
    head: Head,
    prompts: Sequence[int],
    *,
    read: Callable[[dict[str, torch.Tensor]], torch.Tensor] | None = None,
    map_logits: Callable[[torch.Tensor], torch.Tensor] | None = None,
    device: str | torch.device = "cpu",
) -> HeldOut:
    """The same for any head: `kl_veneer` and `veneer_top` are those of `head` over base's stored
    hidden states, or over the hidden states (N, d) that `read` gives for a block of the capture.
    map_logits: to the capture's vocabulary, where the head has another."""
    bias = None if head.bias is None else head.bias.to(device)
    changed = Head(head.weight.to(device), bias, head.scale, head.softcap)
    parts: dict[str, list[torch.Tensor]] = {}

    def put(name: str, value: torch.Tensor) -> None:
        parts.setdefault(name, []).append(value.cpu())

    for block in capture.blocks((*COLUMNS, "token") if read else COLUMNS, prompts):
        hidden = read(block) if read else block["hidden"].float()
        put("prompt", block["prompt"])
        put("position", block["position"])
        put(
            "kl_base",
            kl_lumped(
                *(
                    block[c]
                    for c in ("aligned_logprobs", "aligned_tail", "base_at_aligned", "base_outside")
                )
            ),
        )
        put("aligned_top", block["aligned_ids"][:, 0])
        third = min(2, block["base_ids"].shape[1] - 1)
        for place, name in ((0, "base_top"), (min(1, third), "base_second"), (third, "base_third")):
            put(name, block["base_ids"][:, place])
        for at in range(0, len(block["position"]), changed.at_once):
            cut = slice(at, at + changed.at_once)
            logits = changed.logits(hidden[cut].to(device))
            if map_logits is not None:
                logits = map_logits(logits)
            inside, outside = log_masses(logits, block["aligned_ids"][cut])
            put(
                "kl_veneer",
                kl_lumped(
                    block["aligned_logprobs"][cut],
                    block["aligned_tail"][cut],
                    inside.cpu(),
                    outside.cpu(),
                ),
            )
            put("veneer_top", logits.argmax(-1))
    arrays = {name: torch.cat(values).numpy() for name, values in parts.items()}
    for name in ("kl_base", "kl_veneer"):
        arrays[name] = arrays[name].clip(min=0)
    return HeldOut(
        **arrays,
        task={n: capture.prompts[n]["task"] for n in prompts},
        cluster=capture.clusters,
    )
