"""Read prompts from one argument: a task's name, a prompt file, or a hub data set."""

from __future__ import annotations

from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts
from veneer.prompts.prompt import Prompt
from veneer.tasks.custom import is_task_file
from veneer.tasks.registry import TASKS, get_task
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
    """Return at most `limit` prompts of a task's `split` (a task by name, or a custom task file),
    or of a prompt file (`veneer.prompts.files.read_prompts`).

    A task brings base's text itself, so `base_template` and `column` are for prompt files alone.
    Raises InputError where no task and no file has that name.
    """
    if limit is not None and limit < 1:
        raise InputError(f"found --limit {limit}; expected 1 or more")
    if (
        source in TASKS
        or source.startswith("file:")
        or (source.endswith(".jsonl") and is_task_file(Path(source)))
    ):
        return get_task(source, data).clustered(split)[:limit]
    if not source.startswith("hf://") and not Path(source).exists():
        raise InputError(
            f"{source} is neither a file nor a task; give a file, hf://OWNER/NAME, or one "
            f"of {', '.join(TASKS)}"
        )
    return read_prompts(source, base_template=base_template, column=column, limit=limit)
