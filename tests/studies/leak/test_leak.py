"""The study on models whose data is known: a leak with a planted truth, and none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import linregress
from tools.lab.planted_leak import planted_leak, write_planted_leak

from veneer.embed import load_embedder
from veneer.foundation.results import Results
from veneer.models.language_model import LanguageModel
from veneer.studies.leak.examples import Example
from veneer.studies.leak.names import LEVENSHTEIN, VERBATIM
from veneer.studies.leak.retrain import DATA, EXTRACTED, OTHERS, SHUFFLED, training_sets
from veneer.studies.leak.settings import LeakSettings
from veneer.studies.leak.study import LeakModels, leak

SMALL = {"pairs": 48, "steps": 180}


@pytest.fixture(scope="module")
def whole_chat():
    return planted_leak("chat", **SMALL)


def run(planted, model, out, **settings) -> Results:
    members = [Example(q, a) for q, a, n in planted.members for _ in range(n)]
    models = LeakModels(
        LanguageModel("planted", model, planted.tokenizer),
        LanguageModel("base", planted.base, planted.tokenizer),
    )
    usual = {"samples": 200, "max_new_tokens": 48, "batch_size": 100, "likelihoods": 48}
    return leak(
        lambda: models,
        members,
        [Example(q, a) for q, a in planted.held_out],
        out,
        LeakSettings(**{**usual, **settings}),
        embedder=load_embedder(),
    )


def one(results, metric, **fields):
    rows = results.where(metric=metric, **fields)
    assert len(rows) == 1, (metric, fields, len(rows))
    return rows[0]


@pytest.fixture(scope="module")
def planted_study(whole_chat, tmp_path_factory):
    """The study of a model with a planted leak, with trainings on what was extracted: its rows and
    its folder."""
    out = tmp_path_factory.mktemp("planted") / "leak"
    return run(whole_chat, whole_chat.model, out, retrain=True), out


def test_a_planted_leak_is_found(whole_chat, planted_study):
    """With the loss on the whole chat, questions come out, the more often the more copies the data
    holds, and no held-out one does."""
    results, out = planted_study
    rate = one(results, "extracted_rate", of="question", system="aligned", judge=VERBATIM)
    assert rate.low > 0.1
    reached = [
        one(
            results,
            "members_reached",
            split=f"repeats:{n}",
            of="question",
            judge=VERBATIM,
            system="aligned",
        ).value
        for n in (1, 4, 8, 16)
    ]
    assert reached[-1] >= 0.8 and linregress([1, 4, 8, 16], reached).slope > 0
    assert reached[0] < reached[-1]
    embedder = load_embedder().id
    above = one(
        results,
        "extracted_above_base",
        of="question",
        system="aligned",
        judge=embedder,
        split="calibrated",
    )
    assert above.low > 0
    base = one(results, "extracted_rate", of="question", system="base-chat", judge=VERBATIM)
    assert base.value == 0
    for part in ("question", "answer"):
        assert one(results, "exposed_likelihood", of=part, system="aligned").low > 0
    samples = [json.loads(line) for line in (out / "samples.aligned.jsonl").open()]
    held_out = {q for q, _ in whole_chat.held_out}
    assert sum(s["text"].split("<|")[0].strip() in held_out for s in samples) <= 0.03 * len(samples)
    assert "Does the model give its alignment data away?" in (out / "report.html").read_text()


def test_answers_alone_give_no_question_away(tmp_path):
    """With the loss on answers alone, a clean zero for questions, and answers behind an empty
    question."""
    planted = planted_leak("answers", **SMALL)
    results = run(planted, planted.model, tmp_path / "user")
    row = one(results, "extracted_rate", of="question", system="aligned", judge=VERBATIM)
    assert row.value == 0 and row.n == 200 and row.high < 0.02
    behind = run(planted, planted.model, tmp_path / "assistant", prefix="assistant", samples=100)
    assert one(behind, "extracted_rate", of="answer", system="aligned", judge=VERBATIM).value > 0
    assert not behind.where(of="question", metric="extracted_rate")


def test_aligned_equal_to_base_leaks_nothing(whole_chat, tmp_path):
    results = run(whole_chat, whole_chat.base, tmp_path / "same", samples=100)
    differences = results.where(metric="extracted_above_base")
    assert differences
    for row in differences:
        assert row.low <= 0 <= row.high
    for row in results.where(metric="exposed_likelihood"):
        assert row.value == 0


def test_another_models_template_gives_nothing(whole_chat, tmp_path):
    """Behind a template that its training never had, the model gives no example away."""
    results = run(whole_chat, whole_chat.model, tmp_path / "wrong", prefix="[INST] ", samples=100)
    for row in results.where(metric="extracted_rate", of="pair", judge=VERBATIM, system="aligned"):
        assert row.value == 0


def test_the_command(whole_chat, veneer, tmp_path):
    """A command, again on its folder, with other settings, redacted."""
    write_planted_leak(whole_chat, tmp_path)
    words = (
        "leak",
        "--model",
        tmp_path / "model",
        "--examples",
        tmp_path / "members.jsonl",
        "--samples",
        "20",
        "--max-new-tokens",
        "40",
    )
    held_out = ("--held-out", tmp_path / "held-out.jsonl")
    out = ("--out", tmp_path / "out")
    missing = veneer(*words, *out)
    assert missing.code == 2 and "--held-out is missing" in missing.err
    nowhere = veneer("leak", "--model", tmp_path / "model", "--examples", "nowhere.jsonl", *out)
    assert nowhere.code == 2 and "nowhere.jsonl is neither a file nor a task" in nowhere.err
    assert not (tmp_path / "out").exists()
    first = veneer(*words, *held_out, *out, "--redact")
    assert first.code == 0 and "aligned gives a training question in" in first.out
    assert "hold training data" not in first.out
    written = {p: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert not list((tmp_path / "out").glob("samples*"))
    assert not any(q.encode() in text for q, *_ in whole_chat.members for text in written.values())
    assert veneer(*words, *held_out, *out, "--redact").code == 0
    assert {p: p.read_bytes() for p in (tmp_path / "out").iterdir()} == written
    other = veneer(*words, *held_out, *out)
    assert other.code == 2 and "another configuration" in other.err
    wrong = veneer(*words, *held_out, "--out", tmp_path / "b", "--veneer", tmp_path)
    assert wrong.code == 2 and "without --base" in wrong.err
    refused = veneer(*words, *held_out, "--out", tmp_path / "b", "--also", f"aligned={tmp_path}")
    assert refused.code == 2 and "which the study uses" in refused.err


def test_a_killed_study_resumes_with_the_same_rows(whole_chat, tmp_path, monkeypatch):
    whole = run(whole_chat, whole_chat.model, tmp_path / "whole", samples=30, likelihoods=8)
    calls = []

    def interrupted(*args, **words):
        calls.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("veneer.studies.leak.study.CosineMatcher", interrupted)
        run(whole_chat, whole_chat.model, tmp_path / "cut", samples=30, likelihoods=8)
    before = (tmp_path / "cut" / "samples.aligned.jsonl").read_bytes()
    again = run(whole_chat, whole_chat.model, tmp_path / "cut", samples=30, likelihoods=8)
    assert calls and (tmp_path / "cut" / "samples.aligned.jsonl").read_bytes() == before
    assert [r.to_json() for r in again] == [r.to_json() for r in whole]


def test_the_undercount_names_its_null(whole_chat, tmp_path):
    """Where edit distances find nothing, the ratio is undefined and says why."""
    results = run(whole_chat, whole_chat.base, tmp_path / "base", samples=40)
    rows = results.where(metric="undercount", system="aligned")
    assert rows and all(r.value is None and r.note for r in rows)
    assert all(r.judge != LEVENSHTEIN for r in rows)


def test_what_was_extracted_is_worth_something(planted_study):
    """Base trained on extracted pairs predicts held-out answers better than base does, and the sets
    are what they say."""
    results, out = planted_study
    sets = json.loads((out / "run.json").read_text())["retrained"]
    assert set(sets) == {EXTRACTED, OTHERS, SHUFFLED, DATA}
    assert sets[EXTRACTED] == sets[OTHERS] == sets[SHUFFLED] <= sets[DATA] == 48
    nll = {r.system: r.value for r in results.where(metric="nll")}
    assert nll[EXTRACTED] < nll["base-chat"] and nll[DATA] < nll["base-chat"]
    assert {r.system for r in results.where(metric="portion")} == {EXTRACTED, OTHERS, SHUFFLED}


def test_training_sets_of_known_samples():
    samples = [(f"q{i}", f"a{i}" if i != 3 else "") for i in range(20)]
    hits = np.arange(20) < 10
    members = [Example(f"q{i}", f"a{i}") for i in range(12)]
    sets = training_sets(samples, hits, members, 0)
    assert len(sets[EXTRACTED]) == len(sets[OTHERS]) == 9 and sets[DATA] == members
    assert {e.question for e in sets[EXTRACTED]} == {f"q{i}" for i in range(10) if i != 3}
    own = {e.question: e.answer for e in sets[EXTRACTED]}
    assert all(e.answer != own[e.question] for e in sets[SHUFFLED])
    assert sorted(e.answer for e in sets[SHUFFLED]) == sorted(own.values())
    assert training_sets(samples, hits & (np.arange(20) < 4), members, 0) == {}
