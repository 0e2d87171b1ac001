"""What tasks of arithmetic word problems share: the base prompt, the cut and the score."""

from __future__ import annotations

from veneer.prompts import Prompt
from veneer.tasks.numbers import cut, equal, last_number, stated_number

TEMPLATE = "Answer the following question.\n\nQuestion: {q}\nAnswer:"
MARKS = ("Question:", "Comment:", "Answer the following question")


def word_problem(id: str, task: str, question: str, answer: str) -> Prompt:
    """The aligned model reads the question, the base the template around it (Chen et al. 2025, arXiv 2502.04602)."""
    return Prompt.from_text(id, question, plain=TEMPLATE.format(q=question), task=task, answer=answer)


def score_number(prompt: Prompt, text: str) -> dict[str, float]:
    """accuracy: the last number is the answer; accuracy_strict: the number stated as the answer is."""
    text, answer = cut(text, MARKS), str(prompt.reference["answer"])
    return {
        "accuracy": float(equal(last_number(text), answer)),
        "accuracy_strict": float(equal(stated_number(text), answer)),
    }
