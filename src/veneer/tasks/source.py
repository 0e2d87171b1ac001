"""Read prompts from one argument: a task's name, a prompt file, or a hub data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.settings import refuse_unused
from veneer.prompts.clusters import warn_of_repeats
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
    measured: bool = True,
) -> list[Prompt]:
    """Return at most `limit` prompts of a task's `split` (a task by name, or a custom task file),
    or of a prompt file (`veneer.prompts.files.read_prompts`).

    A task brings base's text itself, so `base_template` and `column` are for prompt files alone.
    measured: figures are made of the answers, so that a warning counts lines that repeat a text.
    Raises InputError where no task and no file has that name.
    """
    if limit is not None and limit < 1:
        raise InputError(f"found --limit {limit}; expected 1 or more")
    if source in TASKS:
        return get_task(source, data).clustered(split)[:limit]
    if _is_own_task(source):
        prompts = get_task(source, data).clustered(split)[:limit]
    elif source.startswith("hf://") or _exists(source):
        prompts = read_prompts(source, base_template=base_template, column=column, limit=limit)
    elif len(source.split()) > 2:
        raise InputError(
            f"{source[:60]!r} is neither a file nor a task; where it is a prompt, write it into a "
            "file with one prompt per line (prompts.txt), and give that file"
        )
    else:
        raise InputError(
            f"{source} is neither a file nor a task; give a file, hf://OWNER/NAME, or one "
            f"of {', '.join(TASKS)}"
        )
    if measured:
        warn_of_repeats(prompts, source)
    return prompts


def refuse_unread(settings: Any, *sources: str) -> None:
    """Raise SettingError for options of a settings object that no source reads: `data` and `split`
    are for tasks, `column` is for prompt files."""
    tasks = [s in TASKS for s in sources]
    own = [_is_own_task(s) for s in sources]
    if not any(tasks):
        refuse_unused(settings, "without the name of a task", "data")
    if not any(tasks) and not any(own):
        refuse_unused(settings, "without a task", "split")
    if all(t or o for t, o in zip(tasks, own, strict=True)):
        refuse_unused(settings, "with a task", "column")


def _exists(source: str) -> bool:
    try:
        return Path(source).exists()
    except OSError:  # a text that is too long for a name
        return False


def _is_own_task(source: str) -> bool:
    """Whether a source is a custom task file."""
    if source in TASKS:
        return False
    return source.startswith("file:") or (source.endswith(".jsonl") and is_task_file(Path(source)))
