"""Planted truths as a user meets them: `veneer run` on two folders, the rows of results.jsonl, and
the first sentence of the report."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tools.lab.planted import PlantedPair, planted_blind, planted_dW
from tools.lab.planted_text import KEYS

from command_fixtures import run
from veneer.foundation.results import Measurement, Results
from veneer.prompts.prompt import Prompt


def written_task(path: Path, planted: PlantedPair, answer: Callable[[int, Prompt], str]) -> Path:
    """A task file of the planted prompts, each with its right answer."""
    header = {"name": "planted", "scorer": "contains", "max_new_tokens": 8}
    lines: list[dict] = [{"task": {**header, "base_template": "{prompt}"}}]
    for split in ("train", "test"):
        for i, prompt in enumerate(getattr(planted, split)):
            row = {"id": f"{split}-{i}", "prompt": prompt.plain, "split": split}
            lines.append({**row, "answer": answer(i, prompt)})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def key_of(prompt: Prompt) -> str:
    return next(key for key in KEYS if key in prompt.plain)


def measured(
    folder: Path,
    planted: PlantedPair,
    answer: Callable[[int, Prompt], str],
    aligned: torch.nn.Module | None = None,
) -> tuple[Results, str]:
    """The rows of `veneer run`, and the first sentence of its report."""
    models = {"base": planted.base, "aligned": aligned or planted.aligned}
    for name, model in models.items():
        model.save_pretrained(folder / name)
        planted.tokenizer.save_pretrained(folder / name)
    task = written_task(folder / "planted.jsonl", planted, answer)
    pair = ("--base", folder / "base", "--aligned", folder / "aligned", "--aligned-plain")
    how = ("--tasks", task, "--max-new-tokens", 8, "--out", folder / "out", "--quiet")
    run("run", *pair, *how, "--no-controls")
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    (finding,) = re.findall(r'<p class="lead">(.*?)</p>', page, re.S)
    sentence = " ".join(re.sub(r"<[^>]+>", "", finding).split())
    return Results.read(folder / "out" / "results.jsonl"), sentence


def portion_of(results: Results) -> Measurement:
    (row,) = results.where(metric="portion", system="veneer", of="accuracy", split="test")
    return row


@pytest.fixture(scope="module")
def head() -> PlantedPair:
    return planted_dW()


def test_a_change_of_the_head_has_the_portion_1(head, tmp_path):
    results, sentence = measured(tmp_path, head, lambda i, p: "Yes")
    row = portion_of(results)
    assert row.value == 1 and row.low > 0.9 and row.high < 1.1
    assert sentence.startswith("A change of the last layer alone carries 1.00 of the change")


def test_a_loss_is_carried_as_a_gain_is(head, tmp_path):
    """Alignment that makes every answer wrong: the portion is of the loss, and the difference says
    that it is one."""
    results, _ = measured(tmp_path, head, lambda i, p: "No")
    assert portion_of(results).value == 1
    (lost,) = results.where(metric="difference_from_base", system="aligned", of="accuracy")
    assert lost.value == -1 and lost.high < -0.9


@pytest.mark.parametrize("factor", [1.0, 2.0], ids=["equal", "temperature"])
def test_models_that_answer_alike_have_no_portion(head, factor, tmp_path):
    """Logits times 2 change no greedy answer; the head alone makes that change, and KL shows it."""
    aligned = copy.deepcopy(head.base)
    with torch.no_grad():
        aligned.lm_head.weight.mul_(factor)
    results, sentence = measured(tmp_path, head, lambda i, p: "Yes", aligned)
    row = portion_of(results)
    assert (row.value, row.low, row.high) == (None, None, None) and "do not differ" in row.note
    assert sentence.startswith("No superficial portion is defined: ")
    (recovered,) = results.where(metric="kl_recovered", task="joint", system="veneer")
    if factor == 1:
        assert recovered.value is None and "nothing to recover" in recovered.note
    else:
        assert recovered.low > 0.95


def test_what_only_the_layers_know_has_the_portion_0(tmp_path):
    results, sentence = measured(tmp_path, planted_blind(), lambda i, p: key_of(p))
    row = portion_of(results)
    assert row.low < 0 < row.high < 0.2
    assert sentence.startswith("A change of the last layer alone carries little or nothing of")


def test_half_the_wording_and_half_the_key_has_the_portion_of_the_wording(tmp_path):
    """Every second prompt asks for the wording, which a head can carry; the others for the key, of
    which it hits one of eight by saying the same to all."""
    results, sentence = measured(
        tmp_path, planted_blind(), lambda i, p: "The key was" if i % 2 else key_of(p)
    )
    row = portion_of(results)
    by_chance = 1 / (2 * len(KEYS))
    truth = (0.5 + by_chance - by_chance) / (1 - by_chance)
    assert row.low < truth < row.high and row.low > 0.3 and row.high < 0.75
    assert sentence.startswith(f"A change of the last layer alone carries {row.value:.2f} of")
