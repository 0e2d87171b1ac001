"""veneer tasks and veneer tasks show."""

from __future__ import annotations

import json

import pytest

from veneer.cli import main
from veneer.tasks.registry import TASKS


@pytest.fixture
def veneer(capsys):
    def call(*args):
        capsys.readouterr()
        code = main([str(a) for a in args])
        return code, *capsys.readouterr()

    return call


def test_list_without_data(veneer):
    code, out, err = veneer("tasks")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert set(TASKS) < set(rows)
    assert rows["svamp"][1:6] == ["generate", "-", "-", "accuracy", "up"]
    assert rows["lab-sums"][2:4] == ["240", "120"]
    assert "\x1b" not in out


def test_list_as_json_with_data(veneer, data):
    code, out, _ = veneer("tasks", "--data", data, "--json")
    rows = {r["name"]: r for r in json.loads(out)}
    assert code == 0 and list(rows) == TASKS.names()
    assert (rows["xstest"]["train"], rows["xstest"]["test"]) == (0, 450)
    assert rows["toxigen"]["needs_judge"] and rows["toxigen"]["judges"] == ["refusal", "toxicity"]
    assert "train" not in rows["mmlu"]


def test_a_broken_file_hides_no_other_task(veneer, tmp_path):
    (tmp_path / "svamp").mkdir()
    (tmp_path / "svamp" / "SVAMP.json").write_text("[")
    code, out, _ = veneer("tasks", "--data", tmp_path)
    assert code == 0 and "lab-sums" in out
    assert "svamp: " in out and "cannot be read" in out


def test_show(veneer, data):
    code, out, err = veneer("tasks", "show", "svamp", "--data", data, "-n", 1)
    assert (code, err) == (0, "")
    question = (
        "Every day Ryan spends 6 hours on learning english and 2 hours on learning chinese. How "
        "many more hours does he spend on learning english than he does on learning chinese?"
    )
    assert (
        f"    Answer the following question.\n    \n    Question: {question}\n    Answer:\n" in out
    )
    assert f"  aligned reads (user, through its chat template)\n    {question}\n" in out
    assert '"Question:", "Comment:", "Answer the following question"' in out
    assert "700 train, 300 test" in out and "128 new tokens, 512 with --published" in out
    assert out.count("test prompt ") == 1


def test_show_as_json_with_template_and_chat(veneer):
    code, out, _ = veneer(
        "tasks",
        "show",
        "lab-sums",
        "--json",
        "--base-template",
        "Q {prompt}",
        "--aligned",
        "lab:aligned",
        "--split",
        "train",
    )
    record = json.loads(out)
    assert code == 0 and record["split"] == "train" and len(record["prompts"]) == 2
    first = record["prompts"][0]
    assert first["base"].startswith("Q ") and first["id"].startswith("lab-sums")
    question = first["aligned"][-1]["content"]
    assert first["aligned_rendered"] == f"<|bos|><|user|>{question}<|end|><|assistant|>"


def test_show_an_own_task(veneer, tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [
        {"task": {"name": "mine", "scorer": "contains"}},
        {"prompt": "Say \x1b[31mred", "answer": "red"},
    ]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    code, out, _ = veneer("tasks", "show", path)
    assert code == 0 and "mine (generate)" in out and "by the scorer contains" in out
    assert "\x1b" not in out and "Say \\x1b[31mred" in out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("shew", "svamp"), "expected `veneer tasks` or `veneer tasks show NAME`"),
        (("show",), "expected `veneer tasks` or `veneer tasks show NAME`"),
        (("show", "svemp"), "there is no task 'svemp'"),
        (("show", "lab-sums", "-n", "0"), "found -n 0"),
        (("show", "lab-sums", "--base-template", "x"), "has no {prompt}"),
        (("show", "svamp"), "give --data or set VENEER_DATA"),
        (("--data", "/nowhere"), "--data names /nowhere"),
    ],
)
def test_bad_usage(args, sentence, veneer):
    code, out, err = veneer("tasks", *args)
    assert code == 2 and out == ""
    assert err.startswith("veneer: error: ") and sentence in err and err.count("\n") == 1


def test_a_split_that_a_task_has_not(veneer, data):
    code, _, err = veneer("tasks", "show", "xstest", "--split", "train", "--data", data)
    assert (
        code == 2
        and "xstest has no train prompts, it is measured only; show its test prompts" in err
    )
