"""Baselines beside the veneer: other ways to align base, smaller veneers, and
veneers of other tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from veneer.capture.artefact import Capture
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.head.config import ExtractConfig
from veneer.head.extract import split_of
from veneer.head.veneer import Veneer
from veneer.measures.extraction import Log, extract_to
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.in_context import FILES, in_context_system
from veneer.systems.lora import LoraConfig, chosen, lora_model, need_peft
from veneer.systems.system import System

BASELINES = {
    "urial": "base behind URIAL's instructions and three examples",
    "system-prompt": "base behind URIAL's instructions alone",
    "lora-K": "LoRA of base on K answers of the aligned model",
    "bias": "a constant vector in place of dW h: the lower bound of style",
    "rank-R": "a veneer of rank R",
    "from-TASK": "the veneer of one task, measured on all",
}
ALL = ("urial", "system-prompt", "lora-100", "bias", "rank-1", "rank-4", "rank-16")


def parse_baselines(text: str | None, tasks: Sequence[str]) -> list[str]:
    """Names separated by commas: those of `BASELINES` with numbers for K and R, `all` for `ALL`,
    `cross` for from-TASK of each task. Each once, in the order given. Raises InputError for any
    other name, MissingExtra where a LoRA needs peft."""
    known = {*FILES, "bias", *(f"from-{t}" for t in tasks)}
    found: list[str] = []
    for word in (w.strip() for w in (text or "").split(",")):
        if word == "all":
            found += ALL
        elif word == "cross":
            found += [f"from-{t}" for t in tasks]
        elif word in known or re.fullmatch(r"(lora|rank)-[1-9][0-9]*", word):
            found.append(word)
        elif word:
            raise InputError(
                f"there is no baseline {word!r}; expected some of {', '.join(BASELINES)} (K and R "
                f"are numbers, TASK one of {', '.join(tasks) or 'the tasks'}), all or cross"
            )
    if any(name.startswith("lora-") for name in found):
        need_peft()
    return list(dict.fromkeys(found))


def needs_capture(name: str) -> bool:
    return name not in FILES


def check_baselines(
    names: Sequence[str], pair: Pair, prompts: Sequence[Prompt], max_new_tokens: int
) -> tuple[list[str], list[str]]:
    """The baselines that these prompts allow, and a sentence for each that does not fit: an
    in-context prompt that is longer than base can read."""
    fit, said = [], []
    for name in names:
        if name in FILES:
            system = in_context_system(name, pair)
            need, longest = (
                max(system.prompt_tokens(prompts), default=0) + max_new_tokens,
                system.longest(),
            )
            if longest is not None and need > longest:
                said.append(
                    f"{name} is left out: its prompts and answers take {need} tokens, but "
                    f"{pair.base.name} reads {longest}"
                )
                continue
        fit.append(name)
    return fit, said


def baseline_systems(
    names: Sequence[str],
    pair: Pair,
    taken: Capture | None,
    veneer: Veneer | None,
    config: ExtractConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    log: Log | None = None,
) -> list[System]:
    """The systems behind the names of `parse_baselines`, called urial, system-prompt, lora-K,
    veneer-bias, veneer-rank-R and veneer-from-TASK.

    taken: the capture that a LoRA or a veneer is made from; all use its train part alone. veneer:
    the joint dense one, from which low-rank ones begin. config: of that extraction. What is made
    stands in `out` (lora-K, veneer-bias, veneer-rank-R, veneer-TASK) and is read where it is there.
    Raises InputError where a baseline needs a capture and there is none, or one with more prompts.
    """
    if taken is None and (some := [n for n in names if needs_capture(n)]):
        raise InputError(
            f"{', '.join(some)} is made from a capture, which this command has not; use `veneer "
            f"run`, or only {', '.join(FILES)}"
        )
    for name in names:  # before the first of them is made
        if taken is None:
            continue
        kind, _, rest = name.partition("-")
        if kind == "from":
            split_of(taken, config.seed, (rest,))
        elif kind == "lora":
            chosen(
                taken,
                split_of(taken, config.seed, config.tasks).train,
                LoraConfig(int(rest), seed=config.seed),
            )
    return [_system(name, pair, taken, veneer, config, out, progress, log) for name in names]


def _system(
    name: str,
    pair: Pair,
    taken: Capture | None,
    joint: Veneer | None,
    config: ExtractConfig,
    out: Path,
    progress: Progress | None,
    log: Log | None,
) -> System:
    if name in FILES:
        return in_context_system(name, pair)
    assert taken is not None
    kind, _, rest = name.partition("-")
    if kind == "lora":
        how = LoraConfig(int(rest), seed=config.seed)
        lm = lora_model(
            pair,
            taken,
            split_of(taken, config.seed, config.tasks).train,
            how,
            out / name,
            progress=progress,
        )
        return System(name, lm, pair.base_format, pair.stop_ids)
    folder = f"veneer-{rest}" if kind == "from" else f"veneer-{name}"
    own = {
        "bias": replace(config, output="bias", rank=None, direct=False, solver="lbfgs"),
        "rank": replace(
            config,
            output="logit",
            rank=int(rest) if kind == "rank" else None,
            direct=False,
            solver="lbfgs",
        ),
        "from": replace(config, tasks=(rest,)),
    }[kind]
    found = extract_to(taken, own, out / folder, device=pair.base.device, log=log, start=joint)
    system = System.of_model(pair.base, found, format=pair.base_format, name=f"veneer-{name}")
    return replace(system, stop_ids=pair.stop_ids)
