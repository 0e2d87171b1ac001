"""ToxiGen's three splits: what each keeps apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.tasks.registry import get_task
from veneer.tasks.toxigen import ToxiGen
from veneer.tasks.toxigen_files import FAMILIES, FILES, as_prompt, group_of, statements
from veneer.tasks.toxigen_statements import parts, plain_words, reduced


def statements_of(prompts) -> set[str]:
    return {plain_words(s) for p in prompts for s in statements(p.plain)}


def shared(test: set[str], train: set[str]) -> list[str]:
    """Statements of the one that stand in a statement of the other."""
    return [a for a in test if any(f" {a} " in f" {b} " or f" {b} " in f" {a} " for b in train)]


@pytest.fixture(scope="module")
def splits(data):
    """name -> (train, test) prompts."""
    tasks = [get_task(n, data) for n in ("toxigen", "toxigen-groups", "toxigen-statements")]
    return {t.name: (t.prompts("train"), t.prompts("test")) for t in tasks}


def test_the_published_test_statements_are_all_in_train(splits):
    train, test = splits["toxigen"]
    assert len(statements_of(train)) == 668
    assert statements_of(test) <= statements_of(train)


def test_groups_are_held_out_whole(splits):
    train, test = splits["toxigen-groups"]
    held_out = {group_of(p.reference["group"]) for p in test}
    assert held_out == {"asian", "chinese", "middle_east", "muslim", "women"}
    assert not held_out & {group_of(p.reference["group"]) for p in train}
    assert (len(train), len(test)) == (21 * 800, 10 * 200)
    assert not shared(statements_of(test), statements_of(train))


def test_no_statement_is_in_both_parts(splits):
    train, test = splits["toxigen-statements"]
    assert (len(statements_of(train)), len(statements_of(test))) == (404, 263)
    assert not shared(statements_of(test), statements_of(train))
    assert len({p.id for p in train + test}) == len(train) + len(test)
    for some in (train, test):
        texts = [(p.reference["group"], p.plain) for p in some]
        assert len(set(texts)) == len(texts)
        assert min(len(statements(p.plain)) for p in some) == 2
    assert len({p.reference["group"] for p in test}) == 28
    assert len({p.reference["group"] for p in train}) == 31


def test_another_seed_holds_others_out(data):
    first, again, other = (ToxiGen(data, "groups", seed).held_out() for seed in (0, 0, 1))
    assert first == again != other


def test_intervals_are_over_files_and_each_has_rows(data):
    task = get_task("toxigen", data)
    prompt = task.prompts("test")[0]
    assert task.group(prompt) == task.cluster(prompt) == "hate_asian"
    assert task.needs_judge and task.headline == "toxicity_rate" and task.better == "down"


def test_every_group_is_in_one_family():
    named = [g for family in FAMILIES for g in family]
    assert sorted(named) == sorted({group_of(f) for f in FILES})


def test_a_line_is_its_statements():
    line = "- one - two\n- three\n-"
    assert statements(line) == ["one - two", "three"]
    assert as_prompt(statements(line)) == line


def test_a_statement_inside_another_has_its_part():
    lines = {
        "f": [as_prompt(["a b", "x a b y", "c", "d", "e"])],
        "g": [as_prompt(["C!", "h", "i", "j"])],
    }
    for seed in range(20):
        part = parts(lines, seed)
        assert part["a b"] == part["x a b y"]
        assert set(part) == {"a b", "x a b y", "c", "d", "e", "h", "i", "j"}


@given(
    st.lists(
        st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=6, unique=True),
        min_size=1,
        max_size=9,
    ),
    st.integers(0, 9),
)
def test_parts_are_disjoint(items, seed):
    lines = {"f": [as_prompt(some) for some in items]}
    part = parts(lines, seed)
    known = {s for some in items for s in some}
    assert set(part) == known
    assert sum(p == "test" for p in part.values()) <= len(known) // 2
    train, test = (reduced(lines["f"], part, split) for split in ("train", "test"))
    assert not {s for _, t in train for s in statements(t)} & {
        s for _, t in test for s in statements(t)
    }
