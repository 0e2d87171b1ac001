"""The rule that chooses prompts for a page."""

import numpy as np

from veneer.measures.shown_prompts import DIFFER, MOST, choose_prompts

NONE = float("nan")


def test_first_those_that_differ_then_the_first_of_each_task():
    same = np.zeros(20)
    other = same.copy()
    other[[3, 7]] = 1
    chosen = choose_prompts({"harmful": [same, other], "harmless": [same, same]})
    assert chosen.keys[:4] == [("harmful", 3), ("harmful", 7), ("harmful", 0), ("harmless", 0)]
    assert len(chosen.keys) == len(set(chosen.keys)) == MOST
    assert chosen.facts() == {"shown": MOST, "differ": 2, "prompts": 40}


def test_tasks_take_turns_where_all_differ():
    zeros, ones = np.zeros(9), np.ones(9)
    chosen = choose_prompts({task: [zeros, ones] for task in ("a", "b")})
    assert [task for task, _ in chosen.keys[:DIFFER]] == ["a", "b"] * (DIFFER // 2)
    assert chosen.differ == DIFFER and len(chosen.keys) == MOST


def test_no_verdict_differs_from_none_and_few_prompts_are_all_shown():
    chosen = choose_prompts({"a": [np.array([NONE, 1.0]), np.array([0.0, NONE])]})
    assert chosen.differ == 0 and chosen.keys == [("a", 0), ("a", 1)]
