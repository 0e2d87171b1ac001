"""veneer diversity from the command to the report: stored answers, models, a judge that runs
here, and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from veneer.cli.main import main
from veneer.endpoint import Reply
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.prompts.prompt import Prompt
from veneer.studies.diversity.answers_table import Material
from veneer.studies.diversity.judge_answers import ask_judge
from veneer.studies.diversity.settings import DiversitySettings
from veneer.studies.diversity.study import diversity_rows

PROMPTS = 14


@pytest.fixture
def stored(tmp_path):
    """base says one of three things or nothing useful, aligned all three; judgements say which
    answers are good."""
    rng = np.random.default_rng(0)
    things = ["red apples grow here", "green pears fall down", "blue plums taste sweet"]
    files = {
        name: []
        for name in (
            "base",
            "aligned",
            "quality",
            "stance-base",
            "stance-aligned",
            "novelty",
            "topics",
        )
    }
    for p in range(PROMPTS):
        for s in range(5):
            good = s > 0
            text = things[rng.integers(3)] if good else f"noise {rng.integers(10**6)}"
            files["base"].append(
                {"prompt_id": p, "prompt": f"Question {p}?", "sample_id": s, "text": text}
            )
            files["aligned"].append(
                {
                    "prompt_id": p,
                    "sample_id": s,
                    "text": ". ".join(rng.permutation(things)) + " indeed",
                }
            )
            files["quality"].append(
                {"prompt_id": p, "sample_id": s, "helpfulness": {"score": "5" if good else 1}}
            )
            files["stance-base"].append(
                {"prompt_id": p, "sample_id": s, "stance": ["yes", "no"][s % 2]}
            )
            files["stance-aligned"].append({"prompt_id": p, "sample_id": s, "stance": "both"})
            files["novelty"].append({"prompt_id": p, "sample_id": s, "score": 1 if good else 5})
            topics = [
                {"name": "x", "response": "both" if good else "B", "helpfulness": 5 if good else 1}
            ]
            files["topics"].append({"prompt_id": p, "sample_id": s, "topics": topics})
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


def command(folder, *more, out="out"):
    named = [f"{n}={folder / n}.jsonl" for n in ("base", "aligned")]
    return [
        "diversity",
        "--out",
        str(folder / out),
        "--embedder",
        "none",
        "--responses",
        *named,
        *more,
    ]


def judged(folder):
    return [
        "--quality",
        f"base={folder}/quality.jsonl",
        "--stance",
        f"base={folder}/stance-base.jsonl",
        f"aligned={folder}/stance-aligned.jsonl",
        "--novelty",
        f"aligned/base={folder}/novelty.jsonl",
        "--topics",
        f"aligned/base={folder}/topics.jsonl",
    ]


def test_stored_answers(stored, capsys):
    assert main([*command(stored, *judged(stored)), "--vendi", "0", "1", "inf"]) == 0
    assert "quality control" in capsys.readouterr().out
    results = Results.read(stored / "out" / "results.jsonl")
    assert {r.study for r in results} == {"diversity"}

    def row(metric, system="base", **more):
        return next(iter(results.where(metric=metric, system=system, **more)))

    assert (
        row("lexical_diversity").n == PROMPTS
        and row("lexical_diversity", "aligned", split=None).value < 0.01
    )
    assert (
        row("words").value == pytest.approx((4 * 4 + 2) / 5)
        and row("vendi_lexical_qinf").unit == "effective answers"
    )
    split = "helpfulness>=5"
    kept, before = (
        row("lexical_diversity", split=split).value,
        row("lexical_diversity_unfiltered", split=split).value,
    )
    assert (
        row("kept", split=split).value == 0.8
        and row("kept", split=split).note == f"{4 * PROMPTS} of {5 * PROMPTS} answers"
    )
    assert row("lexical_diversity_quality_effect", split=split).value == pytest.approx(
        before - kept
    )
    terms = {
        t: row(f"decomposition_{t}", split="helpfulness>=4").value
        for t in ("drop", "quality_control", "aggregation", "rest")
    }
    assert terms["quality_control"] == pytest.approx(before - kept)
    assert terms["drop"] == pytest.approx(
        terms["quality_control"] + terms["aggregation"] + terms["rest"]
    )
    assert row("decomposition_united", split="helpfulness>=4").value > 2, (
        "aligned says what several base answers say"
    )
    assert row("lexical_coverage", split=None).value == pytest.approx(0.8)
    assert row("lexical_coverage", split="matched").value < 0.5
    assert row("stance_coverage").value == 1 and row("stance_both_sides").value == 1
    assert row("novelty_5").value == pytest.approx(0.2) and row(
        "topics_both"
    ).value == pytest.approx(0.8)
    assert row("topics_B_by_helpfulness").value == pytest.approx(1 / 21)
    for r in results:
        assert (r.n > 0 or (r.value is None and r.note)) and (
            r.value is None or r.low is None or r.low <= r.value <= r.high
        ), r
        assert r.judge is not None or not (
            "stance" in r.metric or "novelty" in r.metric or "topic" in r.metric
        ), r
    page = (stored / "out" / "report.html").read_text()
    assert "<html" in page and len(page) > 10_000
    run = json.loads((stored / "out" / "run.json").read_text())
    assert (
        run["finished"] and run["imported"] and len(run["config"]["responses base"]["sha256"]) == 64
    )


def test_another_aspect_is_never_called_helpfulness(stored, capsys):
    rows = [json.loads(line) for line in (stored / "quality.jsonl").read_text().splitlines()]
    for row in rows:
        row["depth"] = row.pop("helpfulness")
    (stored / "quality.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    quality = ["--quality", f"base={stored}/quality.jsonl", "--aspect", "depth"]
    assert main(command(stored, *quality)) == 0
    output = capsys.readouterr().out
    assert "depth>=4" in output and "not filtered" in output and "helpful" not in output
    assert "helpfulness" not in (stored / "out" / "results.jsonl").read_text()
    page = (stored / "out" / "report.html").read_text()
    assert "depth&gt;=5" in page and "helpfulness" not in page


def test_no_cell_is_cut_and_each_says_why_it_is_empty(stored, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    more = [f"a-system-with-a-long-name-{i}={stored}/base.jsonl" for i in range(6)]
    assert main(command(stored, *more, *judged(stored)[:2])) == 0
    output = capsys.readouterr().out
    assert "…" not in output and "not judged" in output and "0 by definition" in output
    assert "undefined: lexical diversity matched, base: no prompt has two answers of 50" in output


def test_again_and_otherwise(stored, capsys):
    assert main(command(stored)) == 0
    before = {p.name: p.read_bytes() for p in (stored / "out").iterdir()}
    assert main(command(stored)) == 0
    assert {p.name: p.read_bytes() for p in (stored / "out").iterdir()} == before
    assert (
        main(command(stored, "--seed", "1")) == 2
        and "another configuration" in capsys.readouterr().err
    )
    assert main(command(stored, out="second")) == 0
    assert (stored / "second" / "results.jsonl").read_bytes() == before["results.jsonl"]


BAD = {
    "neither": (lambda f: ["diversity", "--out", str(f / "o")], "expected stored answers"),
    "both": (lambda f: command(f, "--base", "x", out="o"), "one of the two"),
    "no name": (
        lambda f: ["diversity", "--out", str(f / "o"), "--responses", f"{f}/base.jsonl"],
        "expected NAME=FILE",
    ),
    "no file": (
        lambda f: ["diversity", "--out", str(f / "o"), "--responses", "base=none"],
        "none (--responses base) does not exist",
    ),
    "twice": (
        lambda f: [
            "diversity",
            "--out",
            str(f / "o"),
            "--responses",
            f"a={f}/base.jsonl",
            f"a={f}/base.jsonl",
        ],
        "twice",
    ),
    "wrong pair": (
        lambda f: command(f, "--topics", f"base={f}/topics.jsonl", out="o"),
        "REFERENCE/ALTERNATIVE=FILE",
    ),
    "unknown system": (
        lambda f: command(f, "--quality", f"other={f}/quality.jsonl", out="o"),
        "'other', which has no answers",
    ),
    "wrong judge": (
        lambda f: command(f, "--stance", f"base={f}/quality.jsonl", out="o"),
        "no verdict of this kind",
    ),
    "no aspect": (lambda f: command(f, "--aspect", "beauty", out="o"), "no aspect 'beauty'"),
    "negative order": (lambda f: command(f, "--vendi", "-1", out="o"), "--vendi is -1"),
    "half a judge": (lambda f: command(f, "--judge-model", "m", out="o"), "--judge-url"),
    "cold samples": (lambda f: command(f, "--temperature", "0", out="o"), "all samples are equal"),
    "no embedder": (
        lambda f: [*command(f, out="o"), "--embedder", "./none"],
        "there is no embedder './none'",
    ),
    "models alone": (
        lambda f: ["diversity", "--out", str(f / "o"), "--base", "lab:base"],
        "--base, --aligned and --prompts together",
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input(stored, capsys, case):
    command, message = case
    assert main(command(stored)) == 2
    assert message in capsys.readouterr().err and not (stored / "o" / "results.jsonl").exists()


def test_a_limit_leaves_judgements_with_their_answers(tmp_path):
    """Judge files are in the order of all prompts, also of those that are left out or
    have only errors."""

    def lines(name, rows):
        (tmp_path / name).write_text("".join(json.dumps(r) + "\n" for r in rows))

    texts = [[{"generated_text": f"w{p} x{s}"} for s in range(2)] for p in range(4)]
    texts[0] = [{"error": "too long"}] * 2
    lines(
        "base.jsonl", [{"prompt": f"Q{p}", "outputs": outputs} for p, outputs in enumerate(texts)]
    )
    scores = [1, 1, 5, 5, 2, 2, 4, 4]  # of prompt 0, 0, 1, 1, ...
    content = [
        {"ok": True, "outputs": [{"message": {"content": json.dumps({"helpfulness": s})}}]}
        for s in scores
    ]
    lines("quality.jsonl", content)
    args = [
        "diversity",
        "--embedder",
        "none",
        "--responses",
        f"base={tmp_path}/base.jsonl",
        "--quality",
        f"base={tmp_path}/quality.jsonl",
    ]
    for limit, expected, n in (("1", 5, 1), ("2", 3.5, 2)):
        assert main([*args, "--out", str(tmp_path / limit), "--limit", limit]) == 0
        row = Results.read(tmp_path / limit / "results.jsonl").where(metric="helpfulness")[0]
        assert row.value == expected and row.n == n


def test_other_prompts_are_refused(stored, capsys):
    (stored / "aligned.jsonl").write_text(
        '{"prompt_id": "z", "text": "a"}\n{"prompt_id": "z", "text": "b"}\n'
    )
    assert main(command(stored)) == 2 and "have no prompt in common" in capsys.readouterr().err
    (stored / "base.jsonl").write_text('{"prompt_id": "z", "text": "a"}\n')
    (stored / "aligned.jsonl").write_text('{"prompt_id": "z", "text": "a"}\n')
    assert (
        main(command(stored, out="o")) == 2
        and "no prompt has two answers" in capsys.readouterr().err
    )


def test_models_from_sampling_to_report(tmp_path):
    """The lab pair with both formats of base; sampled answers are kept and read again."""
    args = [
        "diversity",
        "--out",
        str(tmp_path / "out"),
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        "--prompts",
        "lab-requests",
        "--limit",
        "3",
        "--samples",
        "2",
        "--temperature",
        "1",
        "--max-new-tokens",
        "8",
        "--embedder",
        "none",
        "--base-format",
        "query",
    ]
    assert main(args) == 0
    lines = (tmp_path / "out" / "responses" / "lab-requests.base.jsonl").read_text().splitlines()
    assert len(lines) == 6 and "```" not in json.loads(lines[0])["text"]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["systems"][0]["format"]["template"].startswith("# Query:") and run["systems"][0][
        "stop"
    ] == ["```"]
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    (tmp_path / "out" / "responses").rename(tmp_path / "kept")
    assert main(args) == 0 and (tmp_path / "out" / "results.jsonl").read_bytes() == before, (
        "a finished folder is read"
    )


class Scripted:
    """Says what a judge would say of an answer; one reply is cut."""

    model = "scripted"

    def __init__(self):
        self.requests = []

    def ask(self, requests, progress=None, what=""):
        self.requests += requests
        replies = []
        for r in requests:
            words = r.messages[-1]["content"]
            score = 5 if "good" in words else 1
            text = json.dumps(
                {
                    a: {"reason": "", "score": score}
                    for a in ("helpfulness", "clarity", "factuality", "depth", "engagement")
                }
            )
            if "topics" in words and "helpfulness" not in text[:0] and '"topics"' in words:
                text = json.dumps(
                    {"reason": "", "topics": [{"name": "n", "response": "B", "helpfulness": 2}]}
                )
            elif '"stance"' in words:
                text = json.dumps({"reason": "", "stance": "yes"})
            elif "alternative-" in words:
                text = json.dumps({"reason": "", "score": score})
            replies.append(
                Reply(text[:20] if "cut" in words else text, "length" if "cut" in words else "stop")
            )
        return replies


def test_a_judge_is_asked():
    material = Material(
        "t",
        {
            "base": {"p": {0: "good one\n```", 1: "bad", 2: "cut"}},
            "aligned": {"p": {0: "good", 1: "good too"}},
        },
    )
    prompts = {"p": Prompt.from_text("p", "Q?")}
    ask_judge(material, prompts, Scripted(), ["quality", "stance", "novelty", "topics"])
    assert material.quality["base"].values == {"p": {0: 5, 1: 1, 2: None}}
    assert (
        material.quality["base"].failed == {"truncated": 1}
        and "scripted" in material.quality["base"].judge
    )
    assert material.stance["aligned"].values == {"p": {0: "yes", 1: "yes"}}
    assert material.novelty["aligned", "base"].values["p"][1] == 5, "the reference says good"
    assert material.topics["aligned", "base"].values["p"][0][0].where == "B"
    rows = diversity_rows(material, DiversitySettings())
    assert any(r.metric == "kept" and r.judge and "scripted" in r.judge for r in rows)
    again = Scripted()
    ask_judge(material, prompts, again, ["quality"])
    assert not again.requests, "stored judgements stand"
    with pytest.raises(InputError, match="text of prompt 'p' is not known"):
        ask_judge(material, {}, Scripted(), ["quality"])
    with pytest.raises(InputError, match="not asked about 'beauty'"):
        ask_judge(material, prompts, Scripted(), ["beauty"])
