"""What a study learns from: no test prompt of any task, each text once, and clusters whole."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from tests.made_up import held_out

from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement
from veneer.head.split import Split
from veneer.measures.words import train_prompts_left_out
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.portion.study import PortionStudy, StudyConfig, _with_left_out
from veneer.tasks.task import Task
from veneer.tasks.toxigen import ToxiGen
from veneer.tasks.toxigen_files import FILES, statements
from veneer.tasks.train_prompts import TrainPrompts


@dataclass(frozen=True)
class Texts(Task):
    name: str = "texts"
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    headlines: ClassVar = {}

    def prompts(self, split):
        return [
            Prompt.from_text(f"{split}{i}", text, task=self.name)
            for i, text in enumerate(getattr(self, split))
        ]

    def cluster(self, prompt):
        return prompt.text[0] if prompt.text[0].isupper() else None


TASKS = (
    Texts("one", ("How  to steal?", "b", "c", "C!", "d", "e", "日本"), ("b.",)),
    Texts("two", ("f", "e", "g", "h"), ("how to steal", "日本!", "z")),
)


def test_test_prompts_of_every_task_and_repetitions_are_left_out_and_counted():
    learnt = TrainPrompts.of_tasks(TASKS, None)
    assert {t: [p.text for p in ps] for t, ps in learnt.by_task.items()} == {
        "one": ["c", "d", "e"],
        "two": ["f", "g", "h"],
    }
    assert learnt.tested == {("one", "two"): 2, ("one", "one"): 1}
    assert learnt.repeated == {"one": 1, "two": 1} and learnt.dropped == 5
    assert learnt.left_out_for("two") == {"one": 2} and learnt.left_out_for("three") == {}
    assert train_prompts_left_out(json.loads(json.dumps(learnt.facts()))) == [
        "3 train prompts were left out because a test prompt has the same text: 2 of one (a test "
        "of two), 1 of one (a test of one).",
        "Train prompts left out because they repeat another one: 1 of one, 1 of two.",
    ]
    assert train_prompts_left_out(None) == train_prompts_left_out([1]) == []


def test_a_run_learns_from_the_rest_and_its_rows_say_how_many_are_gone():
    study = PortionStudy(lambda: None, TASKS, StudyConfig(), {})
    study.check()
    assert [p.text for p in study.learnt.prompts] == ["c", "d", "e", "f", "g", "h"]
    rows = [Measurement("measure", t, "accuracy", "base", 0.5, 9) for t in ("one", "two", "z")]
    marked = list(_with_left_out(rows, study.learnt))
    assert [r.fact("left_out_of_train") for r in marked] == [{"one": 1}, {"one": 2}, None]
    few = (Texts("one", ("a", "b", "c"), ("a",)),)
    with pytest.raises(InputError, match="2 train prompts of one, beside 1 that are test prompts"):
        PortionStudy(lambda: None, few, StudyConfig(), {}).check()


def test_a_cluster_stands_whole_in_one_part():
    clusters = [f"c{i % 12}" for i in range(60)] + ["large"] * 60 + [*range(30)]
    names = ["a"] * 120 + ["b"] * 30
    for seed in range(5):
        split = Split.by_prompt(range(150), names, seed, clusters)
        parts = (split.train, split.select, split.report)
        assert sorted(n for part in parts for n in part) == list(range(150))
        where = [{clusters[n] for n in part if n < 120} for part in parts]
        assert not (where[0] & where[1] or where[0] & where[2] or where[1] & where[2])
        assert "large" in where[0], "half of all prompts are no tenth"
        # a tenth of 120 is reached by 3 clusters of 5, a tenth of 30 by 3 prompts
        assert [len(p) for p in parts] == [114, 18, 18]
    with pytest.raises(InputError, match="2 clusters or different texts in the 6"):
        Split.by_prompt(range(6), ["a"] * 6, 0, ["x", "y"] * 3)


def test_figures_of_tokens_resample_whole_clusters():
    """By hand: the sums of a cluster's prompts are one entry of the bootstrap."""
    table = held_out()
    sums, counts = table.by_prompt(table.kl_base)
    numbers = sorted(set(table.prompt.tolist()))
    clustered = held_out(cluster=[0, 1, 2, 3, 4, 5, 6, 4, 8, 9])  # prompts 4 and 7
    assert table.clusters() is None and len(set(clustered.clusters())) == len(numbers) - 1
    merged = [sums[0] + sums[1], *sums[2:]], [counts[0] + counts[1], *counts[2:]]
    by_hand = intervals.ratio_of_sums(*merged, seed=3)
    ours = clustered.ratio(clustered.kl_base, seed=3)
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (by_hand.value, by_hand.low, by_hand.high), nan_ok=True
    )
    assert ours.n == len(numbers)


def test_strongreject_prompts_in_advbench_by_reading_both_files(data):
    from veneer.tasks.advbench import AdvBench
    from veneer.tasks.strongreject import StrongReject

    def column(name, key):
        with (Path(data) / name).open(encoding="utf-8", newline="") as file:
            return [row[key].strip() for row in csv.DictReader(file)]

    tested = set(column("strongreject/strongreject_dataset.csv", "forbidden_prompt"))
    goals = column("advbench/train.csv", "goal")
    for most, expected in ((None, 22), (200, sum(g in tested for g in goals[:200]))):
        learnt = TrainPrompts.of_tasks([AdvBench(data), StrongReject(data)], most)
        assert learnt.tested == {("advbench", "strongreject"): expected}
        assert not {p.text for p in learnt.prompts} & tested


def test_no_report_statement_of_toxigen_is_in_train(data):
    task = ToxiGen(data)
    prompts = TrainPrompts.of_tasks([task], 200).prompts
    split = Split.by_prompt(
        range(len(prompts)), ["t"] * len(prompts), 0, [p.cluster for p in prompts]
    )

    def plain(numbers):
        return {
            re.sub(r"[^a-z0-9]+", " ", s.lower()).strip()
            for n in numbers
            for s in statements(prompts[n].text)
        }

    assert len(split.report) >= 15 and len(plain(split.report)) >= 15
    assert not plain(split.report) & plain((*split.train, *split.select))
    assert {task.cluster(p) for p in prompts} <= set(FILES)
