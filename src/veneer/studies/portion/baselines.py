"""Baselines beside the veneer: other ways to align base, smaller veneers, and veneers of other
tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from veneer.capture.artefact import Capture
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.foundation.system_id import SystemId
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
    "urial": "base after URIAL's instructions and three examples",
    "system-prompt": "base after URIAL's instructions alone",
    "lora-K": "LoRA of base on K answers of the aligned model",
    "bias": "a constant vector in place of dW h: the lower bound of style",
    "rank-R": "a veneer of rank R",
    "from-TASK": "the veneer of one task, measured on all",
}
ALL = ("urial", "system-prompt", "lora-100", "bias", "rank-1", "rank-4", "rank-16")
# kind of a system -> the word that a person writes for it
WORDS = {
    "lora": "lora-{answers}",
    "veneer-bias": "bias",
    "veneer-rank": "rank-{rank}",
    "veneer-from": "from-{task}",
}


def parse_baselines(text: str | None, tasks: Sequence[str]) -> list[SystemId]:
    """The systems that a person's words name, each once, in the order given.

    text: words separated by commas: those of `BASELINES` with numbers for K and R, `all` for
    `ALL`, `cross` for from-TASK of each task. Raises InputError for any other word, MissingExtra
    where a LoRA needs peft.
    """
    baselines = list(dict.fromkeys(_identities(text or "", tasks)))
    if any(b.kind == "lora" for b in baselines):
        need_peft()
    return baselines


def _identities(text: str, tasks: Sequence[str]) -> Iterator[SystemId]:
    for word in words_of(text):
        number = re.fullmatch(r"(lora|rank)-([1-9][0-9]*)", word)
        if word == "all":
            yield from _identities(",".join(ALL), tasks)
        elif word == "cross":
            yield from (SystemId.of("veneer-from", task=t) for t in tasks)
        elif number and number[1] == "lora":
            yield SystemId.of("lora", answers=int(number[2]))
        elif number:
            yield SystemId.of("veneer-rank", rank=int(number[2]))
        elif word == "bias":
            yield SystemId.of("veneer-bias")
        elif word in FILES:
            yield SystemId.of(word)
        elif word in (sources := {f"from-{t}": t for t in tasks}):
            yield SystemId.of("veneer-from", task=sources[word])
        else:
            raise InputError(
                f"there is no baseline {word!r}; expected some of {', '.join(BASELINES)} (K and R "
                f"are numbers, TASK one of {', '.join(tasks) or 'the tasks'}), all or cross"
            )


def words_of(text: str) -> list[str]:
    """The words between the commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def trains_lora(text: str) -> bool:
    """Whether these words, before the tasks are known, name a LoRA."""
    return any(word == "all" or word.startswith("lora") for word in words_of(text))


def word_for(baseline: SystemId) -> str:
    """The word that a person writes for a baseline."""
    form = WORDS.get(baseline.kind)
    return baseline.name if form is None else form.format(**dict(baseline.settings))


def needs_capture(baseline: SystemId) -> bool:
    return baseline.kind not in FILES


def check_baselines(
    baselines: Sequence[SystemId], pair: Pair, prompts: Sequence[Prompt], max_new_tokens: int
) -> tuple[list[SystemId], list[str]]:
    """The baselines that these prompts allow, and a sentence for each that does not fit: an
    in-context prompt that is longer than base can read."""
    fit, left_out = [], []
    for baseline in baselines:
        if not needs_capture(baseline):
            system = in_context_system(baseline.kind, pair)
            need, longest = (
                max(system.prompt_tokens(prompts), default=0) + max_new_tokens,
                system.longest(),
            )
            if longest is not None and need > longest:
                left_out.append(
                    f"{baseline.name} is left out: its prompts and answers take {need} tokens, but "
                    f"{pair.base.name} reads {longest}"
                )
                continue
        fit.append(baseline)
    return fit, left_out


def baseline_systems(
    baselines: Sequence[SystemId],
    pair: Pair,
    capture: Capture | None,
    veneer: Veneer | None,
    config: ExtractConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    log: Log | None = None,
) -> list[System]:
    """The systems of these baselines, in their order, each with its identity's name.

    capture: what a LoRA or a veneer learns from; all use its train part alone. veneer: the joint
    dense one, from which low-rank ones begin. config: the settings of that extraction. The folder
    `out` keeps each one (lora-K, veneer-bias, veneer-rank-R, veneer-TASK); one that exists is read.
    Raises InputError where a baseline needs a capture and there is none, or one with more prompts.
    """
    learned = [b for b in baselines if needs_capture(b)]
    if capture is None and learned:
        raise InputError(
            f"{', '.join(map(word_for, learned))} is made from a capture, which this command has "
            f"not; use `veneer run`, or only {', '.join(FILES)}"
        )
    for baseline in learned:  # all are checked before the first is built
        assert capture is not None
        if baseline.kind == "veneer-from":
            split_of(capture, config.seed, (baseline.get("task"),))
        elif baseline.kind == "lora":
            train = split_of(capture, config.seed, config.tasks).train
            chosen(capture, train, LoraConfig(baseline.get("answers"), seed=config.seed))
    systems = []
    for baseline in baselines:
        if not needs_capture(baseline):
            systems.append(in_context_system(baseline.kind, pair))
            continue
        assert capture is not None
        if baseline.kind == "lora":
            systems.append(_lora_system(baseline, pair, capture, config, out, progress))
        else:
            systems.append(_veneer_system(baseline, pair, capture, veneer, config, out, log))
    return systems


def _lora_system(
    baseline: SystemId,
    pair: Pair,
    capture: Capture,
    config: ExtractConfig,
    out: Path,
    progress: Progress | None,
) -> System:
    lm = lora_model(
        pair,
        capture,
        split_of(capture, config.seed, config.tasks).train,
        LoraConfig(baseline.get("answers"), seed=config.seed),
        out / baseline.name,
        progress=progress,
    )
    return System(baseline.name, lm, pair.base_format, pair.stop_ids)


def _veneer_system(
    baseline: SystemId,
    pair: Pair,
    capture: Capture,
    joint: Veneer | None,
    config: ExtractConfig,
    out: Path,
    log: Log | None,
) -> System:
    if baseline.kind == "veneer-from":
        task = baseline.get("task")
        # the folder of the task's own veneer, which the study extracts anyway
        folder, settings = out / f"veneer-{task}", replace(config, tasks=(task,))
    else:
        folder = out / baseline.name
        plain = replace(config, direct=False, solver="lbfgs")
        settings = (
            replace(plain, output="bias", rank=None)
            if baseline.kind == "veneer-bias"
            else replace(plain, output="logit", rank=baseline.get("rank"))
        )
    veneer = extract_to(capture, settings, folder, device=pair.base.device, log=log, start=joint)
    system = System.of_model(pair.base, veneer, format=pair.base_format, name=baseline.name)
    return replace(system, stop_ids=pair.stop_ids)
