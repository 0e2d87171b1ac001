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
CAPTURING = 2.0  # time of a token that is captured, as a multiple of one that is decoded
READING = 2.0  # time to read a prompt, in decoded tokens
CONTROLS = ("base-chat", "aligned-plain", "base-no-empty")  # systems.system.control_systems


def capture_stage(
    train: Mapping[str, Sequence[Prompt]],
    tasks: Sequence[Task],
    config: StudyConfig,
    name: str = "capture",
    folder: str = "capture",
) -> Stage:
    """A capture of the train prompts of tasks."""
    trained = [t for t in tasks if train.get(t.name)]
    longest = config.capture_config(trained).sampling.max_new_tokens
    sizes = {task: len(prompts) for task, prompts in train.items()}
    # an answer ends where the task's answers end, and the capture's limit is that of no task
    likely = sum(config.sampling(t).max_new_tokens * sizes[t.name] for t in trained)
    return Stage(
        name,
        prompts=sizes,
        tokens=longest,
        weight=CAPTURING * likely / max(1, longest * sum(sizes.values())),
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
) -> Stage:
    """The answers of systems to tasks (measures/answers.py), judged."""
    return Stage(
        "measure",
        prompts={name: len(prompts) for name, prompts in test.items()},
        systems=tuple(systems),
        samples=config.samples,
        tokens={t.name: config.sampling(t).max_new_tokens for t in tasks},
        writes=("responses/",),
    )
