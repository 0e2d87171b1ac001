"""The data that a model may give away: questions and answers, and others that it never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.imports import Rules, read_stored
from veneer.imports.registry import guess
from veneer.prompts.prompt import Prompt
from veneer.studies.leak.names import ANSWER, PAIR, QUESTION
from veneer.tasks.registry import TASKS
from veneer.tasks.source import load_prompts
from veneer.tasks.task import Split

RULES = Rules(drop_truncated=False, drop_empty=False, drop_repeated=False)


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a data set. answer: None where the data has questions alone."""

    question: str
    answer: str | None


@dataclass(frozen=True)
class Texts:
    """One part (question, answer, or both) of a data set: the distinct texts, white space apart,
    and how often each occurs."""

    texts: tuple[str, ...]
    copies: tuple[int, ...]

    @classmethod
    def of(cls, examples: Sequence[Example], part: str) -> Texts:
        """Empty where the data lacks the part."""
        counts = Counter(t for e in examples if (t := part_of(e.question, e.answer, part)))
        return cls(tuple(counts), tuple(counts.values()))

    def without(self, others: Texts) -> Texts:
        """The texts that the other set does not hold."""
        theirs = set(others.texts)
        kept = [(t, n) for t, n in zip(self.texts, self.copies, strict=True) if t not in theirs]
        return Texts(tuple(t for t, _ in kept), tuple(n for _, n in kept))

    def __len__(self) -> int:
        return len(self.texts)


def part_of(question: str, answer: str | None, part: str) -> str:
    """The text of a part, with single spaces; "" where there is none. A pair needs both."""
    question, answer = (" ".join((text or "").split()) for text in (question, answer))
    texts = {QUESTION: question, ANSWER: answer}
    if part == PAIR:
        return f"{question} {answer}" if question and answer else ""
    return texts[part]


def read_examples(
    source: str, *, data: Path | None = None, split: Split = "train"
) -> list[Example]:
    """Examples of a file or a task.

    A file has prompts with answers, in any format of `veneer import`, or prompts alone. A task
    gives the questions of its `split`. Raises InputError where the source is neither, or holds no
    example.
    """
    if _is_task(source):
        return [Example(_question(p), None) for p in load_prompts(source, data=data, split=split)]
    path = Path(source)
    if not path.exists():
        raise InputError(
            f"{source} is neither a file nor a task; give a file of questions with answers, or one "
            f"of {', '.join(TASKS)}"
        )
    try:
        format = guess(path)
    except InputError:  # no format of answers: prompts alone, or nothing that can be read
        return [Example(_question(p), None) for p in load_prompts(source)]
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


def check_examples(members: Sequence[Example], held_out: Sequence[Example]) -> None:
    """Raises InputError where a threshold cannot be calibrated."""
    for name, examples in (("--examples", members), ("--held-out", held_out)):
        if not examples:
            raise InputError(
                f"{name} holds no example; expected questions, with or without answers"
            )
    fresh = Texts.of(held_out, QUESTION).without(Texts.of(members, QUESTION))
    if len(fresh) < LEAST:
        raise InputError(
            f"--held-out has {len(fresh)} questions that --examples does not hold; expected "
            f"{LEAST} or more, of the same source, for the threshold"
        )


LEAST = 20  # held-out questions; a false rate of 1 % needs 200


def _is_task(source: str) -> bool:
    return source in TASKS or source.startswith("file:")


def _question(prompt: Prompt) -> str:
    """What the user says last."""
    return next(t["content"] for t in reversed(prompt.messages) if t["role"] == "user")


__all__ = ["Example", "Texts", "check_examples", "part_of", "read_examples"]
