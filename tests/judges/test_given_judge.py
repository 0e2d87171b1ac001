"""Scorers that a program gives: functions, objects with `judge`, judges."""

from __future__ import annotations

import numpy as np
import pytest

from veneer import Prompt, make_task
from veneer.foundation.errors import InputError
from veneer.judges.config import JudgeConfig
from veneer.judges.given import as_judge
from veneer.judges.refusal.rates import RefusalRates
from veneer.judges.registry import judges_of
from veneer.measures.behaviour import behaviour_rows, score
from veneer.systems.responses import Response

PROMPTS = [Prompt.from_text("0", "Say yes."), Prompt.from_text("1", "Say no.")]


def says_yes(answer):
    return "yes" in answer


class Careful:
    """Gives no verdict on an empty answer."""

    def judge(self, prompt, answer):
        return None if not answer else len(prompt.text) + len(answer)


def test_a_function_of_the_answer_scores():
    judge = as_judge(says_yes)
    assert judge.scores(PROMPTS, ["yes", "no"]) == [{"says_yes": 1.0}, {"says_yes": 0.0}]


def test_an_object_with_judge_reads_the_prompt_too():
    judge = as_judge(Careful())
    assert judge.scores(PROMPTS, ["", "no"]) == [{"Careful": None}, {"Careful": 9.0}]


def test_a_judge_stays_as_it_is_and_a_lambda_needs_no_name():
    refusal = RefusalRates()
    assert as_judge(refusal) is refusal
    assert as_judge(lambda answer: 1).name == "score"
    assert as_judge(lambda answer: 1, "always").name == "always"


def test_the_id_changes_with_the_code_and_not_with_the_object():
    first, again, other = (
        as_judge(f, "m").id for f in (lambda a: a == "x", lambda a: a == "x", lambda a: a == "y")
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("scorer", "sentence"),
    [
        ("accuracy", "found str as a scorer"),
        (Careful, "found the class Careful as a scorer; expected an object"),
        (lambda: 1, "found a scorer of ()"),
        (lambda a, b, c: 1, "found a scorer of (a, b, c)"),
    ],
)
def test_what_cannot_score_is_refused(scorer, sentence):
    with pytest.raises(InputError) as error:
        as_judge(scorer)
    assert sentence in str(error.value)


def test_a_verdict_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="the scorer m gave 'good'; expected a number"):
        as_judge(lambda answer: "good", "m").scores(PROMPTS, ["a", "b"])


@pytest.mark.parametrize(
    ("scorer", "unit", "expected"),
    [
        (says_yes, None, "share"),
        (lambda answer: np.bool_(answer == "yes"), None, "share"),
        (lambda answer: len(answer), None, "points"),
        (lambda answer: 0.5 * (answer == "yes"), None, "points"),
        (lambda answer: len(answer), "characters", "characters"),
        (lambda answer: 0.5, "share", "share"),
    ],
)
def test_a_score_has_a_unit_that_is_true_of_it(scorer, unit, expected):
    task = make_task("t", ["Say yes.", "Say no."], scorer, metric="m", unit=unit)
    prompts = task.prompts("test")
    answers = [
        Response(p.id, 0, "x", "t", text, (1,), "stop", 0)
        for p, text in zip(prompts, ("yes", "no"), strict=True)
    ]
    scored = score(task, prompts, answers, list(task.own_judges.values()))
    rows = {r.metric: r for r in behaviour_rows(task, prompts, [scored])}
    assert rows["m"].unit == expected and rows["empty_rate"].unit == "share"


def test_a_score_outside_the_scale_of_its_unit_is_refused():
    judge = as_judge(lambda answer: len(answer), "m", "share")
    with pytest.raises(InputError, match="gave 3, and its unit is 'share'; expected 0 to 1"):
        judge.scores(PROMPTS, ["yes", "no"])


def test_a_task_brings_its_own_judge():
    task = make_task("manners", ["Say yes."], says_yes, train=["Say no."], template="Q: {prompt}")
    assert [p.plain for p in task.prompts("test")] == ["Q: Say yes."]
    assert [p.id for p in task.prompts("train")] == ["train-0"]
    chosen, missing = judges_of([task], JudgeConfig())
    assert [j.name for j in chosen["manners"]] == ["refusal", "says_yes"] and not missing
    assert dict(task.headlines) == {"says_yes": "up"}
    assert dict(make_task("refuses", ["x"], better="up").headlines) == {"refusal_rate": "up"}


def test_two_tasks_may_bring_scorers_of_one_name():
    tasks = [make_task(n, ["x"], lambda answer, n=n: len(n), metric="m") for n in ("a", "long")]
    chosen, _ = judges_of(tasks, JudgeConfig())
    given = {name: judges[1].scores(PROMPTS[:1], ["y"]) for name, judges in chosen.items()}
    assert given == {"a": [{"m": 1.0}], "long": [{"m": 4.0}]}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"test": []}, "has no test prompts"),
        ({"test": ["a"], "better": "higher"}, "expected 'up' or 'down'"),
        ({"test": ["a"], "template": "Q:"}, "has no {prompt}"),
        ({"test": ["a"], "score": 3}, "found int as a scorer"),
    ],
)
def test_a_task_that_cannot_be_made_says_why(words, sentence):
    with pytest.raises(InputError) as error:
        make_task("t", **words)
    assert sentence in str(error.value)
