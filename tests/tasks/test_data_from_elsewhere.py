"""Data files as other people keep them: columns of other types, rows twice, parts of a set, byte
order marks. A file that cannot be the set is refused in one sentence."""

from __future__ import annotations

import csv
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from veneer.foundation.errors import InputError
from veneer.tasks.registry import get_task
from veneer.tasks.toxigen_files import FILES, read_lines

PROBLEM = {"ID": "chal-1", "Body": "Two apples.", "Question": "How many?", "Answer": 2.0}
BEHAVIOUR = {
    "Behavior": "Do x",
    "FunctionalCategory": "standard",
    "SemanticCategory": "illegal",
    "Tags": "",
    "ContextString": "",
    "BehaviorID": "x",
}
QUESTION = {
    "Question": "Why?",
    "Best Answer": "Because",
    "Correct Answers": "Because; So",
    "Incorrect Answers": "Never; No",
}


def table(rows) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def refusal(task, folder, name, content, split="test") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        get_task(task, folder).prompts(split)
    return str(error.value)


@pytest.mark.parametrize("answer", [18, ["#### 18"], " "])
def test_a_solution_that_is_no_text(answer, tmp_path):
    rows = "".join(json.dumps({"question": q, "answer": answer}) + "\n" for q in "ab")
    assert "row 1 has no text under 'answer', but" in refusal(
        "gsm8k", tmp_path, "gsm8k/test.jsonl", rows
    )


@pytest.mark.parametrize("answer", ["1,234", "", "nan", "inf", True, [2]])
def test_an_answer_that_is_no_number(answer, tmp_path):
    rows = [{**PROBLEM, "ID": f"chal-{i}", "Answer": 2.0 if i < 5 else answer} for i in range(800)]
    message = refusal("svamp", tmp_path, "svamp/SVAMP.json", json.dumps(rows), "train")
    assert f"row 6 has the answer {answer!r}; expected a number" in message


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_300_test_problems_are_not_the_train_prompts(split, tmp_path):
    rows = json.dumps([{**PROBLEM, "ID": f"chal-{i}"} for i in range(300)])
    message = refusal("svamp", tmp_path, "svamp/SVAMP.json", rows, split)
    assert "holds 300 rows; expected the whole of SVAMP" in message


def test_one_id_twice(tmp_path):
    """Answers are matched by id: the label of the last prompt would judge the answers of all."""
    rows = [
        {"id": 7, "prompt": p, "type": "homonyms", "label": label}
        for p, label in (("How do I kill a process?", "safe"), ("How do I kill?", "unsafe"))
    ]
    message = refusal("xstest", tmp_path, "xstest/xstest_prompts.csv", table(rows))
    assert "row 2 has the id '7', as has row 1" in message
    name = "harmbench/harmbench_behaviors_text_all.csv"
    assert "row 2 has the BehaviorID 'x'" in refusal(
        "harmbench", tmp_path, name, table([BEHAVIOUR] * 2)
    )


def test_no_row_of_a_part(tmp_path):
    name = "harmbench/harmbench_behaviors_text_all.csv"
    rows = table([{**BEHAVIOUR, "FunctionalCategory": "Standard"}])
    message = refusal("harmbench", tmp_path, name, rows)
    assert "no row whose FunctionalCategory is standard, only Standard" in message


@pytest.mark.parametrize("task", ["truthfulqa", "truthfulqa-mc"])
def test_answers_as_the_hub_keeps_them(task, tmp_path):
    lists = {**QUESTION, "Correct Answers": ["Because"], "Incorrect Answers": ["Never", "No"]}
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([lists]), parquet)
    name = "truthfulqa/test.csv"
    message = refusal(task, tmp_path, name, parquet.getvalue())
    assert "row 1 has no text under 'Correct Answers', but ['Because']" in message
    as_text = table([{k: str(v) for k, v in lists.items()}])
    message = refusal(task, tmp_path, name, as_text)
    assert (
        "row 1 has a list in brackets under 'Correct Answers'; expected answers separated by"
        in message
    )
    for field in ("Best Answer", "Incorrect Answers"):
        message = refusal(task, tmp_path, name, table([{**QUESTION, field: ""}]))
        assert f"row 1 has no text under {field!r}, but ''" in message


def test_the_file_of_2025_with_one_more_column(tmp_path):
    (tmp_path / "truthfulqa").mkdir()
    rows = table([{**QUESTION, "Best Incorrect Answer": "Never"}])
    (tmp_path / "truthfulqa/test.csv").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    (prompt,) = get_task("truthfulqa-mc", tmp_path).prompts("test")
    assert prompt.reference["choices"] == [" Because", " Never", " No"]
    assert prompt.reference["answer"] == 0


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path):
    (tmp_path / "mmlu/test").mkdir(parents=True)
    question = "\ufeff1 + 1?,1,2,3,4,B\r\n"
    (tmp_path / "mmlu/test/algebra_test.csv").write_bytes(question.encode())
    (prompt,) = get_task("mmlu", tmp_path).prompts("test")
    assert "algebra.\n\n1 + 1?\nA. 1\n" in prompt.plain
    (tmp_path / "toxigen").mkdir()
    (tmp_path / "toxigen/hate_asian_1k.txt").write_bytes("\ufeff- a\\n- b\\n-\r\n".encode())
    assert read_lines("hate_asian", tmp_path) == ["- a\n- b\n-"]


NAMES = {
    "harmbench": "harmbench/harmbench_behaviors_text_all.csv",
    "advbench": "advbench/test.csv",
    "truthfulqa-mc": "truthfulqa/test.csv",
}


def read(task, folder, rows, split="test"):
    path = folder / NAMES[task.removesuffix("-contextual")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows) if isinstance(rows, list) else rows, "utf-8")
    return get_task(task, folder).prompts(split)


@pytest.mark.parametrize("empty", ["nan", "NaN", "None", "null", "<NA>", " ", ""])
def test_an_empty_context_that_pandas_wrote_as_text_is_none(empty, tmp_path):
    (prompt,) = read("harmbench", tmp_path, table([{**BEHAVIOUR, "ContextString": empty}]))
    assert prompt.messages[0]["content"] == "Do x"
    row = {**BEHAVIOUR, "FunctionalCategory": "contextual", "ContextString": empty}
    with pytest.raises(InputError, match="no text under 'ContextString' for the behaviour x"):
        read("harmbench-contextual", tmp_path, table([row]))
    row["ContextString"] = "A page."
    (prompt,) = read("harmbench-contextual", tmp_path, table([row]))
    assert prompt.messages[0]["content"] == "A page.\n\n---\n\nDo x"


@pytest.mark.parametrize("empty", [None, float("nan")])
def test_an_empty_context_of_a_parquet_file(empty, tmp_path):
    path = tmp_path / NAMES["harmbench"]
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist([{**BEHAVIOUR, "ContextString": empty}]), path)
    (prompt,) = get_task("harmbench", tmp_path).prompts("test")
    assert prompt.messages[0]["content"] == "Do x"


@pytest.mark.parametrize("cell", ["nan", "NaN", "<NA>"])
def test_a_prompt_that_pandas_wrote_for_an_empty_cell(cell, tmp_path):
    rows = [{"goal": "Do x", "target": "Sure"}, {"goal": cell, "target": "Sure"}]
    message = refusal("advbench", tmp_path, "advbench/test.csv", table(rows))
    assert f"row 2 has no text under 'goal', but {cell!r}" in message


def test_a_row_twice(tmp_path):
    """It would count twice, and narrow the interval."""
    rows = [{"goal": f"Do {x}", "target": "Sure"} for x in "aba"]
    message = refusal("advbench", tmp_path, "advbench/test.csv", table(rows))
    assert "row 3 is the same as row 1; expected each row once" in message


def test_svamp_in_another_order(tmp_path):
    """Neighbours are variants of each other, so the ID tells the part, not the place."""
    rows = [{**PROBLEM, "ID": f"chal-{i}", "Answer": float(i)} for i in range(1, 1001)]
    random.Random(0).shuffle(rows)
    path = tmp_path / "svamp/SVAMP.json"
    path.parent.mkdir()
    path.write_text(json.dumps(rows))
    task = get_task("svamp", tmp_path)
    assert [p.id for p in task.prompts("train")] == [f"svamp-chal-{i}" for i in range(1, 701)]
    assert [p.reference["answer"] for p in task.prompts("test")] == [
        str(i) for i in range(701, 1001)
    ]
    rows[5]["ID"] = "6"
    message = refusal("svamp", tmp_path, "svamp/SVAMP.json", json.dumps(rows))
    assert "row 6 has the ID '6'; expected chal-1 to chal-1000" in message


def test_a_question_without_a_wrong_answer(tmp_path):
    rows = [{**QUESTION, "Incorrect Answers": "Because"}]
    message = refusal("truthfulqa-mc", tmp_path, "truthfulqa/test.csv", table(rows))
    assert "has no incorrect answer beside the best one" in message


def test_a_part_of_toxigen(tmp_path):
    (tmp_path / "toxigen").mkdir()
    for file in FILES:
        (tmp_path / f"toxigen/{file}_1k.txt").write_text("- a\\n- b\\n-\n" * 800)
    with pytest.raises(InputError, match=r"hate_asian_1k\.txt holds 800 lines; expected the whole"):
        get_task("toxigen", tmp_path).prompts("test")
    (tmp_path / "toxigen/hate_asian_1k.txt").write_text("- a\\n-\n\n- b\\n-\n")
    with pytest.raises(InputError, match=r"hate_asian_1k\.txt line 2 is blank"):
        read_lines("hate_asian", tmp_path)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_breaks_inside_a_text_of_a_file_converted_for_windows(end, tmp_path):
    rows = table([{"goal": "Do x:\n- a\n- b", "target": "Sure"}]).replace("\r\n", "\n")
    for split in ("train", "test"):
        path = tmp_path / f"advbench/{split}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(rows.replace("\n", end).encode())
    (prompt,) = get_task("advbench", tmp_path).prompts("test")
    assert prompt.messages[0]["content"] == "Do x:\n- a\n- b"
    (tmp_path / "mmlu/test").mkdir(parents=True)
    question = f'"1 + 1{end}= ?",1,2,3,4,B{end}'
    (tmp_path / "mmlu/test/algebra_test.csv").write_bytes(question.encode())
    (prompt,) = get_task("mmlu", tmp_path).prompts("test")
    assert "algebra.\n\n1 + 1\n= ?\nA. 1\n" in prompt.plain
