"""Transfer: what a planted truth says, the distances against a plain computation, the choice of
alpha, prompts and cost."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tools.lab.planted import planted_dW

from pairs import prompts
from tiny import tiny
from veneer.capture import CaptureConfig, capture
from veneer.capture.distributions import kl_lumped, log_masses
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.measures.config import StudyConfig
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.transfer.choice import choose_by_score
from veneer.studies.transfer.cost import Cost, cost_rows, measure_costs
from veneer.studies.transfer.kl import ShiftedReading, shift_columns
from veneer.studies.transfer.models import TransferModels
from veneer.studies.transfer.prompts import TransferPrompts
from veneer.studies.transfer.settings import TransferSettings
from veneer.studies.transfer.study import transfer
from veneer.studies.transfer.words import BEST_HEADLINES, FIRST_ALPHA
from veneer.systems.alpha import Alpha
from veneer.systems.shifted import ShiftedSystem, shift_of
from veneer.systems.system import System
from veneer.tasks.task import Task


@dataclass(frozen=True)
class Planted(Task):
    """The planted pair's task."""

    name: str = "planted"
    headlines = {"right": "up"}  # noqa: RUF012
    pair: object = None

    def prompts(self, split):
        return [replace(p, task=self.name) for p in getattr(self.pair, split)]

    def score(self, prompt, text):
        return {"right": float(self.pair.correct(prompt, text))}

    def source(self):
        return {"from": "the test", "files": []}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The large pair is the small pair: aligned = base with a known change of its head."""
    pair = planted_dW(0)
    base, aligned = (
        LanguageModel(n, getattr(pair, n), pair.tokenizer) for n in ("base", "aligned")
    )
    plain = PlainFormat()
    models = TransferModels(base, base, aligned, aligned, None, plain, plain, plain)
    study = StudyConfig(train_prompts=None, test_prompts=60, max_new_tokens=pair.most_new)
    out = tmp_path_factory.mktemp("planted") / "out"
    config = TransferSettings(
        tuple(map(Alpha.parse, ("0", "0.5", "1", "1@1"))),
        bake=True,
        own=True,
        rounds=0,
        study=study,
    )
    return transfer(lambda: models, [Planted(pair=pair)], out, config), out


def value(results: Results, metric: str, system: str, **fields) -> float:
    (row,) = results.where(metric=metric, system=system, position=None, **fields)
    return row.value


def test_where_large_is_small_alpha_1_is_the_veneer(planted):
    results, out = planted

    def answers(system: str) -> list[list[int]]:
        lines = (out / "responses" / f"planted.{system}.jsonl").read_text().splitlines()
        return [json.loads(line)["token_ids"] for line in lines]

    assert answers("shifted-1") == answers("small-veneer") == answers("veneer")
    assert answers("shifted-0") == answers("base") == answers("small-base")
    assert answers("aligned") == answers("small-aligned") != answers("base")
    report = {"study": "transfer", "split": "report", "task": "joint"}
    assert value(results, "kl", "shifted-1", **report) == pytest.approx(
        value(results, "kl", "veneer", **report), abs=1e-6
    )
    assert value(results, "kl", "shifted-0", **report) == pytest.approx(
        value(results, "kl", "base", **report), rel=1e-4
    )


def test_a_planted_change_is_transferred_wholly_and_bakes(planted):
    results, out = planted
    report = {"study": "transfer", "split": "report", "task": "joint"}
    assert (
        value(results, "kl", "shifted-1", **report) < 1e-3
        and value(results, "kl", "base", **report) > 0.05
    )
    assert value(results, "kl", "baked", **report) < 2e-3
    assert value(results, "kl_from_shifted_recovered", "baked", **report) > 0.98
    choice = json.loads((out / "run.json").read_text())["choice"]
    assert choice["system"] == "shifted-1" and choice["figures"]["shifted-1"] == min(
        choice["figures"].values()
    )
    (portion,) = results.where(study="measure", metric="portion", system="shifted-1", split="test")
    assert portion.low <= 1 <= portion.high and portion.n == 60


@pytest.fixture(scope="module")
def tiny_transfer(tmp_path_factory):
    """A large model with a soft cap, a small one with more rows, a random veneer with a bias, and a
    capture of the large pair."""
    large = tiny("gemma2", seed=0)
    aligned, small = tiny("gemma2", seed=1), tiny("llama", seed=2, rows=large.head.rows + 4)
    draw = torch.Generator().manual_seed(5)
    rows = torch.arange(3, 300, 2)
    veneer = Veneer(
        small.head.hash(),
        small.head.rows,
        0.3 * torch.randn(len(rows), small.head.width, generator=draw),
        rows,
        bias=torch.randn(len(rows), generator=draw),
    )
    plain = PlainFormat()
    models = TransferModels(
        large, small, aligned, None, veneer, plain, PlainFormat("Q: {prompt}"), plain
    )
    questions = prompts(6)
    config = CaptureConfig(
        k=16, batch_size=4, shard_batches=1, noise_prompts=2, sampling=Sampling(max_new_tokens=8)
    )
    recorded = capture(
        models.large_pair, questions, tmp_path_factory.mktemp("large") / "capture", config
    )
    return models, veneer, questions, recorded


@pytest.mark.parametrize("alpha", ["1", "0", "1.5>0.2@4", "2@3"])
def test_distances_are_those_of_the_shifted_system(tiny_transfer, alpha):
    """Against the system's own teacher-forced logits, prompt by prompt."""
    models, veneer, prompts, capture = tiny_transfer
    numbers = [1, 4, 5]
    alpha = Alpha.parse(alpha)
    table = ShiftedReading(capture, models, veneer, prompts, numbers).held_out(alpha, numbers)
    system = ShiftedSystem.of_models(
        models.large,
        models.small,
        veneer,
        alpha=alpha,
        format=models.large_format,
        small_format=models.small_format,
    )
    for n in numbers:
        (block,) = capture.blocks(("token", "aligned_ids", "aligned_logprobs", "aligned_tail"), [n])
        logits = torch.cat(list(system.forced_logits([prompts[n]], [block["token"].tolist()])))[
            :, : capture.head.rows
        ]
        expected = kl_lumped(
            block["aligned_logprobs"],
            block["aligned_tail"],
            *log_masses(logits, block["aligned_ids"]),
        )
        kls = table.kl_veneer[table.prompt == n]
        assert np.allclose(kls, expected.clamp(min=0), atol=2e-4), n


def test_shift_columns_stand_in_the_large_models_ids(tiny_transfer):
    models, veneer, _, capture = tiny_transfer
    shift, _ = shift_of(models.large, models.small, veneer)
    dW, bias = shift_columns(shift, capture.head.rows)
    assert dW.shape == (capture.head.rows, models.small.head.width)
    assert torch.equal(dW[3:300:2], veneer.values()) and torch.equal(bias[3:300:2, 0], veneer.bias)
    assert not dW[4:300:2].any() and not dW[300:].any()


class Answers:
    """A system that gives one text to everything."""

    def __init__(self, name: str, text: str):
        self.name, self.text = name, text

    def prompt_tokens(self, prompts):
        return [1] * len(prompts)

    def longest(self):
        return None

    def decode(self, prompts, sampling, stop_strings, keys):
        from veneer.models.decode import Decoded

        return [Decoded((1,), self.text, "stop") for _ in prompts]

    def facts(self):
        return {"name": self.name}


@dataclass(frozen=True)
class Says(Task):
    name: str = "says"
    word: str = "yes"
    way: str = "up"

    @property
    def headlines(self):
        return {"said": self.way}

    def prompts(self, split):
        return []

    def score(self, prompt, text):
        return {"said": float(self.word in text)}


def test_without_the_large_aligned_model_alpha_is_chosen_by_headlines(tmp_path):
    """ "up" counts as it is, "down" as 1 minus it; train prompts of the select part
    alone are answered."""
    tasks = [Says("up", "yes"), Says("down", "no", way="down")]
    questions = [
        Prompt.from_text(f"{t.name}{i}", f"q{i}", task=t.name) for t in tasks for i in range(3)
    ]
    systems = [
        Answers("shifted-0.5", "no"),
        Answers("shifted-1", "yes"),
        Answers("shifted-2", "yes no"),
    ]
    choice, rows = choose_by_score(
        systems, tasks, questions, {"up": [], "down": []}, tmp_path, StudyConfig()
    )
    assert choice.system == "shifted-1" and choice.figures == {
        "shifted-0.5": 0.0,
        "shifted-1": 1.0,
        "shifted-2": 0.5,
    }
    assert choice.rule == BEST_HEADLINES and choice.n == 6
    assert {(r.task, r.system, r.split, r.n) for r in rows} == {
        (t.name, s.name, "select", 3) for t in tasks for s in systems
    }


def test_without_headlines_the_first_alpha_is_chosen_and_reported(tmp_path):
    choice, rows = choose_by_score(
        [Answers("shifted-0.5", "no")], [Says()], [], {"says": []}, tmp_path, StudyConfig()
    )
    assert choice.system == "shifted-0.5" and choice.rule == FIRST_ALPHA and not rows


@dataclass(frozen=True)
class Texts(Task):
    name: str = "texts"
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def prompts(self, split):
        return [
            Prompt.from_text(f"{split}{i}", text, task=self.name)
            for i, text in enumerate(getattr(self, split))
        ]


def test_train_prompts_are_never_test_prompts():
    tasks = [Texts("one", tuple("abcdef"), ("x", "b")), Texts("two", ("g", "x"), ("y",))]
    prompt_sets = TransferPrompts.of_tasks(tasks, None, 1, seed=0, learns=None)
    assert [p.plain for p in prompt_sets.train] == [
        "a",
        "c",
        "d",
        "e",
        "f",
        "g",
    ] and prompt_sets.dropped == 2
    assert [p.plain for p in prompt_sets.test["one"]] == ["x"], (
        "also where the limit leaves the equal test prompt out"
    )
    parts = [prompt_sets.of_split(name) for name in ("train", "select", "report")]
    assert sorted(p.plain for part in parts for p in part) == ["a", "c", "d", "e", "f", "g"]


def test_too_few_train_prompts_are_refused_where_something_learns():
    tasks = [Texts("one", ("a", "b"), ("x",))]
    assert TransferPrompts.of_tasks(tasks, None, None, seed=0, learns=None).split is None
    with pytest.raises(InputError, match=r"one have 2 train prompts.*--bake needs at least 3"):
        TransferPrompts.of_tasks(tasks, None, None, seed=0, learns="--bake")


def test_costs_are_ratios_within_rounds():
    rows = list(
        cost_rows(
            [Cost("base", [1.0, 2.0, 4.0], 100, 20), Cost("shifted-1", [2.0, 4.0, 8.0], 150, 30)]
        )
    )
    by_metric = {(r.metric, r.system): r for r in rows}
    ratio = by_metric["time_ratio", "shifted-1"]
    assert (ratio.value, ratio.low, ratio.high, ratio.n) == (
        pytest.approx(2),
        pytest.approx(2),
        pytest.approx(2),
        3,
    )
    per_token = by_metric["seconds_per_token", "base"]
    assert (
        per_token.value == pytest.approx(2 / (8 * 24))
        and per_token.low < per_token.value < per_token.high
    )
    assert by_metric["memory_ratio", "shifted-1"].value == pytest.approx(1.5)


def test_timing_stands_on_disk_and_counts_what_decoding_needs(tmp_path, tiny_transfer):
    models, veneer, prompts, _ = tiny_transfer
    system = ShiftedSystem.of_models(models.large, models.small, veneer)
    base = System("base", models.large, models.large_format, ())
    costs = measure_costs([base, system], prompts, 2, tmp_path / "timing.json")
    assert [len(c.seconds) for c in costs] == [2, 2] and all(
        s > 0 for c in costs for s in c.seconds
    )

    def size(lm: LanguageModel) -> int:
        return sum(p.numel() * 4 for p in lm.model.parameters())

    assert costs[0].weights == size(models.large)  # tied: its head is its embedding
    assert costs[1].weights >= size(models.large) + size(models.small) + veneer.dW.numel() * 4
    assert 0 < costs[0].working < costs[1].working
    assert measure_costs([], [], 2, tmp_path / "timing.json") == costs


def test_a_head_of_its_own_counts_as_in_a_merged_checkpoint(tmp_path):
    for kind, more in (("llama-tied", 1), ("llama", 0)):
        lm = tiny(kind)
        zero = Veneer(
            lm.head.hash(), lm.head.rows, torch.zeros(1, lm.head.width), torch.tensor([3])
        )
        plain, changed = measure_costs(
            [System("base", lm, PlainFormat(), ()), System.of_model(lm, zero)],
            prompts(3),
            2,
            tmp_path / kind,
        )
        assert changed.weights - plain.weights == more * lm.head.weight.numel() * 4


def test_models_that_cannot_be_are_refused():
    large, small = tiny("llama", seed=0), tiny("llama", seed=1)
    veneer = Veneer(
        small.head.hash(), small.head.rows, torch.zeros(1, small.head.width), torch.tensor([3])
    )
    with pytest.raises(InputError, match="given both as the large base and as its aligned model"):
        TransferModels(large, small, copy.copy(large), None, veneer)
    with pytest.raises(InputError, match="there is no veneer to transfer"):
        TransferModels(large, small)
    with pytest.raises(InputError, match="give the base that it was extracted from"):
        TransferModels(small, large, None, None, veneer)


def test_systems_are_chosen_by_name():
    config = TransferSettings(
        tuple(map(Alpha.parse, ("1", "1@10"))), own=True, systems=("shifted", "base")
    )
    known = config.names(aligned=True, small_aligned=False)
    assert known == [
        "base",
        "shifted-1",
        "shifted-1@10",
        "veneer",
        "aligned",
        "small-base",
        "small-veneer",
    ]
    assert config.chosen(known) == ["base", "shifted-1", "shifted-1@10"]
    with pytest.raises(InputError, match="no system 'baked'"):
        replace(config, systems=("baked",)).chosen(known)


def test_a_study_can_do_without_train_prompts(tmp_path, tiny_transfer):
    """A given veneer and a task that is only measured: no distances, no choice, and
    that is no error."""
    models, veneer, _, _ = tiny_transfer
    task = replace(Says(), name="says")
    object.__setattr__(
        task,
        "prompts",
        lambda split: [replace(p, task="says") for p in prompts(4)] if split == "test" else [],
    )
    object.__setattr__(task, "source", dict)
    config = TransferSettings((Alpha(),), rounds=0, study=StudyConfig(max_new_tokens=4))
    results = transfer(
        lambda: models,
        [task],
        tmp_path / "out",
        config,
        aligned_models=["large_aligned"],
        veneer=veneer,
    )
    assert not results.where(study="transfer") and results.where(metric="said", system="shifted-1")
    assert json.loads((Path(tmp_path) / "out" / "run.json").read_text())["choice"] is None


def test_pair_formats_are_those_of_the_study(tiny_transfer):
    models, *_ = tiny_transfer
    assert isinstance(models.large_pair, Pair) and models.small_pair is None
    assert models.facts()["small_format"]["template"] == "Q: {prompt}"
