"""`diversity` and `recover` compare answers to one prompt, however the files number and order their
prompts; --prompts says which prompts were answered."""

import json
from pathlib import Path

import numpy as np
import pytest

from veneer.cli.main import main
from veneer.foundation.results import Results

TEXTS = [f"Question {i} of the {w} kind?" for i, w in enumerate(("red", "blue", "old", "new"))]
WORDS = [f"w{i}" for i in range(30)]


def answered(seed):
    """text -> three answers, which share words with those of other seeds to the same text alone."""
    rng = np.random.default_rng(seed)
    return {
        t: [" ".join(rng.permutation(WORDS[i * 7 : i * 7 + 8])[:5]) for _ in range(3)]
        for i, t in enumerate(TEXTS)
    }


def written(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def lines(table, order=slice(None), **ids):
    """One row per answer; ids: "prompt_id" -> text -> id, in place of the prompt where given."""
    return [
        {"prompt": t, **{k: v[t] for k, v in ids.items()}, "text": a}
        for t in TEXTS[order]
        for a in table[t]
    ]


def bare(rows):
    return [{k: v for k, v in row.items() if k != "prompt"} for row in rows]


@pytest.fixture
def study(tmp_path):
    def run(name, base, aligned, *more):
        files = [
            f"{system}={written(tmp_path / f'{name}-{system}.jsonl', rows)}"
            for system, rows in (("base", base), ("aligned", aligned))
        ]
        out = tmp_path / name
        done = main(
            ["diversity", "--out", str(out), "--embedder", "none", "--responses", *files, *more]
        )
        return Results.read(out / "results.jsonl") if done == 0 else None

    return run


def figures(results):
    return {r.key: (r.value, r.n, r.low, r.high) for r in results}


def test_the_order_of_the_lines_changes_no_figure(study, tmp_path):
    base, aligned = answered(0), answered(1)
    ids = {t: f"p{i}" for i, t in enumerate(TEXTS)}
    right = figures(study("same", lines(base), lines(aligned)))
    other = study("reversed", lines(base), lines(aligned, slice(None, None, -1)))
    assert figures(other) == right
    assert (
        figures(study("named", lines(base, prompt_id=ids), lines(aligned, slice(None, None, -1))))
        == right
    )
    (coverage,) = other.where(metric="lexical_coverage", system="base", split=None)
    by_hand = [
        [len(set(b.split()) & set(aligned[t][0].split())) / len(set(b.split())) for b in base[t]]
        for t in TEXTS
    ]
    assert coverage.value == pytest.approx(np.mean(by_hand)) and coverage.n == len(TEXTS)


def test_prompts_join_answers_that_hold_ids_alone(study, tmp_path, capsys):
    base, aligned = answered(0), answered(1)
    ids = {t: f"p{i}" for i, t in enumerate(TEXTS)}
    right = figures(study("same", lines(base), lines(aligned)))
    rows = [{"id": ids[t], "prompt": t} for t in TEXTS]
    prompts = ["--prompts", str(written(tmp_path / "prompts.jsonl", rows))]
    alone = bare(lines(aligned, slice(None, None, -1), prompt_id=ids))
    assert figures(study("given", lines(base), alone, *prompts)) == right
    settings = json.loads((tmp_path / "given" / "run.json").read_text())["config"]
    assert settings["prompts"]["source"] == prompts[1]
    capsys.readouterr()
    assert (
        study(
            "number",
            lines(base),
            bare(lines(aligned, prompt_id={t: i for i, t in enumerate(TEXTS)})),
        )
        is None
    )
    assert "give the prompts of both with --prompts" in capsys.readouterr().err
    assert (
        study(
            "strange", lines(base), bare(lines(aligned, prompt_id={t: t for t in TEXTS})), *prompts
        )
        is None
    )
    assert "has none with that id; give the prompts that were answered" in capsys.readouterr().err


def test_prompts_bring_the_texts_that_count_once(study, tmp_path):
    """Two ids of one text are one cluster, which only the prompts' texts show."""
    rng = np.random.default_rng(5)
    table = {t: [" ".join(rng.permutation(WORDS)[:5]) for _ in range(3)] for t in TEXTS}
    twice = bare(lines(table, prompt_id={t: f"{i}a" for i, t in enumerate(TEXTS)})) + bare(
        lines(table, prompt_id={t: f"{i}b" for i, t in enumerate(TEXTS)})
    )
    rows = [{"id": f"{i}{c}", "prompt": t} for c in "ab" for i, t in enumerate(TEXTS)]
    prompts = ["--prompts", str(written(tmp_path / "prompts.jsonl", rows))]
    width = {}
    for name, more in (("unknown", []), ("known", prompts)):
        (row,) = study(name, twice, twice, *more).where(metric="lexical_diversity", system="base")
        width[name] = row.high - row.low
        assert row.n == 8
    assert width["known"] > 1.2 * width["unknown"]


def test_judgements_follow_the_answers_of_their_file(study, tmp_path):
    base, aligned = answered(0), answered(1)
    scores = {t: i + 1 for i, t in enumerate(TEXTS)}
    rows = [
        {"prompt_id": number, "sample_id": s, "helpfulness": scores[t]}
        for number, t in enumerate(reversed(TEXTS))
        for s in range(3)
    ]
    quality = f"aligned={written(tmp_path / 'quality.jsonl', rows)}"
    back = lines(aligned, slice(None, None, -1))
    results = study("judged", lines(base), back, "--quality", quality, "--limit", "2")
    (row,) = results.where(metric="helpfulness", system="aligned")
    assert row.value == pytest.approx((1 + 2) / 2) and row.n == 2


def test_recover_compares_answers_to_one_prompt(tmp_path):
    teacher = written(tmp_path / "teacher.jsonl", lines(answered(1)))
    figures_of = {}
    for name, order in (("same", slice(None)), ("reversed", slice(None, None, -1))):
        rows = lines(answered(0), order)
        base, other = (written(tmp_path / f"{name}-{s}.jsonl", rows) for s in ("base", "other"))
        out = tmp_path / name
        command = ["recover", "--teacher", str(teacher), "--measures", "lexical", "--out", str(out)]
        assert main([*command, "--responses", f"base={base}", f"other={other}"]) == 0
        figures_of[name] = figures(Results.read(Path(out) / "results.jsonl"))
    assert figures_of["same"] == figures_of["reversed"]
