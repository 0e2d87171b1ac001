"""From a capture to a veneer: split, choose rows, choose a ridge, solve, and keep zero where
zero is as good."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.templates import record_of_tasks
from veneer.foundation.errors import InputError
from veneer.head.config import ExtractConfig
from veneer.head.constant import Constant
from veneer.head.objective import Problem
from veneer.head.parametrisation import Dense, Hidden, LowRank
from veneer.head.published_recipe import solve_as_published
from veneer.head.solve import Log, Solution, solve
from veneer.head.split import Split
from veneer.head.token_sources import LocalParts, Parts
from veneer.head.veneer import ROUNDED, Veneer

COARSE_TOKENS = 4000  # with more train tokens than that, the ridge is chosen on a part of them
CONVERGED_GRADIENT = {torch.float32: 1e-4, torch.float64: 1e-9}


@dataclass
class Extraction:
    """A veneer, the split that it was made with, and how the search went."""

    veneer: Veneer
    split: Split
    log: list[dict[str, Any]]


def split_of(capture: Capture, seed: int, tasks: Sequence[str] | None = None) -> Split:
    """The split of a capture's prompts; a task's own veneer uses its share of the joint split, so
    both report on the same prompts."""
    numbers = capture.prompt_numbers
    names = [capture.prompts[n]["task"] for n in numbers]
    whole = Split.by_prompt(numbers, names, seed)
    if tasks is None:
        return whole
    if unknown := set(tasks) - set(names):
        raise InputError(
            f"the capture has no prompts of {', '.join(sorted(unknown))}; it has "
            f"{', '.join(sorted(set(names)))}"
        )
    keep = {n for n, t in zip(numbers, names, strict=True) if t in tasks}
    parts = [
        tuple(n for n in part if n in keep) for part in (whole.train, whole.select, whole.report)
    ]
    if not all(parts):
        raise InputError(
            f"found {len(keep)} prompts of {', '.join(tasks)}; expected some in each of train, "
            "select and report: capture more"
        )
    return Split(parts[0], parts[1], parts[2], whole.warning)


def extract(
    capture: Capture,
    config: ExtractConfig | None = None,
    *,
    device: str | torch.device = "cpu",
    log: Log | None = None,
    start: Veneer | None = None,
    parts: Parts | None = None,
) -> Extraction:
    """Extract a veneer from a capture.

    start: the dense veneer of the same capture and configuration, from which a low-rank one begins;
    without it that is solved first. parts: who holds the tokens, None for this process
    (veneer.scale has workers that hold them). Raises InputError where the capture has too few
    prompts or not the tasks asked for.
    """
    config, device = config or ExtractConfig(), torch.device(device)
    dtype = getattr(torch, config.dtype)
    split = split_of(capture, config.seed, config.tasks)
    lines: list[dict[str, Any]] = []

    def say(line: dict[str, Any]) -> None:
        lines.append(line)
        if log:
            log(line)

    if split.warning:
        say({"warning": split.warning})
    here = LocalParts(
        capture, dtype, device, config.seed if config.shuffled else None, config.output == "bias"
    )
    head, parts = here.head, here if parts is None else parts
    everything = config.output == "hidden" or config.solver == "paper"
    rows = parts.used_rows(split.train, 0.0 if everything else config.row_threshold)
    select = Problem(parts.part(split.select, rows), head, rows)
    zero_kl = select.base_kl
    facts = _facts(capture, config, split)
    if config.solver == "paper":
        dense = solve_as_published(
            here.tokens(split.train),
            select,
            head,
            config.recipe,
            seed=config.seed,
            every=10,
            log=say,
        )
        chosen = select.loss(dense)
        veneer = _veneer(capture, facts, dense / head.scale, None)
        return Extraction(_zero_if_as_good(veneer, chosen, zero_kl, capture, say), split, lines)
    known = _known_start(start, config, facts, rows, head.scale)
    begin: Tensor | None
    if known is not None:
        train, ridge = Problem(parts.part(split.train, rows), head, rows), known[0]
        begin = known[1].to(train.W)
    else:
        train, ridge, begin = _coarse_to_fine(
            parts, capture, split, select, head, rows, config, say
        )
    parameters, x, centre = _start(train, config, begin)
    tolerance = CONVERGED_GRADIENT[dtype] if config.stop == "optimum" else 0.0
    words: dict[str, Any] = {
        "ridge": ridge,
        "max_evaluations": config.max_evaluations,
        "patience": config.patience if config.stop == "select" else None,
        "centre": centre,
        "gradient_tolerance": tolerance,
        "log": say,
    }
    if known is None:
        if train.softcap is not None:
            train.relaxed = select.relaxed = True
            x = solve(train, select, parameters, x, stage="uncapped", **words).x
            train.relaxed = select.relaxed = False
        solution = solve(train, select, parameters, x, stage="full", **words)
        x = solution.x
    if config.rank is not None:
        low, y = LowRank.of(parameters.to_change(x), train.covariance, config.rank)
        solution = solve(train, select, low, y, stage=f"rank {config.rank}", **words)
        A, B = low.factors(solution.x)
        found = _veneer(capture, facts, None, rows, A / head.scale, B)
    elif isinstance(parameters, Constant):
        found = Veneer.of_bias(
            capture.head.hash(),
            capture.head.width,
            (solution.x / head.scale).float().cpu(),
            rows.cpu(),
            vocabulary=head.rows,
            **facts,
        )
    elif isinstance(parameters, Hidden):
        found = _veneer(
            capture, facts, None, None, head.weight.to(device, dtype), parameters.matrix(solution.x)
        )
    else:
        found = _veneer(capture, facts, parameters.to_change(solution.x) / head.scale, rows)
    found.facts["extraction"] = {
        "ridge": ridge,
        "objective": solution.objective,
        "gradient_norm": solution.gradient_norm,
        "select_kl": solution.select_kl,
        "select_kl_base": zero_kl,
        "evaluations": solution.evaluations,
        "train_tokens": train.n,
        "select_tokens": select.n,
        "convex": head.softcap is None and config.rank is None,
    }
    return Extraction(
        _zero_if_as_good(found, solution.select_kl, zero_kl, capture, say), split, lines
    )


def _known_start(
    veneer: Veneer | None, config: ExtractConfig, facts: dict[str, Any], rows: Tensor, scale: float
) -> tuple[float, Tensor] | None:
    """Ridge and scale * dW (R, d) of a dense veneer that this very extraction, but for the rank,
    would find; or None."""
    if (
        veneer is None
        or config.rank is None
        or veneer.rank is not None
        or not torch.equal(veneer.changed_rows(), rows.cpu())
    ):
        return None
    wanted = {k: facts[k] for k in ("capture", "split", "base", "aligned")} | {
        "config": {**facts["config"], "rank": None}
    }
    if "extraction" not in veneer.facts or any(veneer.facts.get(k) != v for k, v in wanted.items()):
        return None
    return veneer.facts["extraction"]["ridge"], veneer.values() * scale


def _coarse_to_fine(
    parts: Parts,
    capture: Capture,
    split: Split,
    select: Problem,
    head: Any,
    rows: Tensor,
    config: ExtractConfig,
    say: Log,
) -> tuple[Problem, float, Tensor | None]:
    """The full problem, the ridge, and a start found on a part of the data (None: start
    from no change).

    The prior's precision is what carries over from a part to the whole, so the ridge is scaled with
    the number of tokens.
    """
    tokens = capture.tokens * len(split.train) / len(capture.prompt_numbers)
    part = 1 if tokens <= COARSE_TOKENS else round(tokens / COARSE_TOKENS)
    ridges = config.ridges if config.ridge is None else (config.ridge,)
    if config.stop == "optimum" or (part == 1 and len(ridges) == 1):
        train = Problem(parts.part(split.train, rows), head, rows)
        return (
            train,
            _precision(train, config)
            * (config.ridge if config.ridge is not None else sorted(ridges)[len(ridges) // 2]),
            None,
        )
    coarse = Problem(parts.part(split.train[::part], rows), head, rows)
    parameters, x, centre = _start(coarse, config, None)
    if coarse.softcap is not None:
        coarse.relaxed = select.relaxed = True
    best: tuple[Solution, float] | None = None
    for strength in sorted(ridges, reverse=True):
        solution = solve(
            coarse,
            select,
            parameters,
            best[0].x if best else x,
            ridge=_precision(coarse, config) * strength,
            max_evaluations=15,
            patience=2,
            centre=centre,
            log=say,
            stage="ridge",
            strength=strength,
        )
        if best is None or solution.select_kl < best[0].select_kl:
            best = (solution, strength)
        else:
            break
    assert best is not None
    coarse.relaxed = select.relaxed = False
    train = Problem(parts.part(split.train, rows), head, rows) if part > 1 else coarse
    return train, _precision(train, config) * best[1], parameters.to_change(best[0].x)


def _precision(problem: Problem, config: ExtractConfig) -> float:
    """Ridge in the objective for a strength of 1: the mean square of what the change multiplies,
    over the tokens."""
    if config.output == "bias":
        return 1 / problem.n
    return float(problem.covariance.diagonal().mean()) / problem.n


def _start(
    problem: Problem, config: ExtractConfig, change: Tensor | None
) -> tuple[Dense | Hidden | Constant, Tensor, Tensor | None]:
    """Parametrisation, starting x, and the ridge's centre."""
    if config.output == "bias":
        shift = Constant.of(problem)
        return (
            shift,
            shift.from_change(torch.zeros_like(problem.W) if change is None else change),
            None,
        )
    if config.output == "logit":
        dense = Dense.of(problem.covariance, problem.W.dtype)
        centre = -problem.W if config.direct else None
        begin = (
            change
            if change is not None
            else (centre if centre is not None else torch.zeros_like(problem.W))
        )
        return dense, dense.from_change(begin), centre
    hidden = Hidden.of(problem.W, problem.base_mass, problem.covariance)
    width = problem.W.shape[1]
    if change is not None:
        matrix = torch.linalg.lstsq(
            problem.W.double().t() @ problem.W.double(), problem.W.double().t() @ change.double()
        ).solution
    else:
        matrix = (
            -torch.eye(width, dtype=torch.float64)
            if config.direct
            else torch.zeros(width, width, dtype=torch.float64)
        )
    x = (
        hidden.left.vectors.t().double()
        @ matrix.to(problem.W.device)
        @ hidden.right.vectors.double()
    )
    return hidden, x.to(problem.W.dtype), -problem.W if config.direct else None


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
                for part in (split.train, split.select, split.report)
                for n in part
            )
        ),
        **(
            {"templates": record_of_tasks(manifest["templates"], config.tasks)}
            if manifest.get("templates")
            else {}
        ),
    }


def _veneer(
    capture: Capture,
    facts: dict[str, Any],
    dW: Tensor | None,
    rows: Tensor | None,
    A: Tensor | None = None,
    B: Tensor | None = None,
) -> Veneer:
    ready = {
        k: None if v is None else v.detach().float().cpu().contiguous()
        for k, v in (("dW", dW), ("A", A), ("B", B))
    }
    kept = None if rows is None or len(rows) == capture.head.rows else rows.cpu()
    return Veneer(
        capture.head.hash(), capture.head.rows, ready["dW"], kept, ready["A"], ready["B"], facts
    )


def _zero_if_as_good(
    veneer: Veneer, kl: float, zero_kl: float, capture: Capture, say: Log
) -> Veneer:
    """No change at all where the change gains no more on the select part than rounding and the
    noise floor could explain."""
    noise = capture.noise
    floor = sum(r["kl"] for r in noise) / max(1, sum(r["tokens"] for r in noise))
    if zero_kl - kl > max(1e-6, 3 * abs(floor)):
        return veneer
    say(
        {
            "note": (
                f"select KL {kl:.3g} is not below {zero_kl:.3g} of no change by more than noise: "
                "the veneer is zero"
            )
        }
    )
    empty = torch.zeros(0, veneer.width)
    return Veneer(
        veneer.unembedding,
        veneer.vocabulary,
        empty,
        torch.zeros(0, dtype=torch.long),
        facts={**veneer.facts, "zero": True},
    )
