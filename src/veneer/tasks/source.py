"""Prompts by one word: a task's name, or a prompt file or hub data set."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts
from veneer.prompts.prompt import Prompt
from veneer.tasks.custom import is_task_file
from veneer.tasks.registry import TASK_NAMES, get_task
from veneer.tasks.task import Split


def load_prompts(
    source: str,
    *,
    data: Path | None = None,
    split: Split = "train",
    base_template: str | None = None,
    column: str | None = None,
    limit: int | None = None,
) -> list[Prompt]:
    """The prompts of a task's `split` (one of the package, or an own task's file), or of a prompt
    file (`prompt_files.read_prompts`); at most `limit` of them.

    A task brings base's text itself, so `base_template` and `column` are for prompt files alone.
    Raises InputError where there is neither a task nor a file of that name.
    """
    if limit is not None and limit < 1:
        raise InputError(f"found --limit {limit}; expected 1 or more")
    if (
        source in TASK_NAMES
        or source.startswith("file:")
        or (source.endswith(".jsonl") and is_task_file(Path(source)))
    ):
        return get_task(source, data).prompts(split)[:limit]
    if not source.startswith("hf://") and not Path(source).exists():
        known = ", ".join(TASK_NAMES)
        raise InputError(
            f"{source} is neither a file nor a task; give a file, hf://OWNER/NAME, or one "
            f"of {known}"
        )
    return read_prompts(source, base_template=base_template, column=column, limit=limit)
