"""Choices: accuracy from log-likelihoods, going on after a cut, and other settings refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

import pytest

from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.measures.choice import score_choices
from veneer.models.formats import ChatFormat
from veneer.prompts.prompt import Prompt
from veneer.systems.likelihood import loglikelihoods
from veneer.systems.system import System
from veneer.tasks.task import Better, Task

CHOICES = ["bread", "a list of things", "ten"]


class Choosing(Task):
    name = "choosing"
    kind = "choice"
    headlines: ClassVar[Mapping[str, Better]] = {"accuracy": "up"}

    def prompts(self, split):
        return questions()


def questions(n: int = 7, choices=CHOICES) -> list[Prompt]:
    words = ["one", "two", "three", "mat", "cat", "help", "list"]
    return [
        Prompt.from_text(
            f"c{i}",
            f"How do I {words[i % 7]} {i}?",
            task="choosing",
            choices=list(choices),
            answer=i % len(choices),
        )
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def base() -> System:
    return System.of_model(tiny())


def test_the_likeliest_choice_is_the_answer(base):
    prompts = questions()
    scores = score_choices(base, Choosing(), prompts, batch_size=4)
    wanted, normed = [], []
    for p, row in zip(
        prompts,
        loglikelihoods(base, prompts, [[f" {c}" for c in CHOICES]] * len(prompts)),
        strict=True,
    ):
        sums = [x.logprob for x in row]
        by_byte = [s / len(c) for s, c in zip(sums, CHOICES, strict=True)]
        wanted.append(float(sums.index(max(sums)) == p.reference["answer"]))
        normed.append(float(by_byte.index(max(by_byte)) == p.reference["answer"]))
    assert (
        scores.values["accuracy"].tolist() == wanted
        and scores.values["accuracy_norm"].tolist() == normed
    )
    assert scores.system == "base" and scores.judges == {"accuracy": None, "accuracy_norm": None}
    assert 0 < sum(wanted) < len(wanted)


def test_a_cut_file_is_completed(base, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    expected = score_choices(base, Choosing(), questions(), out=whole, batch_size=4)
    lines = whole.read_text().splitlines(keepends=True)
    assert len(lines) == 8 and {"prompt_id", "choices", "loglikelihoods"} <= set(
        json.loads(lines[1])
    )
    cut.write_text("".join(lines[:3]) + lines[3][:20])
    events = []
    again = score_choices(
        base, Choosing(), questions(), out=cut, batch_size=4, progress=lambda *a: events.append(a)
    )
    assert (
        events[0][0] == 2
        and events[1][0] > 2
        and events[-1] == (7, 7, f"base on {questions()[0].task}")
    )
    assert again.values["accuracy"].tolist() == expected.values["accuracy"].tolist()
    assert sorted(cut.read_text().splitlines()) == sorted(whole.read_text().splitlines())
    before = whole.stat().st_mtime_ns
    # another batch size changes nothing but the last digits
    score_choices(base, Choosing(), questions(), out=whole)
    assert whole.stat().st_mtime_ns == before


def test_other_settings_are_refused(base, tmp_path):
    out = tmp_path / "o.jsonl"
    score_choices(base, Choosing(), questions(), out=out)
    for system, prompts in (
        (System.of_model(tiny(seed=3)), questions()),
        (base, questions(6)),
        (base, questions(choices=["a", "b"])),
    ):
        with pytest.raises(InputError, match="other settings"):
            score_choices(system, Choosing(), prompts, out=out)


def test_in_a_chat_the_choice_stands_behind_the_generation_prompt():
    system = System.of_model(tiny(), format=ChatFormat(), name="aligned")
    prompts = questions(3)
    scores = score_choices(system, Choosing(), prompts)
    right = []
    for p, row in zip(prompts, loglikelihoods(system, prompts, [CHOICES] * 3), strict=True):
        sums = [x.logprob for x in row]
        right.append(float(sums.index(max(sums)) == p.reference["answer"]))
    assert scores.values["accuracy"].tolist() == right


def test_a_veneer_that_knows_the_answer_is_right():
    """A head that gives the first token of one choice everything: the veneer's head is the
    one that decides."""
    import torch

    lm = tiny()
    token = lm.tokenizer(" ten", add_special_tokens=False)["input_ids"]
    bias = torch.zeros(lm.head.rows)
    bias[token] = 1e3
    veneer = Veneer.of_bias(lm.head.hash(), lm.head.width, bias)
    scores = score_choices(System.of_model(lm, veneer), Choosing(), questions(6))
    assert scores.values["accuracy"].tolist() == [float(i % 3 == 2) for i in range(6)]


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"choices": ["a"], "answer": 0},
        {"choices": ["a", ""], "answer": 0},
        {"choices": ["a", "b"], "answer": 2},
        {"choices": "ab", "answer": 0},
    ],
)
def test_bad_choices(reference, base, tmp_path):
    out = tmp_path / "o.jsonl"
    with pytest.raises(InputError, match="expected two texts or more"):
        score_choices(base, Choosing(), [Prompt("a", (), "How", "choosing", reference)], out=out)
    assert not out.exists()


def test_only_a_local_system_has_likelihoods():
    class Remote:
        name = "remote"

    with pytest.raises(InputError, match="likelihoods"):
        score_choices(Remote(), Choosing(), questions())  # type: ignore[arg-type]
