"""MMLU from the original archive and from the hub's files."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from veneer.cli import main
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.tasks.registry import chosen_tasks, get_task

QUESTIONS = {
    "college_physics": [
        ("How fast is light?", ["slow", "300,000 km/s", "a mile", "none"], 1),
        ("What is heat?", list("wxyz"), 3),
    ],
    "anatomy": [('Which bone is "long"?\n(one)', ["femur", "skull", "nose", "ear"], 0)],
}


def csv_folder(root):
    import csv

    (root / "mmlu" / "test").mkdir(parents=True)
    for subject, rows in QUESTIONS.items():
        with (root / "mmlu" / "test" / f"{subject}_test.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([q, *choices, "ABCD"[a]] for q, choices, a in rows)
    return root


def parquet(path, rows):
    path.parent.mkdir(parents=True)
    keys = ("question", "subject", "choices", "answer")
    pq.write_table(pa.table({k: [r[i] for r in rows] for i, k in enumerate(keys)}), path)


def hub_folder(root, config=None):
    for subject, rows in sorted(QUESTIONS.items()):
        parquet(
            root / "mmlu" / subject / "test-00000-of-00001.parquet",
            [(q, subject, c, a) for q, c, a in rows],
        )
    parquet(
        root / "mmlu" / "auxiliary_train" / "test-00000-of-00001.parquet",
        [("Not this", "", list("abcd"), 0)],
    )
    return root


def all_folder(root):
    rows = [(q, subject, c, a) for subject, some in sorted(QUESTIONS.items()) for q, c, a in some]
    parquet(root / "mmlu" / "all" / "test-00000-of-00001.parquet", rows)
    return hub_folder(root)


@pytest.mark.parametrize("make", [csv_folder, hub_folder, all_folder])
def test_every_layout_gives_the_same_prompts(make, tmp_path):
    task = get_task("mmlu", make(tmp_path))
    prompts = task.prompts("test")
    assert [p.id for p in prompts] == [
        "mmlu-anatomy-0",
        "mmlu-college_physics-0",
        "mmlu-college_physics-1",
    ]
    assert prompts[1].plain == (
        "The following are multiple choice questions (with answers) about college physics.\n\n"
        "How fast is light?\nA. slow\nB. 300,000 km/s\nC. a mile\nD. none\nAnswer:"
    )
    assert prompts[0].plain.startswith(
        "The following are multiple choice questions (with answers) about anatomy.\n\n"
        'Which bone is "long"?\n(one)\nA.'
    )
    assert prompts[1].messages[0]["content"] == prompts[1].plain
    assert prompts[1].reference == {
        "choices": [" A", " B", " C", " D"],
        "answer": 1,
        "group": "college_physics",
    }
    assert [task.group(p) for p in prompts] == ["anatomy", "college_physics", "college_physics"]
    assert task.prompts("train") == [] and task.kind == "choice"
    files = task.source()["files"]
    assert files and all(sha256_file(tmp_path / f["file"]) == f["sha256"] for f in files)
    assert [t.name for t in chosen_tasks(None, tmp_path)] == ["mmlu"]


def test_without_data(tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(
            InputError,
            match=(
                r"give --data or set VENEER_DATA .*mmlu/test/SUBJECT_test.csv .*--revision COMMIT"
            ),
        ):
            get_task("mmlu", folder).prompts("test")
    assert not get_task("mmlu", tmp_path).available()


@pytest.mark.parametrize("row", ["q,a,b,c,d", "q,a,b,c,d,E", "q,a,b,c,d,AB", "q,a,b,c,d,"])
def test_broken_table(row, tmp_path):
    csv_folder(tmp_path)
    (tmp_path / "mmlu" / "test" / "anatomy_test.csv").write_text(f"q,a,b,c,d,A\n{row}\n")
    with pytest.raises(
        InputError,
        match=r"anatomy_test.csv row 2 is no question of MMLU; expected a question, four choices",
    ):
        get_task("mmlu", tmp_path).prompts("test")


@pytest.mark.parametrize(
    "row", [("q", "s", ["a"], 0), ("q", "s", list("abcd"), 4), (None, "s", list("abcd"), 1)]
)
def test_broken_parquet(row, tmp_path):
    parquet(tmp_path / "mmlu" / "s" / "test-0.parquet", [("q", "s", list("abcd"), 0), row])
    with pytest.raises(InputError, match=r"test-0.parquet row 2 is no question of MMLU"):
        get_task("mmlu", tmp_path).prompts("test")


def test_no_parquet_at_all(tmp_path):
    (tmp_path / "mmlu" / "s").mkdir(parents=True)
    (tmp_path / "mmlu" / "s" / "test-0.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        get_task("mmlu", tmp_path).prompts("test")


REDUX = [
    ("Sound?", list("wxyz"), 1, "ok", None),
    ("Unclear", list("wxyz"), 0, "bad_question_clarity", None),
    ("None is right", list("wxyz"), 2, "no_correct_answer", None),
    ("Wrong key", list("wxyz"), 2, "wrong_groundtruth", "3"),
    ("Sound too?", list("wxyz"), 3, "ok", None),
    ("Unclear too", [], None, "bad_question_clarity", None),
]


def redux(root, rows):
    (root / "mmlu" / "anatomy").mkdir(parents=True)
    keys = ("question", "choices", "answer", "error_type", "correct_answer")
    columns = {k: [r[i] for r in rows] for i, k in enumerate(keys)}
    pq.write_table(pa.table(columns), root / "mmlu/anatomy/test-00000-of-00001.parquet")
    return get_task("mmlu", root)


def test_questions_that_mmlu_redux_marks_as_wrong_are_left_out(tmp_path, capsys):
    """As in lm-eval, which scored them (lm-evaluation-harness#3409)."""
    task = redux(tmp_path, REDUX)
    prompts = task.prompts("test")
    assert [(p.id, p.reference["answer"]) for p in prompts] == [
        ("mmlu-anatomy-0", 1),
        ("mmlu-anatomy-4", 3),
    ]
    assert task.source()["left_out"] == {
        "prompts": 4,
        "why": "error_type is not ok",
        "error_types": {"bad_question_clarity": 2, "no_correct_answer": 1, "wrong_groundtruth": 1},
    }
    assert main(["tasks", "show", "mmlu", "--data", str(tmp_path)]) == 0
    assert (
        "4 prompts (error_type is not ok: 2 bad_question_clarity, 1 no_correct_answer, "
        "1 wrong_groundtruth)"
    ) in capsys.readouterr().out


@pytest.mark.parametrize("error", [None, " "])
def test_a_question_that_mmlu_redux_does_not_judge(error, tmp_path):
    task = redux(tmp_path, [REDUX[0], ("?", list("wxyz"), 1, error, None)])
    with pytest.raises(InputError, match=r"row 2 is no question of MMLU; expected an error_type"):
        task.prompts("test")


def test_no_sound_question(tmp_path):
    with pytest.raises(InputError, match="holds no question whose error_type is ok"):
        redux(tmp_path, REDUX[1:3]).prompts("test")


@pytest.mark.parametrize("answers", [[0, 1], [True, False], [0.0, 1.0], ["A", "B"], ["0", "1"]])
def test_an_answer_of_another_type(answers, tmp_path):
    """True and 1.0 equal 1 in Python, and a letter is no index."""
    rows = [(f"q{a}", "s", list("abcd"), a) for a in answers]
    parquet(tmp_path / "mmlu" / "s" / "test-0.parquet", rows)
    task = get_task("mmlu", tmp_path)
    if type(answers[0]) is int:
        assert [p.reference["answer"] for p in task.prompts("test")] == answers
    else:
        with pytest.raises(InputError, match="row 1 is no question of MMLU"):
            task.prompts("test")
