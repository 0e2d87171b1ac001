"""Viewpoint files: a question and the viewpoints that people hold on it, a JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.imports.rows import get, objects
from veneer.prompts.prompt import Prompt

EXPECTED = (
    '{"question": text, "viewpoints": [{"id": text, "statement": text, "weight": number '
    "(optional)}, ...]}"
)
LARGEST = 1e15  # people, or anything else that is counted


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """statement: the view in one or two sentences, as somebody who holds it would put it. weight:
    how many hold it (people, or a share)."""

    id: str
    statement: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    text: str
    viewpoints: tuple[Viewpoint, ...]

    @property
    def weighted(self) -> bool:
        return len({v.weight for v in self.viewpoints}) > 1

    def prompt(self) -> Prompt:
        return Prompt.from_text(self.id, self.text, task="overton")


def read_viewpoints(path: Path) -> list[Question]:
    """Read a viewpoint file. A question's id is its "id", otherwise its number from 0. Raises
    InputError naming the line for anything but questions with one viewpoint or more each, unique
    ids, and weights above 0 for all viewpoints of all questions or for none."""
    questions: list[Question] = []
    with_weights: list[bool] = []
    for where, row in objects(path, EXPECTED):
        question = _question(row, len(questions), where)
        with_weights.append("weight" in row["viewpoints"][0])
        if with_weights[-1] != with_weights[0]:
            has, first = (
                "weights" if given else "no weights"
                for given in (with_weights[-1], with_weights[0])
            )
            raise InputError(
                f"{where} has {has} and the first question has {first}; expected weights for all "
                "questions or for none: a weighted score over both would mix two measures"
            )
        if any(q.id == question.id for q in questions):
            raise InputError(
                f"{where} has the id {question.id!r}, as an earlier line has; give each "
                "question its own id"
            )
        questions.append(question)
    if not questions:
        raise InputError(f"{path} holds no questions; expected one per line: {EXPECTED}")
    return questions


def example_viewpoints() -> list[Question]:
    """A small file written by hand for this package, to try the measure with; its weights are made
    up and no survey's."""
    with resources.as_file(resources.files("veneer.studies.overton") / "example.jsonl") as path:
        return read_viewpoints(path)


def _question(row: dict[str, Any], count: int, where: str) -> Question:
    text = get(row, "question", str, where, EXPECTED)
    id = str(get(row, "id", (str, int), where, EXPECTED)) if "id" in row else str(count)
    listed = get(row, "viewpoints", list, where, EXPECTED)
    if not text.strip() or not listed:
        raise InputError(
            f"{where} has {'an empty question' if not text.strip() else 'no viewpoints'}; "
            f"expected {EXPECTED}"
        )
    viewpoints = tuple(_viewpoint(v, f"{where}, viewpoint {i}") for i, v in enumerate(listed, 1))
    if len({v.id for v in viewpoints}) < len(viewpoints):
        raise InputError(f"{where} has two viewpoints with the same id; give each its own")
    given = sum("weight" in v for v in listed)
    if 0 < given < len(viewpoints):
        raise InputError(
            f"{where} gives {given} of {len(viewpoints)} viewpoints a weight; give all of them "
            "one, or none"
        )
    return Question(id, text, viewpoints)


def _viewpoint(value: Any, where: str) -> Viewpoint:
    if not isinstance(value, dict):
        raise InputError(f"{where} is no object; expected {EXPECTED}")
    statement = get(value, "statement", str, where, EXPECTED)
    weight = get(value, "weight", (int, float), where, EXPECTED) if "weight" in value else 1.0
    if not statement.strip():
        raise InputError(f"{where} has an empty statement; expected {EXPECTED}")
    if not 0 < weight < LARGEST:
        raise InputError(
            f"{where} has the weight {weight}; expected a number above 0 and below {LARGEST:g}"
        )
    return Viewpoint(str(get(value, "id", (str, int), where, EXPECTED)), statement, float(weight))
