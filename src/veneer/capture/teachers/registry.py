"""Teachers by name: those that installed packages offer to `veneer capture --teacher`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from veneer.capture.teachers.teacher import Teacher
from veneer.foundation.errors import InputError
from veneer.foundation.registry import Registry
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt

# (base, prompts, argument) -> teacher; see `teacher`.
TeacherFactory = Callable[[LanguageModel, Sequence[Prompt], str | None], Teacher]

# The teachers of this package need settings of several words, so they have options of their own.
TEACHERS: Registry[TeacherFactory] = Registry("teacher", "veneer.teachers")
MEMBERS = ("name", "size", "stop_ids", "models", "inputs", "lengths", "longest", "answer", "facts")


def teacher(name: str) -> Callable[[Any], Any]:
    """Return a decorator that registers a teacher under `name` (docs/extending.md).

    It stands above a function of base (the model that reads the answers), the prompts, and the text
    that follows the name in `--teacher NAME:TEXT`, or None; it returns a `Teacher`. Raises
    InputError where another teacher has the name.
    """
    return TEACHERS.register(name)


def get_teacher(choice: str, base: LanguageModel, prompts: Sequence[Prompt]) -> Teacher:
    """Build the teacher that `--teacher NAME` or `--teacher NAME:TEXT` chooses.

    Raises InputError for an unknown name, and for a teacher that cannot be imported or lacks a part
    of the interface.
    """
    name, colon, text = choice.partition(":")
    built = TEACHERS.get(name)(base, prompts, text if colon else None)
    if lacking := [member for member in MEMBERS if not hasattr(built, member)]:
        raise InputError(
            f"the teacher {name!r} gives an object without {', '.join(lacking)}; expected a "
            "veneer.Teacher"
        )
    return built
