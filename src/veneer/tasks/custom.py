"""Custom tasks: a JSONL file with prompts and a scorer (docs/tasks.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.reading.content import opened
from veneer.foundation.reading.decode import marked
from veneer.foundation.reading.json_values import json_values
from veneer.foundation.reading.turns import OTHER_NAMES, text_of
from veneer.prompts.prompt import PLACE, Prompt
from veneer.prompts.templates import wrapped
from veneer.tasks.custom_schema import Header, TaskRow, checked
from veneer.tasks.custom_scorers import compiled, is_blank, scored
from veneer.tasks.numbers import plain_decimal
from veneer.tasks.task import Better, Split, Task, check_split

EXPECTED = (
    'a task: a first line {"task": {"name", "scorer", ...}} and one line per prompt (docs/tasks.md)'
)
# a header for prompts without references
REFUSALS = '{"task": {"name": "mine", "scorer": "judge:refusal", "metric": "refusal_rate"}}'
PEEK = 4096  # bytes in which a header begins


@dataclass(frozen=True)
class CustomTask(Task):
    """A task that a file describes; `CustomTask.read` reads it. rows: the prompts of each split."""

    path: Path
    header: Header
    rows: Mapping[str, tuple[Prompt, ...]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> CustomTask:
        """Read a custom task. Raises InputError naming file and line where the file is not a
        task."""
        lines = _lines(path)
        number, first = next(lines, (1, None))
        if first is None:
            raise InputError(f"{path} is empty; expected {EXPECTED}")
        if not isinstance(first, dict) or set(first) != {"task"}:
            raise InputError(
                f'{path} line {number} is no header; expected {{"task": {{"name": ..., "scorer": '
                f"...}}}} before the prompts, such as {REFUSALS} to count refusals (docs/tasks.md)"
            )
        header = checked(Header, path, number, first["task"])
        if header.pattern is not None:
            compiled(header.pattern, header.ignore_case, f"{path} line {number}")
        rows: dict[str, list[Prompt]] = {"train": [], "test": []}
        seen: dict[str, int] = {}
        for number, value in lines:
            row = checked(TaskRow, path, number, value)
            prompt = _prompt(header, row, path, number)
            if prompt.id in seen:
                raise InputError(
                    f"{path} line {number} has the id {prompt.id!r}, as has line "
                    f"{seen[prompt.id]}; give each prompt its own id"
                )
            seen[prompt.id] = number
            rows[row.split].append(prompt)
        if not rows["test"]:
            raise InputError(
                f'{path} holds no test prompts; expected at least one row (its split is "test" '
                'unless it says "train")'
            )
        return cls(path, header, {split: tuple(prompts) for split, prompts in rows.items()})

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.header.name

    @property
    def kind(self) -> Literal["generate", "choice"]:  # type: ignore[override]
        return "choice" if self.header.scorer == "choice" else "generate"

    @property
    def headlines(self) -> Mapping[str, Better]:  # type: ignore[override]
        return {
            self.header.metric
            or ("match_rate" if self.header.scorer == "regex" else "accuracy"): self.header.better
        }

    @property
    def max_new_tokens(self) -> int:  # type: ignore[override]
        return self.header.max_new_tokens

    @property
    def published_max_new_tokens(self) -> int:  # type: ignore[override]
        return self.header.max_new_tokens

    @property
    def stop(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.header.stop

    @property
    def judges(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(
            dict.fromkeys(("refusal", *([self.header.judge] if self.header.judge else [])))
        )

    @property
    def headline_judges(self) -> Mapping[str, str]:  # type: ignore[override]
        return (
            {self.header.metric: self.header.judge}
            if self.header.metric and self.header.judge
            else {}
        )

    @property
    def scoring(self) -> str:  # type: ignore[override]
        return f"{self.headline}: by the scorer {self.header.scorer}" + (
            ", upper or lower case" if self.header.ignore_case else ""
        )

    @property
    def licence(self) -> str:  # type: ignore[override]
        return self.header.licence

    @property
    def citation(self) -> str:  # type: ignore[override]
        return self.header.citation

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        return list(self.rows[split])

    def kept_templates(self) -> set[str | None]:
        """Return the templates that the file gives for base, in its header or in its rows."""
        own = {
            p.own_template for prompts in self.rows.values() for p in prompts if p.template is None
        }
        return own | (
            {self.header.base_template} if self.header.base_template is not None else set()
        )

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        return scored(self.header, prompt, text)

    def group(self, prompt: Prompt) -> str | None:
        return prompt.reference.get("group")

    def cluster(self, prompt: Prompt) -> str | None:
        return prompt.reference.get("cluster")

    def source(self) -> dict[str, Any]:
        return {
            "from": self.header.source,
            "files": [{"file": str(self.path), "sha256": sha256_file(self.path)}],
        }

    def in_folder(self) -> bool:
        return False

    def available(self) -> bool:
        return True


def is_task_file(path: Path) -> bool:
    """Return whether a file's first line is a header."""
    try:
        with opened(path, EXPECTED) as stream:
            start = stream.read(PEEK)
    except InputError:
        return False
    encoding = marked(start)
    text = start.decode(encoding, errors="ignore").removeprefix("\ufeff")
    return re.match(r'\s*\{\s*"task"\s*:\s*\{', text) is not None


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value) of each row."""
    for where, value in json_values(path, EXPECTED):
        yield where.number, _plain_turns(value, where)


def _plain_turns(value: Any, where: str) -> Any:
    """Return a row in the form of `TaskRow`: contents in parts become text, and other names of the
    roles the usual ones."""
    if not isinstance(value, dict) or not isinstance(value.get("messages"), list):
        return value
    turns = [dict(t) if isinstance(t, dict) else t for t in value["messages"]]
    for number, turn in enumerate(turns, 1):
        if isinstance(turn, dict) and isinstance(turn.get("content"), list):
            turn["content"] = text_of(turn["content"], f"{where}, message {number}")
        if (
            isinstance(turn, dict)
            and isinstance(turn.get("role"), str)
            and turn["role"] in OTHER_NAMES
        ):
            turn["role"] = OTHER_NAMES[turn["role"]]
    return {**value, "messages": turns}


def _prompt(header: Header, row: TaskRow, path: Path, line: int) -> Prompt:
    messages: tuple[dict[str, str], ...] = (
        tuple(turn.model_dump() for turn in row.messages)
        if row.messages
        else ({"role": "user", "content": row.prompt or ""},)
    )
    template = None if row.plain is not None else header.base_template or PLACE
    plain = row.plain if template is None else wrapped(template, messages)
    assert plain is not None
    texts = [plain, *(m["content"] for m in messages)]
    if any(0xD800 <= ord(c) < 0xE000 for text in texts for c in text):
        raise InputError(
            f"{path} line {line} holds half of a character (a lone surrogate); expected "
            "valid Unicode"
        )
    more = {"group": row.group, "cluster": row.cluster, "target": row.target}
    reference = {k: v for k, v in more.items() if v is not None}
    reference |= _expected(header, row, f"{path} line {line}")
    return Prompt(
        str(line if row.id is None else row.id), messages, plain, header.name, reference, template
    )


def _expected(header: Header, row: TaskRow, where: str) -> dict[str, Any]:
    """Return the reference that the scorer needs of a row. Raises InputError where the row lacks
    it, or holds what another scorer needs."""
    need = {"regex": {"pattern"}, "choice": {"choices", "answer"}}.get(
        header.scorer, set() if header.judge else {"answer"}
    )
    given = {k for k in ("answer", "choices", "pattern") if getattr(row, k) is not None}
    optional = {"pattern"} if header.pattern is not None else set()
    if wrong := sorted((need - given - optional) or (given - need)):
        lacks = "lacks" if need - given - optional else "has"
        raise InputError(
            f"{where} {lacks} {wrong[0]!r}; the scorer {header.scorer} takes "
            f"{', '.join(sorted(need)) or 'none of these'}"
        )
    if header.scorer == "regex":
        pattern = row.pattern or header.pattern or ""
        compiled(pattern, header.ignore_case, where)
        return {"pattern": pattern}
    if header.scorer == "choice":
        return _choice(row, where)
    if header.scorer == "number":
        return {"answer": _number(row.answer, where)}
    if header.judge:
        return {}
    if isinstance(row.answer, float) and row.answer.is_integer():
        raise InputError(
            f"{where} has the answer {row.answer!r}, a number that was written in another way "
            f'before; write the text that an answer should hold, such as "{row.answer:.0f}"'
        )
    answers = [str(a) for a in (row.answer if isinstance(row.answer, list) else [row.answer])]
    for answer in answers:
        if is_blank(answer, header):
            raise InputError(
                f"{where} has the answer {answer!r}, which {header.scorer} finds in any answer or "
                "in an empty one; expected a text that is not blank"
            )
    return {"answer": answers}


def _choice(row: TaskRow, where: str) -> dict[str, Any]:
    choices, answer = row.choices or [], row.answer
    if len(set(choices)) < len(choices):
        raise InputError(f"{where} has a choice twice; give each once")
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        if str(answer) in choices and choices[answer] != str(answer):
            raise InputError(
                f"{where} has the answer {answer}, which is the index of {choices[answer]!r} and "
                f'also a choice; write "{answer}" in quotes for the choice, or give choices that '
                "are no such numbers"
            )
        at = answer
    elif isinstance(answer, str) and answer in choices:
        at = choices.index(answer)
    else:
        raise InputError(
            f"{where} has the answer {answer!r}; expected one of its choices, or its index from 0 "
            f"to {len(choices) - 1}"
        )
    return {"choices": [c if c[0].isspace() else f" {c}" for c in choices], "answer": at}


def _number(answer: Any, where: str) -> str:
    text = None if isinstance(answer, list) else plain_decimal(str(answer))
    if text is None:
        raise InputError(
            f"{where} has the answer {answer!r}; expected one number, such as 72 or -1.5"
        )
    return text
