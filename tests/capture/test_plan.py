"""The batch plan: full batches hold one group's prompts, rests share a batch where that pays, and
a capture goes on in the batches that it was begun with."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs import chat_pair, prompts
from veneer.capture import CaptureConfig, capture
from veneer.capture.job import Job
from veneer.capture.plan import batch_plan, whole_plan
from veneer.capture.run import make_capture
from veneer.capture.shelf import Shelf
from veneer.capture.teachers.aligned import AlignedModel
from veneer.models.decode import Sampling
from veneer.models.prefix import common_prefix


def plan_of(rows, groups, batch_size, shard_batches=2):
    return batch_plan(rows, [len(r) for r in rows], groups, batch_size, shard_batches)


def batches_of(plan):
    return [batch for shard in plan for batch in shard]


def read(rows):
    shared = common_prefix(rows)
    return shared + len(rows) * (max(map(len, rows)) - shared)


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 1), min_size=1, max_size=30)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(1, 9), st.integers(1, 3))
def test_each_prompt_once_and_no_more_read_than_twice(made, batch_size, shard_batches):
    groups, rows = [g for g, _ in made], [r for _, r in made]
    plan = plan_of(rows, groups, batch_size, shard_batches)
    assert whole_plan(plan) == plan and sum(map(len, batches_of(plan))) == len(rows)
    assert all(len(shard) <= shard_batches for shard in plan)
    batches = batches_of(plan)
    assert all(len(batch) <= batch_size for batch in batches)
    full = Counter(groups[b[0]] for b in batches if len({groups[i] for i in b}) == 1)
    for group, count in Counter(groups).items():
        assert full[group] >= count // batch_size
    for batch in batches:
        parts = [[rows[i] for i in batch if groups[i] == g] for g in {groups[i] for i in batch}]
        assert len(parts) == 1 or read([rows[i] for i in batch]) <= 2 * sum(map(read, parts))


def test_two_tasks_that_fit_are_one_batch():
    rows = [[i % 7, *range(20)] for i in range(32)]
    groups = ["sums"] * 16 + ["requests"] * 16
    assert [sorted(b) for b in batches_of(plan_of(rows, groups, 32))] == [list(range(32))]
    # forty prompts of one task: one full batch of its own, eight that join the other's
    batches = batches_of(plan_of([[i] * 9 for i in range(50)], ["a"] * 40 + ["b"] * 10, 32))
    assert [sorted(b) for b in batches] == [list(range(32)), list(range(32, 50))]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([[9] * 400 for _ in range(2)], id="much longer prompts"),
        pytest.param([[8] * 300 + [i] for i in range(10)], id="a long beginning of its own"),
    ],
)
def test_rests_that_would_read_much_more_stay_apart(other):
    rows = [[i] * 20 for i in range(10)] + other
    groups = ["short"] * 10 + ["long"] * len(other)
    assert len(batches_of(plan_of(rows, groups, 32))) == 2


def test_a_long_beginning_that_all_share_joins_them():
    rows = [[*range(300), i, i] for i in range(20)]
    assert len(batches_of(plan_of(rows, ["a", "b"] * 10, 32))) == 1


@pytest.mark.parametrize(
    "plan", [None, [], [[]], [[[0, 2]]], [[[0, 0]]], [[["0"]]], [0], [[0]], {}]
)
def test_a_plan_that_lacks_prompts_is_none(plan):
    assert whole_plan(plan) is None


def test_a_capture_goes_on_in_the_batches_it_was_begun_with(tmp_path):
    """As one that an older version planned: here its batches stand the other way round."""
    asked = prompts(9)
    config = CaptureConfig(
        16, batch_size=4, shard_batches=1, noise_prompts=3, sampling=Sampling(10)
    )
    pair = chat_pair()
    job = Job.of(pair.base, AlignedModel(pair), asked, config, pair.base_format)
    older = job.continuing({"plan": job.plan[::-1]})
    assert older.plan != job.plan

    def stop(done, total, what):
        if done == total - 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_capture(older, Shelf(tmp_path / "c"), stop)
    first = (tmp_path / "c" / "responses-00000.jsonl").read_bytes()
    taken = capture(pair, asked, tmp_path / "c", config)
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["plan"] == older.plan and len(taken.shards) == 3
    assert (tmp_path / "c" / "responses-00000.jsonl").read_bytes() == first
    new = capture(pair, asked, tmp_path / "new", config)
    answers = [{r["prompt_id"]: r["token_ids"] for r in c.responses()} for c in (taken, new)]
    assert answers[0] == answers[1]
