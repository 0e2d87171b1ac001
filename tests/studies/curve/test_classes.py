"""Classes of errors: exclusive, complete, and by rule."""

from __future__ import annotations

import pytest

from veneer.prompts.prompt import Prompt
from veneer.studies.curve.classes import CLASSES, equations, error_class, is_classed
from veneer.tasks.registry import get_task

EIGHT = Prompt.from_text("p", "?", answer="5", equations=["8 - 3 = 5"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("I don't know.", "unstated"),
        ("There are five.", "unstated"),
        ("The answer is 7.", "malformed"),
        ("Let's work it out. 8 + 3 = 11. The answer is 11.", "setup"),
        ("Let's work it out. 3 - 8 = -5. The answer is -5.", "setup"),
        ("Let's work it out. 8 + 3 = 12. The answer is 12.", "setup"),
        ("Let's work it out. 8 - 3 = 4. The answer is 4.", "slip"),
        ("Let's work it out. 8 - 3 = 5. The answer is 4.", "contradiction"),
        ("Let's work it out. 8 - 3 = 5. The answer is 5.", "right"),
        ("The answer is 5.", "right"),  # a right answer is no error, whatever its style
        ("8 - 3 = 5. #### 5", "right"),
        ("The answer is 4. Question: What is 8 - 3? The answer is 5.", "malformed"),
    ],
)
def test_each_answer_has_its_class(text, expected):
    assert error_class(EIGHT, text, refused=False) == expected


def test_a_refusal_is_a_class_of_its_own():
    assert error_class(EIGHT, "I'm sorry, I can't help with 5.", refused=True) == "refusal"
    assert error_class(EIGHT, "", refused=True) == "empty"


def test_equations_of_many_steps():
    text = "She has 2 x 20 = $40. Then (40 + 2) / 3 = 14 and 0.5*4=2.0, 1,200 - 200 = 1,000. 7 = 7."
    steps = list(equations(text))
    assert [int(e.result) for e in steps] == [40, 14, 2, 1000] and all(e.holds for e in steps)
    assert list(equations("8 / 0 = 3, a + 2 = 5, ((((= 4")) == []
    two, other = equations("3 + 8 = 11; 8 + 3 = 12")
    assert two.same_sum(other) and not other.holds


@pytest.mark.parametrize("name", ["lab-sums", "svamp", "gsm8k"])
def test_the_data_s_own_answers_are_right(name, request):
    folder = None if name == "lab-sums" else request.getfixturevalue("data")
    task = get_task(name, folder)
    prompts = task.prompts("train")[:400] + task.prompts("test")[:200]
    classed = [p for p in prompts if is_classed(p)]
    assert len(classed) > 0.95 * len(prompts)
    assert {error_class(p, task.reply(p), refused=False) for p in classed} == {"right"}
    assert "right" in CLASSES and len(set(CLASSES)) == 8
