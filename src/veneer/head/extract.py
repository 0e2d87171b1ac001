"""From a capture to a veneer: split, choose rows, choose a ridge, solve, and keep zero where
zero is as good."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.templates import record_of_tasks
from veneer.foundation.display import Shown
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress, shown
from veneer.head.config import ExtractConfig
from veneer.head.events import Event, Log, Remark, solver_progress
from veneer.head.objective import Objective
from veneer.head.parametrisation import LowRank, Parametrisation
from veneer.head.published_recipe import solve_as_published
from veneer.head.ridge import TrainTokens, choose_ridge, full_parametrisation, ridge_centre
from veneer.head.solve import solve
from veneer.head.split import Split
from veneer.head.target import TargetHead
from veneer.head.token_sources import LocalSource, TokenSource
from veneer.head.veneer import ROUNDED, Veneer
from veneer.models.computation import COMPUTATION

OPTIMUM_PASSES = 10  # times as many as where the select part ends the search
CONVERGED_GRADIENT = {torch.float32: 1e-4, torch.float64: 1e-9}


@dataclass(repr=False)
class Extraction(Shown):
    """A veneer, the split that it was made with, and how the search went.

    base_kl, select_kl: KL of base and of the veneer on the select part, in nats per token; that
    part chose the ridge and the end of the search, so held-out figures come from the report part.
    """

    veneer: Veneer
    split: Split
    log: list[Event]
    base_kl: float
    select_kl: float

    @property
    def dW(self) -> Tensor:
        """The change of the head (V, d)."""
        return self.veneer.dense()

    def _shown(self) -> dict[str, Any]:
        split = self.split
        parts = {"train": split.train, "select": split.select, "report": split.report}
        return {
            **{f"{name} prompts": len(numbers) for name, numbers in parts.items()},
            "select KL of base": f"{self.base_kl:.3g} nats per token",
            "select KL of the veneer": f"{self.select_kl:.3g} nats per token",
            **{f"veneer: {name}": value for name, value in self.veneer._shown().items()},
        }


def split_of(capture: Capture, seed: int, tasks: Sequence[str] | None = None) -> Split:
    """The split of a capture's prompts; a task's own veneer uses its share of the joint split, so
    both report on the same prompts."""
    numbers = capture.prompt_numbers
    names = [capture.prompts[n]["task"] for n in numbers]
    clusters = capture.clusters and [capture.clusters[n] for n in numbers]
    whole = Split.by_prompt(numbers, names, seed, clusters)
    if tasks is None:
        return whole
    if unknown := set(tasks) - set(names):
        raise InputError(
            f"the capture has no prompts of {', '.join(sorted(unknown))}; it has "
            f"{', '.join(sorted(set(names)))}"
        )
    keep = {n for n, t in zip(numbers, names, strict=True) if t in tasks}
    kept = [
        tuple(n for n in prompts if n in keep)
        for prompts in (whole.train, whole.select, whole.report)
    ]
    if not all(kept):
        raise InputError(
            f"found {len(keep)} prompts of {', '.join(tasks)}; expected some in each of train, "
            "select and report: capture more"
        )
    return Split(kept[0], kept[1], kept[2], whole.warning)


def extract(
    capture: Capture | str | Path,
    config: ExtractConfig | None = None,
    *,
    device: str | torch.device = "cpu",
    log: Log | None = None,
    start: Veneer | None = None,
    source: TokenSource | None = None,
    progress: Progress | bool | None = None,
) -> Extraction:
    """Extract a veneer from a capture, or from the capture in a folder.

    start: the dense veneer of the same capture and settings, from which a low-rank one begins;
    without it that is solved first. source: who holds the tokens, None for this process
    (veneer.scale has workers that hold them). progress: see `foundation.progress.shown`; False
    shows none in a notebook, and a `log` of one's own takes its place. Raises InputError where the
    capture has too few prompts or lacks one of the tasks.
    """
    capture = capture if isinstance(capture, Capture) else Capture.open(capture)
    with shown(progress) as report:
        log = solver_progress(report) if log is None and report else log
        return _extract(
            capture, config or ExtractConfig(), torch.device(device), log, start, source
        )


def _extract(
    capture: Capture,
    config: ExtractConfig,
    device: torch.device,
    log: Log | None,
    start: Veneer | None,
    source: TokenSource | None,
) -> Extraction:
    split = split_of(capture, config.seed, config.tasks)
    journal = Journal(log)
    if split.warning:
        journal.add(Remark("warning", split.warning))
    local = LocalSource(
        capture,
        getattr(torch, config.dtype),
        device,
        config.seed if config.shuffled else None,
        config.output == "bias",
    )
    source, head = source or local, local.head
    every_row = config.output == "hidden" or config.solver == "paper"
    rows = source.used_rows(split.train, 0.0 if every_row else config.row_threshold)
    select = Objective(source.token_sums(split.select, rows), head, rows)
    target = TargetHead(capture.head, rows, _facts(capture, config, split))
    if config.solver == "paper":
        change = solve_as_published(
            local.tokens(split.train),
            select,
            head,
            config.recipe,
            seed=config.seed,
            every=10,
            log=journal.add,
        )
        veneer, kl = target.dense(change), select.loss(change)
    else:
        tokens = capture.tokens * len(split.train) / len(capture.prompt_numbers)
        train = TrainTokens(source, split.train, rows, head, tokens)
        veneer, kl = _solve(train, select, target, config, start, journal.add)
    if not _gains(capture, kl, select.base_kl):
        journal.add(
            Remark(
                "note",
                f"select KL {kl:.3g} is not below {select.base_kl:.3g} of no change by more than "
                "noise: the veneer is zero",
            )
        )
        veneer, kl = _zero(veneer), select.base_kl
    return Extraction(veneer, split, journal.events, float(select.base_kl), float(kl))


class Journal:
    """Keeps the events of an extraction, and hands each on."""

    def __init__(self, log: Log | None):
        self.events: list[Event] = []
        self._log = log

    def add(self, event: Event) -> None:
        self.events.append(event)
        if self._log:
            self._log(event)


def _solve(
    tokens: TrainTokens,
    select: Objective,
    target: TargetHead,
    config: ExtractConfig,
    start: Veneer | None,
    log: Log,
) -> tuple[Veneer, float]:
    """The veneer at the solver's end, and its KL on the select part in nats per token."""
    dense = _dense_start(start, config, target)
    begin: Tensor | None
    if dense is not None:
        train = tokens.objective()
        ridge, begin = dense[0], dense[1].to(train.W)
    else:
        train, ridge, begin = choose_ridge(tokens, select, config, log)
    full = full_parametrisation(train, config)
    x = full.start(begin, direct=config.direct)
    to_optimum = config.stop == "optimum"
    passes = config.max_evaluations * (OPTIMUM_PASSES if to_optimum else 1)
    words: dict[str, Any] = {
        "ridge": ridge,
        "max_evaluations": passes,
        "patience": None if to_optimum else config.patience,
        "centre": ridge_centre(train, config),
        "gradient_tolerance": CONVERGED_GRADIENT[train.W.dtype] if to_optimum else 0.0,
        "log": log,
    }
    parametrisation: Parametrisation = full
    if dense is None:
        if train.capped:
            x = solve(train.uncapped(), select.uncapped(), full, x, stage="uncapped", **words).x
        solution = solve(train, select, full, x, stage="full", **words)
        x = solution.x
    if config.rank is not None:
        parametrisation, x = LowRank.of(full.to_change(x), train.covariance, config.rank)
        stage = f"rank {config.rank}"
        solution = solve(train, select, parametrisation, x, stage=stage, **words)
    if to_optimum and solution.evaluations >= passes:
        text = (
            f"the search ended after {passes} passes, with a gradient of norm "
            f"{solution.gradient_norm:.1g}: the veneer is near the optimum of its objective, and "
            "not at it"
        )
        log(Remark("warning", text))
    veneer = parametrisation.veneer(solution.x, target)
    veneer.facts["extraction"] = {
        "ridge": ridge,
        "objective": solution.objective,
        "gradient_norm": solution.gradient_norm,
        "select_kl": solution.select_kl,
        "select_kl_base": select.base_kl,
        "evaluations": solution.evaluations,
        "train_tokens": train.n,
        "select_tokens": select.n,
        "convex": not train.capped and config.rank is None,
    }
    return veneer, solution.select_kl


def _dense_start(
    veneer: Veneer | None, config: ExtractConfig, target: TargetHead
) -> tuple[float, Tensor] | None:
    """Ridge and scale * dW (R, d) of a dense veneer that this very extraction, but for the rank,
    would give; or None."""
    facts = target.facts
    if (
        veneer is None
        or config.rank is None
        or veneer.rank is not None
        or not torch.equal(veneer.changed_rows(), target.rows.cpu())
    ):
        return None
    expected = {k: facts[k] for k in ("capture", "split", "base", "aligned")} | {
        "config": {**facts["config"], "rank": None}
    }
    if "extraction" not in veneer.facts or any(
        veneer.facts.get(k) != value for k, value in expected.items()
    ):
        return None
    return veneer.facts["extraction"]["ridge"], veneer.values() * target.head.scale


def _facts(capture: Capture, config: ExtractConfig, split: Split) -> dict[str, Any]:
    manifest, roundings = capture.manifest, capture.head.roundings()
    return {
        "base": manifest["base"]["name"],
        "aligned": manifest["aligned"]["name"],
        "base_format": manifest["base_format"],
        "aligned_format": manifest["aligned_format"],
        "stop_ids": manifest["stop_ids"],
        **({"stop": manifest["stop"]} if "stop" in manifest else {}),
        "tokenizer": manifest["base"]["tokenizer"],
        **({COMPUTATION: manifest[COMPUTATION]["base"]} if COMPUTATION in manifest else {}),
        "capture": {"prompts_sha256": manifest["prompts_sha256"], "tokens": capture.tokens},
        "config": json.loads(json.dumps(config.facts())),
        "split": {
            "train": len(split.train),
            "select": len(split.select),
            "report": len(split.report),
        },
        **({"teacher": manifest["teacher"]} if "teacher" in manifest else {}),
        **({ROUNDED: roundings} if roundings else {}),
        "tasks": dict(
            Counter(
                capture.prompts[n]["task"]
                for numbers in (split.train, split.select, split.report)
                for n in numbers
            )
        ),
        **(
            {"templates": record_of_tasks(manifest["templates"], config.tasks)}
            if manifest.get("templates")
            else {}
        ),
    }


def _gains(capture: Capture, kl: float, base_kl: float) -> bool:
    """Whether a change gains more on the select part than rounding and the noise floor could
    explain."""
    noise = capture.noise
    floor = sum(r["kl"] for r in noise) / max(1, sum(r["tokens"] for r in noise))
    return base_kl - kl > max(1e-6, 3 * abs(floor))


def _zero(veneer: Veneer) -> Veneer:
    """No change at all, with the facts of `veneer`."""
    return Veneer(
        veneer.unembedding,
        veneer.vocabulary,
        torch.zeros(0, veneer.width),
        torch.zeros(0, dtype=torch.long),
        facts={**veneer.facts, "zero": True},
    )
