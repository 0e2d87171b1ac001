"""Questions with answers, from a file or a task: what a model was or will be trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.imports.imported import Rules
from veneer.imports.registry import guess, read_stored
from veneer.prompts.prompt import Prompt
from veneer.tasks.registry import TASKS
from veneer.tasks.source import load_prompts
from veneer.tasks.task import Split

RULES = Rules(drop_truncated=False, drop_empty=False, drop_repeated=False)


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a data set. answer: None where the data has questions alone."""

    question: str
    answer: str | None


def read_examples(
    source: str, *, data: Path | None = None, split: Split = "train"
) -> list[Example]:
    """Examples of a file or a task.

    A file has prompts with answers, in any format of `veneer import`, or prompts alone. A task
    gives the questions of its `split`. Raises InputError where the source is neither, or holds no
    example.
    """
    if _is_task(source):
        return [
            Example(_question(p), None)
            for p in load_prompts(source, data=data, split=split, measured=False)
        ]
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"{source} is neither a file nor a task; give a file of questions with answers, or one "
            f"of {', '.join(TASKS)}"
        )
    try:
        format = guess(path)
    except InputError:  # no format of answers: prompts alone, or nothing that can be read
        return [Example(_question(p), None) for p in load_prompts(source, measured=False)]
    imported = read_stored(path, format, rules=RULES)
    questions = {p.id: _question(p) for p in imported.prompts}
    examples = [
        Example(questions[r.prompt_id], r.text)
        for r in imported.responses
        if r.prompt_id in questions
    ]
    if len(examples) < len(imported.responses):
        missing = next(r.prompt_id for r in imported.responses if r.prompt_id not in questions)
        raise InputError(
            f"{source} has answers without their prompts, such as that of {missing!r}; expected "
            '{"prompt": question, "text": answer} on each line'
        )
    return examples


def _is_task(source: str) -> bool:
    return source in TASKS or source.startswith("file:")


def _question(prompt: Prompt) -> str:
    """What the user says last."""
    return next(t["content"] for t in reversed(prompt.messages) if t["role"] == "user")
