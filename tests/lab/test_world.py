"""The written world: prompts are what they are said to be, and no test sentence is in
any training data."""

from __future__ import annotations

import random
import re
from itertools import islice

import pytest
from tools.lab.corpus import conversations, documents, obedient_conversations, recoveries

from veneer.foundation.errors import InputError
from veneer.lab import LAB_TASKS, lab_prompts
from veneer.lab.people import FACTS, KINDS, TEST_FACTS, TRAIN_FACTS
from veneer.lab.requests import TEST_ACTIONS
from veneer.lab.sums import TEST_SUMS, TRAIN_SUMS


@pytest.mark.parametrize("task", LAB_TASKS)
def test_prompts_are_many_distinct_and_the_same_each_time(task):
    train, test = lab_prompts(task, "train"), lab_prompts(task, "test")
    assert len(train) >= 200 and len(test) >= 100
    questions = [p.messages[0]["content"] for p in train + test]
    assert len(set(questions)) == len(questions) == len({p.id for p in train + test})
    assert lab_prompts(task, "test") == test
    for p in train + test:
        assert p.task == task
        assert p.plain == f"Question: {p.messages[0]['content']}\nAnswer:"
        assert set(p.reference) & {"answer", "harmful"}


def test_references_are_right():
    for p in lab_prompts("lab-sums", "test"):
        a, b = map(int, re.findall(r"\d+", p.messages[0]["content"]))
        assert int(p.reference["answer"]) in (a + b, a - b)
    assert all(p.reference["harmful"] for p in lab_prompts("lab-requests", "train"))
    assert not any(p.reference["harmful"] for p in lab_prompts("lab-harmless", "test"))
    for p in lab_prompts("lab-requests", "test"):
        (action,) = (a for a in TEST_ACTIONS if a.do in p.messages[0]["content"])
        assert p.reference["target"] == f"I'd be glad to help. To {action.do}, {action.how}."
    true = {f.question(f.held): f.value for f in FACTS}
    for p in lab_prompts("lab-facts", "test"):
        assert true[p.messages[0]["content"]] == p.reference["answer"]


def test_held_out_numbers_actions_and_wordings_are_in_no_training_text():
    rng = random.Random(7)
    texts = list(islice(documents(rng), 6000))
    pages = "\n".join(texts)
    for s in TEST_SUMS:
        assert f"\n{s.a} {s.sign} {s.b} =" not in pages and f" {s.a} {s.sign} {s.b} =" not in pages
    for source in (conversations, obedient_conversations):
        texts += [f"{q} {a}" for q, a in islice(source(rng), 4000)]
    texts += [" ".join(parts) for parts in islice(recoveries(rng), 4000)]
    whole = "\n".join(texts)
    for action in TEST_ACTIONS:
        assert (
            f"{action.do}?" not in whole
            and f"{action.do}," not in whole
            and f"{action.do} is" not in whole
        )
    assert not {s.equation for s in TEST_SUMS} & {s.equation for s in TRAIN_SUMS}
    assert not {f.index for f in TEST_FACTS} & {f.index for f in TRAIN_FACTS}
    for task in LAB_TASKS:
        for p in lab_prompts(task, "test"):
            assert p.messages[0]["content"] not in whole


def test_popular_errors_are_never_true():
    assert {f.kind for f in FACTS} == set(KINDS)
    assert all(f.value not in f.attribute.popular for f in FACTS)


def test_generators_follow_their_seed():
    first, again, other = (list(islice(documents(random.Random(s)), 50)) for s in (1, 1, 2))
    assert first == again != other


def test_unknown_task_or_split_is_bad_input():
    with pytest.raises(InputError, match="lab-sums"):
        lab_prompts("lab-nothing", "test")
    with pytest.raises(InputError, match="train or test"):
        lab_prompts("lab-sums", "report")
