"""The inputs of restore: methods that lack one, tasks that make no sense, models that are not
broken, answers alone."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from tiny import tiny
from veneer.cli import main
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.models.load import load_model

BROKEN = "--compromised lab:compromised"
SMALL = "--limit 8 --validation-tokens 20 --max-new-tokens 20 --alphas 1 --ranks 2 --no-merge"
LAB = "--harmful lab-requests --safe lab-harmless --capability lab-sums --harmless lab-sums"
BAD = {
    "own without an aligned model": (f"{BROKEN} --ways own", "give --aligned"),
    "own-responses without answers": (f"{BROKEN} --ways own-responses", "--responses"),
    "head without base": (f"{BROKEN} --aligned lab:aligned --ways head", "--base"),
    "shifted without base": (f"{BROKEN} --veneer {{veneer}} --ways shifted", "--base"),
    "no such method": (f"{BROKEN} --aligned lab:aligned --ways prayer", "'prayer'"),
    "no method": (f"{BROKEN} --aligned lab:aligned --ways ,", "no method"),
    "no harmful task": (
        f"{BROKEN} --aligned lab:aligned --ways own --harmful ''",
        "no harmful task",
    ),
    "harmful and harmless": (
        f"{BROKEN} --aligned lab:aligned --ways own --safe lab-requests",
        "harmful and as harmless",
    ),
    "no capability": (
        f"{BROKEN} --aligned lab:aligned --ways own --capability lab-harmless",
        "measures no capability",
    ),
    "unknown task": (f"{BROKEN} --aligned lab:aligned --ways own --safe lab-songs", "lab-songs"),
    "alpha of no number": (
        f"{BROKEN} --aligned lab:aligned --ways own --alphas many",
        "--alphas is 'many'",
    ),
    "schedule of no form": (
        f"{BROKEN} --aligned lab:aligned --ways own --schedules x",
        "--schedules is 'x'",
    ),
    "a schedule for a head": (
        f"{BROKEN} --aligned lab:aligned --ways own --alphas 2@10",
        "--schedules",
    ),
    "no alpha": (f"{BROKEN} --aligned lab:aligned --ways own --alphas ,", "no alpha"),
    "a broken schedule": (
        f"{BROKEN} --aligned lab:aligned --ways own --schedules 2@@10",
        "schedule",
    ),
    "rank of no whole number": (
        f"{BROKEN} --aligned lab:aligned --ways own --ranks 2.5",
        "whole number",
    ),
    "rank 0": (f"{BROKEN} --aligned lab:aligned --ways own --ranks 0", "--ranks is 0"),
    "two weights": (f"{BROKEN} --aligned lab:aligned --ways own --weights 1,1", "expected three"),
    "weights of nothing": (
        f"{BROKEN} --aligned lab:aligned --ways own --weights 0,0,0",
        "not all 0",
    ),
    "limit 0": (f"{BROKEN} --aligned lab:aligned --ways own --limit 0", "0"),
    "too few prompts": (f"{BROKEN} --aligned lab:aligned --ways own --limit 2", "at least 3"),
    "no file of answers": (
        f"{BROKEN} --ways own-responses --responses {{none}}",
        "there is no file",
    ),
    "no veneer": (f"{BROKEN} --aligned lab:aligned --ways head --veneer {{none}}", "veneer.json"),
    "nothing to attack again": (
        f"{BROKEN} --aligned lab:aligned --ways urial --reattack lab-requests",
        "checkpoint",
    ),
    "no such attack": (
        f"{BROKEN} --aligned lab:aligned --ways own --reattack {{none}}",
        "does not exist",
    ),
    "no model": (
        f"--compromised {{none}} --aligned lab:aligned --ways own {LAB}",
        "there is no folder",
    ),
    "other vocabularies": (
        f"--compromised {{tiny}} --aligned lab:aligned --ways own {LAB}",
        "differ in",
    ),
    "no chat template": (f"--compromised {{untalkative}} --ways urial {LAB}", "no chat template"),
    "a constant veneer and ranks": (
        f"{BROKEN} --veneer {{constant}} --base lab:base --ways head {LAB}",
        "no rank to cut; give --ranks ''",
    ),
    "a constant veneer and no bias": (
        f"{BROKEN} --veneer {{constant}} --base lab:base --ways head --ranks '' {LAB}",
        "has no bias that a restored checkpoint could hold it in; give --no-merge",
    ),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("given")
    lm = tiny()
    lm.model.save_pretrained(folder / "tiny")
    lm.tokenizer.save_pretrained(folder / "tiny")
    untalkative = copy.deepcopy(lm.tokenizer)
    untalkative.chat_template = None
    lm.model.save_pretrained(folder / "untalkative")
    untalkative.save_pretrained(folder / "untalkative")
    base = load_model("lab:base")
    shift = torch.ones(base.head.rows)
    constant = Veneer.of_bias(base.head.hash(), base.head.width, shift)
    return {
        "none": folder / "none",
        "constant": constant.save(folder / "constant"),
        "tiny": folder / "tiny",
        "untalkative": folder / "untalkative",
        "veneer": request.getfixturevalue("extracted"),
    }


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(name, places, tmp_path, capsys):
    line, message = BAD[name]
    words = [w.strip("'") for w in line.format(**places).split()]
    out = tmp_path / "out"
    assert main(["restore", *words, "--out", str(out)]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert err[-1].startswith("veneer: error: ") and message in err[-1], err
    assert "Traceback" not in "".join(err) and not out.exists()


def test_a_model_that_is_not_broken_is_reported(tmp_path, capsys):
    out = tmp_path / "study"
    line = (
        f"restore --compromised lab:aligned --aligned lab:aligned --ways own,urial {SMALL} "
        f"--out {out}"
    )
    assert main(line.split()) == 0
    rows = Results.read(out / "results.jsonl")
    (lost,) = rows.where(metric="lost_refusals")
    note = "whether the compromised model has lost refusals is not determined"
    assert lost.value == 0 and note in lost.note  # 8 prompts exclude no loss of a tenth
    assert note in (out / "report.html").read_text()
    # urial's prompts are longer than what the lab's models read
    (verdict,) = rows.where(study="restore", metric="restored")
    assert verdict.system == "own" and verdict.note.startswith("not determined; refusals")
    assert verdict.fact("verdict") == "not_determined" and lost.fact("broken") is False
    record = json.loads((out / "run.json").read_text())
    assert record["ways_left_out"][0].startswith("urial is left out")


def test_answers_alone_restore_without_the_aligned_model(tmp_path):
    answers = tmp_path / "answers"
    for task in ("lab-requests", "lab-harmless", "lab-sums"):
        options = f"--chat --prompts {task} --split train --limit 8 --max-new-tokens 20"
        line = f"generate --model lab:aligned {options} --out {answers / task}.jsonl"
        assert main(line.split()) == 0
    files = " ".join(
        str(answers / f"{t}.jsonl") for t in ("lab-requests", "lab-harmless", "lab-sums")
    )
    line = (
        f"restore {BROKEN} --ways own-responses {SMALL} --responses {files} --out "
        f"{tmp_path / 'study'}"
    )
    assert main(line.split()) == 0
    rows = Results.read(tmp_path / "study" / "results.jsonl")
    assert not rows.where(system="aligned") and not rows.where(metric="portion")
    (verdict,) = rows.where(study="restore", metric="restored")
    assert verdict.system == "own-responses" and "aligned" not in verdict.note
    assert all("aligned" not in figures for figures in verdict.fact("figures").values())
    (gain,) = rows.where(metric="difference_from_compromised", of="refusal_rate")
    assert gain.value > 0.5
