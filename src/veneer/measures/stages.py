"""Stages that several studies have: a capture, extractions from it, answers to tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from veneer.foundation.stages import Stage
from veneer.measures.config import StudyConfig
from veneer.prompts.prompt import Prompt
from veneer.tasks.task import Task

# Time of an extraction with its held-out figures, as a share of its capture's: 0.92 and 0.34 of the
# two full runs measured (docs/terminal.md); a control 0.32 and 0.30.
EXTRACT_SHARE = 0.6
CONTROL_SHARE = 0.3
OWN_SHARE = 0.02  # a task's own veneer: 0.02 and 0.04
CAPTURING = 2.0  # time of an answer that is captured, as a multiple of one that is decoded
STARTING = 2000.0  # time before a capture's first answer, and of its noise floor, in decoded tokens
READING = 20.0  # time to read a prompt, in decoded tokens: 15 to 22 on a CPU (docs/terminal.md)
# New tokens of an aligned model's answer, as a share of the limit, before one was seen. Base and
# its controls seldom end by themselves.
LIKELY = 1 / 3
ENDING = ("veneer", "aligned")
SCORING = 1.25  # answers with their judges and likelihoods, as a multiple of the answers alone
CONTROLS = ("base-chat", "aligned-plain", "base-no-empty")  # systems.system.control_systems


def capture_stage(
    train: Mapping[str, Sequence[Prompt]],
    tasks: Sequence[Task],
    config: StudyConfig,
    name: str = "capture",
    folder: str = "capture",
    answer_tokens: float | None = None,
) -> Stage:
    """A capture of the train prompts of tasks. answer_tokens: mean of the aligned model's answers,
    once they are known."""
    trained = [t for t in tasks if train.get(t.name)]
    longest = config.capture_config(trained).sampling.max_new_tokens
    sizes = {task: len(prompts) for task, prompts in train.items()}
    return Stage(
        name,
        prompts=sizes,
        tokens=longest,
        likely={"": answer_tokens or _likely(trained, config)},
        reading=READING,
        weight=CAPTURING,
        share=STARTING,
        writes=(f"{folder}/",),
    )


def extract_stage(
    capture: Stage,
    folders: Sequence[str],
    name: str = "extract",
    share: float = EXTRACT_SHARE,
) -> Stage:
    """Extractions from a capture into folders. share: their time, as a share of the capture's."""
    return Stage(name, share=share * capture.work, writes=tuple(f"{f}/" for f in folders))


def answer_stage(
    tasks: Sequence[Task],
    test: Mapping[str, Sequence[Prompt]],
    systems: Sequence[str],
    config: StudyConfig,
    answer_tokens: float | None = None,
) -> Stage:
    """The answers of systems to tasks (measures/answers.py), judged. answer_tokens: mean of the
    aligned model's answers, once they are known."""
    return Stage(
        "measure",
        prompts={name: len(prompts) for name, prompts in test.items()},
        systems=tuple(systems),
        samples=config.samples,
        tokens={t.name: config.sampling(t).max_new_tokens for t in tasks},
        likely=dict.fromkeys(ENDING, answer_tokens or _likely(tasks, config)),
        reading=READING,
        weight=SCORING,
        writes=("responses/",),
    )


def first_batch(prompts: Mapping[str, Sequence[Prompt]], batch_size: int) -> list[Prompt]:
    """The prompts of one batch: the first task's first ones."""
    return list(next(iter(prompts.values()), ()))[:batch_size]


def _likely(tasks: Sequence[Task], config: StudyConfig) -> float:
    """Tokens of an aligned model's answer, where none was seen."""
    limits = [config.sampling(t).max_new_tokens for t in tasks]
    return LIKELY * sum(limits) / max(1, len(limits))
