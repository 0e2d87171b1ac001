"""What base is trained on: questions with answers, in nested subsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from veneer.foundation.errors import InputError
from veneer.imports.examples import Example
from veneer.prompts.clusters import same_text
from veneer.prompts.prompt import Prompt
from veneer.systems.lora import in_turn
from veneer.tasks.task import Task
from veneer.tasks.train_prompts import TrainPrompts


@dataclass(frozen=True)
class Lesson:
    """A question with the answer to be learned. answer: None until the aligned model gives it."""

    prompt: Prompt
    answer: str | None


@dataclass(frozen=True)
class Lessons:
    """All that base may be trained on. tested: number left out because a test prompt of a task has
    the same text. without_reply: tasks whose data gives no answer, so that they are only
    measured."""

    pool: Mapping[str, Lesson]
    tested: int = 0
    without_reply: tuple[str, ...] = ()

    @classmethod
    def of_tasks(cls, tasks: Sequence[Task], *, replies: bool) -> Lessons:
        """The train prompts of tasks. replies: with the answers of the data; a task that has none
        is left out."""
        train_prompts = TrainPrompts.of_tasks(tasks, None)
        pool: dict[str, Lesson] = {}
        missing = []
        for task in tasks:
            own = [(p, task.reply(p)) for p in train_prompts.by_task.get(task.name, ())]
            kept = [Lesson(p, a if replies else None) for p, a in own if a or not replies]
            if not kept:
                missing.append(task.name)
            pool |= {f"{task.name}\0{one.prompt.id}": one for one in kept}
        return cls(pool, sum(train_prompts.tested.values()), tuple(missing))

    @classmethod
    def of_examples(cls, examples: Sequence[Example], test: Sequence[Prompt]) -> Lessons:
        """Questions with answers of a file."""
        tests = {same_text(p.text) for p in test}
        fresh = [e for e in examples if e.answer and same_text(e.question) not in tests]
        prompts = [
            Prompt.from_text(f"example-{i:06d}", e.question, task="examples")
            for i, e in enumerate(fresh)
        ]
        pool = {p.id: Lesson(p, e.answer) for p, e in zip(prompts, fresh, strict=True)}
        return cls(pool, len(examples) - len(fresh))

    def check(self, largest: int) -> None:
        """Raises InputError where there are fewer lessons than the greatest size asks for."""
        if not self.pool:
            names = ", ".join(self.without_reply) or "the examples"
            raise InputError(
                f"{names}: the data gives no answers to learn from; give --teach aligned with "
                "--aligned, or --examples with a file of questions and answers"
            )
        if len(self.pool) < largest:
            raise InputError(
                f"--sizes asks for {largest} examples, but there are {len(self.pool)} to learn "
                "from; give smaller sizes, or --examples with more"
            )

    def ordered(self, seed: int) -> list[Lesson]:
        """All lessons in the order of a seed, one of each task in turn: the first k are a part of
        the first k + 1."""
        order = in_turn({key: one.prompt.task for key, one in self.pool.items()}, seed)
        return [self.pool[key] for key in order]


def shuffled(lessons: Sequence[Lesson]) -> list[Lesson]:
    """Every question with the answer of another: of the next question of its task whose answer
    begins with the same three words, so that a sum gets the answer of a sum."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for i, one in enumerate(lessons):
        opening = (one.answer or "").split()[:3]
        alike.setdefault((one.prompt.task, *opening), []).append(i)
    turned = list(lessons)
    for places in alike.values():
        for place, source in zip(places, places[1:] + places[:1], strict=True):
            turned[place] = replace(lessons[place], answer=lessons[source].answer)
    return turned
