"""The shared part of tasks of arithmetic word problems: the base prompt, the cut and the two
scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import QUESTION
from veneer.tasks.numbers import cut, last_is, stated_is
from veneer.tasks.task import Better, Task

MARKS = ("Question:", "Comment:", "Answer the following question")


class WordProblems(Task):
    """reference of a prompt: {"answer"}, a number as text; "equations", those of the data's own
    solution, such as "8 - 3 = 5"; "reply", that solution as an answer."""

    headlines: ClassVar[Mapping[str, Better]] = {"accuracy": "up", "accuracy_strict": "up"}
    published_max_new_tokens = 512
    stop = MARKS
    scoring = (
        "accuracy: the last number of the answer is the right one; accuracy_strict: the number "
        "stated as the answer is (The answer is 72, #### 72); the text ends at Question:, "
        "Comment: or a repeated instruction"
    )

    def problem(self, id: str, question: str, answer: str, **reference: Any) -> Prompt:
        """Return a prompt: the aligned model reads the question, base reads it in the template
        (Chen et al. 2025, arXiv 2502.04602)."""
        words = {"template": QUESTION, "task": self.name, "answer": answer}
        return Prompt.from_text(id, question, **words, **reference)

    def score(self, prompt: Prompt, text: str) -> dict[str, float]:
        return score_number(prompt, text)


def score_number(prompt: Prompt, text: str) -> dict[str, float]:
    """Return accuracy (flexible): the last number is the answer; accuracy_strict: the number stated
    as the answer is."""
    text, answer = cut(text, MARKS), str(prompt.reference["answer"])
    return {
        "accuracy": float(last_is(text, answer)),
        "accuracy_strict": float(stated_is(text, answer)),
    }
