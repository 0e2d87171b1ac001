"""Well-formed answers against likelihoods that transformers computes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import tiny
from veneer.measures.behaviour import Scored, behaviour_rows
from veneer.measures.well_formed import JUDGE, _without_each, add_well_formed, cut_of
from veneer.models.formats import ChatFormat
from veneer.prompts.prompt import Prompt
from veneer.systems.responses import Response
from veneer.systems.system import System
from veneer.tasks.registry import get_task

PROMPTS = [
    Prompt.from_text(f"p{i}", text, task="lab-requests")
    for i, text in enumerate(["How do I bake bread?", "The cat sat", "Tom has 3 apples"])
]
OWN = ["The cat sat on the mat.", "Answer: 7", " one, two, three\n"]
OTHER = ["How many apples?", "", "one, two, three"]


@pytest.fixture(scope="module")
def aligned():
    lm = tiny.tiny()
    return System("aligned", lm, ChatFormat(), lm.stop_ids)


def answered(system, texts, **more):
    return [
        Response(f"p{i}", 0, system, "lab-requests", t, (), "stop", 0, **more)
        for i, t in enumerate(texts)
    ]


def measured(aligned, out, texts=OTHER, own=OWN):
    scored = [Scored("base"), Scored("aligned")]
    answers = {"base": answered("base", texts), "aligned": answered("aligned", own)}
    reason = add_well_formed(scored, answers, [aligned], PROMPTS, out=out)
    assert reason is None
    return scored


def by_transformers(lm, prompt, text):
    """Mean negative log-likelihood of one text behind one prompt, without padding or batches."""
    chat = lm.tokenizer.apply_chat_template(
        list(prompt.messages), add_generation_prompt=True, tokenize=False
    )
    before = lm.tokenizer(chat, add_special_tokens=False)["input_ids"]
    ids = lm.tokenizer(text.strip(), add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = lm.model(torch.tensor([before + ids])).logits[0].double()
    logs = logits.log_softmax(-1)[len(before) - 1 : -1]
    return -float(logs[torch.arange(len(ids)), torch.tensor(ids)].mean())


def test_an_answers_likelihood_is_that_of_the_aligned_model_alone(aligned, tmp_path):
    base, own = measured(aligned, tmp_path)
    expected = [by_transformers(aligned.lm, p, t) for p, t in zip(PROMPTS, OWN, strict=True)]
    np.testing.assert_allclose(own.values["answer_nll"], expected, rtol=1e-4)
    third = by_transformers(aligned.lm, PROMPTS[2], OTHER[2])
    first = by_transformers(aligned.lm, PROMPTS[0], OTHER[0])
    np.testing.assert_allclose(base.values["answer_nll"][[0, 2]], [first, third], rtol=1e-4)
    assert np.isnan(base.values["answer_nll"][1])
    cut = max(expected)
    assert base.facts["well_formed"]["cut"] == pytest.approx(cut, rel=1e-4)
    assert base.values["well_formed"].tolist() == [float(first <= cut), 0.0, 1.0]
    # the largest of the aligned model's own values lies above all others
    assert own.values["well_formed"].sum() == 2


def test_a_row_names_its_judge_its_prompts_and_its_cut(aligned, tmp_path):
    rows = list(
        behaviour_rows(get_task("lab-requests"), PROMPTS, measured(aligned, tmp_path), seed=0)
    )
    (row,) = [r for r in rows if r.metric == "well_formed" and r.system == "base"]
    assert row.judge == JUDGE and row.n == 3 and row.low < row.value < row.high
    assert row.fact("answers") == 3 and row.fact("level") == 0.75
    (nll,) = [r for r in rows if r.metric == "answer_nll" and r.system == "base"]
    assert nll.n == 2 and nll.unit == "nats/token"


def test_stored_likelihoods_serve_an_interrupted_run(aligned, tmp_path):
    before = measured(aligned, tmp_path)
    path = tmp_path / "lab-requests.base.jsonl"
    header, first, *rest = path.read_text().splitlines()
    changed = {**json.loads(first), "nll": 0.25}
    path.write_text("\n".join([header, json.dumps(changed), *rest]) + "\n")
    assert measured(aligned, tmp_path)[0].values["answer_nll"][0] == 0.25
    path.write_text("\n".join([header, json.dumps(changed)]) + "\n")  # cut short
    assert measured(aligned, tmp_path)[0].values["answer_nll"].tolist()[0] == pytest.approx(
        before[0].values["answer_nll"][0]
    )
    # other answers are not served by these values
    other = measured(aligned, tmp_path, ["Sure, here", *OTHER[1:]])[0].values["answer_nll"][0]
    assert other == pytest.approx(by_transformers(aligned.lm, PROMPTS[0], "Sure, here"), rel=1e-4)


def test_an_interrupted_run_ends_with_the_same_numbers(aligned, tmp_path):
    """All systems are read together: where one file is missing, all are read again."""
    measured(aligned, tmp_path)
    written = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for name in written:
        (tmp_path / name).unlink()
        measured(aligned, tmp_path)
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == written


def test_equal_answers_have_equal_likelihoods(aligned, tmp_path):
    base, own = measured(aligned, tmp_path, OWN)
    assert base.values["answer_nll"].tolist() == own.values["answer_nll"].tolist()


def test_the_cut_holds_99_percent_of_fresh_answers():
    values = np.arange(1.0, 200.0)
    assert cut_of(values) == (198.0, 198 / 200)
    assert cut_of(values[:99]) == (99.0, 0.99)
    assert cut_of(values[:20]) == (20.0, 20 / 21)
    draws = np.random.default_rng(0).gamma(0.7, size=(4000, 151))
    held = np.mean([x[150] <= cut_of(x[:150]).nats for x in draws])
    assert 0.985 < held < 0.998  # k / (n + 1) = 150 / 151 = 0.9934


def test_without_likelihoods_the_reason_is_returned(aligned, tmp_path):
    class Endpoint:
        name = "aligned"

    answers = {"aligned": answered("aligned", OWN)}
    out = {"prompts": PROMPTS, "out": tmp_path}
    assert add_well_formed([], {}, [], **out) == "no_aligned_model"
    assert add_well_formed([], answers, [Endpoint()], **out) == "aligned_gives_no_likelihoods"
    thinks = {"aligned": answered("aligned", OWN, reasoning="Let me see.")}
    assert add_well_formed([], thinks, [aligned], **out) == "aligned_thinks"
    silent = {"aligned": answered("aligned", ["", " ", ""])}
    assert add_well_formed([], silent, [aligned], **out) == "aligned_answers_are_empty"
    assert not list(tmp_path.iterdir())


def test_the_cut_of_an_own_answer_holds_no_other_line_of_its_text():
    values = np.array([1.0, 2.0, 3.0, 3.0])
    assert _without_each(values, np.arange(4)).tolist() == [3, 3, 3, 3]
    assert _without_each(values, np.array([0, 1, 2, 2])).tolist() == [3, 3, 2, 2]


def test_a_single_prompt_has_no_other_to_be_held_against():
    """The aligned model's own rate was 0 of 1."""
    assert np.isnan(_without_each(np.array([1.0, 2.0]), np.array([0, 0]))).all()
