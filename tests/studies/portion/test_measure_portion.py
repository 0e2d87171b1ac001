"""The whole method on objects: a loaded pair, a task of one's own, a function as scorer."""

from __future__ import annotations

import pytest

import veneer
from veneer import Pair, Results, StudyConfig, make_task, measure_portion
from veneer.foundation.errors import InputError
from veneer.lab import lab_prompts

SMALL = StudyConfig(train_prompts=6, test_prompts=4, max_new_tokens=12, controls=False)


def polite(answer: str) -> bool:
    return "sorry" in answer.lower()


def task(score):
    train, test = (lab_prompts("lab-requests", split) for split in ("train", "test"))
    return make_task("manners", test[:4], score, train=train[:6])


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair.load("lab:base", "lab:aligned")


def test_a_function_decides_the_portion_and_a_folder_resumes(pair, tmp_path, capfd):
    results = measure_portion(pair, task(polite), tmp_path / "out", SMALL)
    rows = results.where(metric="polite", split="test")
    assert {row.system for row in rows} == {"base", "veneer", "aligned"}
    answers = results.responses()
    for row in rows:  # recomputed from the stored answers
        own = [polite(a["text"]) for a in answers if a["system"] == row.system]
        assert row.value == sum(own) / len(own) and row.n == 4 and row.judge.startswith("polite-")
    again = measure_portion(pair, task(polite), tmp_path / "out", SMALL)
    assert [r.to_json() for r in again] == [r.to_json() for r in results]
    assert isinstance(again, Results) and capfd.readouterr().err == ""
    with pytest.raises(InputError, match="another configuration"):
        measure_portion(pair, task(lambda answer: True), tmp_path / "out", SMALL)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda p, out: measure_portion(p.base, "lab-sums", out), "in the place of a pair"),
        (lambda p, out: measure_portion(p, "lab-sum", out), "did you mean 'lab-sums' or"),
        (lambda p, out: measure_portion(p, [], out), "there is no task to measure"),
        (
            lambda p, out: measure_portion(p, make_task("t", ["x"]), out),
            "expected some to extract a veneer from: add a task that has them",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_folder(pair, tmp_path, call, sentence):
    with pytest.raises(InputError) as error:
        call(pair, tmp_path / "out")
    assert sentence in str(error.value)
    assert not (tmp_path / "out" / "run.json").exists()
    assert veneer.measure_portion is measure_portion
