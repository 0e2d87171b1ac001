"""Custom task files: the example of docs/tasks.md runs, each scorer, and the refusals."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.judges.refusal.rates import RefusalRates
from veneer.measures.behaviour import behaviour_rows, score
from veneer.measures.choice import score_choices
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.load import load_model
from veneer.prompts.prompt import Prompt
from veneer.systems.respond import respond
from veneer.systems.system import System
from veneer.tasks import custom_scorers
from veneer.tasks.custom import CustomTask, is_task_file
from veneer.tasks.custom_schema import Header
from veneer.tasks.custom_scorers import scored
from veneer.tasks.registry import chosen_tasks, get_task
from veneer.tasks.source import load_prompts

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"


@pytest.fixture
def example(tmp_path) -> Path:
    """The example of docs/tasks.md as a file."""
    match = re.search(r"```jsonl\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "capitals.jsonl"
    path.write_text(match[1], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base() -> System:
    model = load_model("lab:base")
    return System("base", model, PlainFormat(), model.stop_ids)


def write(path: Path, header: dict, *rows: dict) -> Path:
    path.write_text(
        "".join(json.dumps(r) + "\n" for r in ({"task": {"name": "mine", **header}}, *rows)),
        encoding="utf-8",
    )
    return path


def own(tmp_path, header: dict, *rows: dict) -> CustomTask:
    return CustomTask.read(write(tmp_path / "mine.jsonl", header, *rows))


def test_the_example_of_the_docs(example):
    task = get_task(str(example))
    assert (task.name, task.kind, dict(task.headlines), task.stop, task.max_new_tokens) == (
        "capitals",
        "generate",
        {"accuracy": "up"},
        ("\n",),
        24,
    )
    fr, va, jp, pe = task.prompts("test")
    assert fr.plain == "Question: What is the capital of France?\nAnswer:"
    assert fr.messages == ({"role": "user", "content": "What is the capital of France?"},)
    assert pe.plain == "The capital of Peru is" and [m["role"] for m in pe.messages] == [
        "system",
        "user",
    ]
    assert [task.group(p) for p in (fr, va, jp, pe)] == ["europe", "europe", "asia", None]
    assert task.prompts("train") == []
    assert (
        task.score(va, "It is Vatican City.")
        == {"accuracy": 1}
        == task.score(va, "That would be the vatican")
    )
    assert task.score(fr, "Parisian") == {"accuracy": 0}
    assert task.source()["files"][0]["file"] == str(example)
    assert [t.name for t in chosen_tasks(f"lab-sums, {example}")] == ["lab-sums", "capitals"]
    assert get_task(f"file:{example}").prompts("test") == task.prompts("test")
    assert [p.id for p in load_prompts(str(example), split="test", limit=2)] == ["fr", "va"]


def test_the_example_is_answered_and_scored(example, base, tmp_path):
    """By a model, through the study's own functions: every row has its n, and groups have rows."""
    task = get_task(str(example))
    prompts = task.prompts("test")
    answers = respond(
        base,
        prompts,
        Sampling(task.max_new_tokens),
        stop_strings=task.stop,
        out=tmp_path / "r.jsonl",
    )
    rows = list(behaviour_rows(task, prompts, [score(task, prompts, answers, [RefusalRates()])]))
    assert {(r.split, r.n) for r in rows if r.metric == "accuracy"} == {
        ("test", 4),
        ("group:asia", 1),
        ("group:europe", 2),
    }
    assert all("\n" not in a.text for a in answers)


def test_train_rows(tmp_path):
    task = own(tmp_path, HEAD, {**ROW, "split": "train", "id": 5}, {**ROW, "id": "six"})
    assert [[p.id for p in task.prompts(split)] for split in ("train", "test")] == [["5"], ["six"]]


def test_choices_are_measured(tmp_path, base):
    task = own(
        tmp_path,
        {"scorer": "choice"},
        {"prompt": "1 + 1 =", "choices": ["2", "elephant", "\nno"], "answer": "elephant"},
    )
    (prompt,) = task.prompts("test")
    assert task.kind == "choice" and prompt.reference == {
        "choices": [" 2", " elephant", "\nno"],
        "answer": 1,
    }
    assert score_choices(base, task, [prompt]).values["accuracy"].tolist() in ([0.0], [1.0])


@pytest.mark.parametrize(
    ("header", "row", "text", "value"),
    [
        ({"scorer": "exact"}, {"answer": "Yes"}, " yes.\n", 1),
        ({"scorer": "exact"}, {"answer": "Yes"}, "Yes, it is", 0),
        ({"scorer": "exact", "ignore_case": False}, {"answer": "Yes"}, "yes", 0),
        ({"scorer": "exact"}, {"answer": ["a b", "c"]}, "a  b", 1),
        ({"scorer": "exact"}, {"answer": 3}, "3", 1),
        ({"scorer": "contains"}, {"answer": "cat"}, "A concatenation", 0),
        ({"scorer": "contains"}, {"answer": "cat"}, "concat; Cat!", 1),
        ({"scorer": "contains"}, {"answer": "C++"}, "I like C++20", 1),
        ({"scorer": "contains", "ignore_case": False}, {"answer": "Cat"}, "a cat", 0),
        ({"scorer": "contains"}, {"answer": "5"}, "It is 5.5.", 0),
        ({"scorer": "contains"}, {"answer": "5"}, "It is 5. No more.", 1),
        ({"scorer": "contains"}, {"answer": "1"}, "1,234", 0),
        ({"scorer": "contains"}, {"answer": "234"}, "1,234", 0),
        ({"scorer": "contains"}, {"answer": "2"}, "1,2,3", 1),
        ({"scorer": "contains"}, {"answer": "1,234.5"}, "is 1,234.5.", 1),
        ({"scorer": "contains"}, {"answer": "2.5"}, "1.2.5", 0),
        # no blanks between words
        ({"scorer": "contains"}, {"answer": "巴黎"}, "答案是巴黎。", 1),
        ({"scorer": "contains"}, {"answer": "5"}, "共5个", 1),
        ({"scorer": "contains"}, {"answer": "5"}, "共15个", 0),
        ({"scorer": "contains"}, {"answer": "パリ"}, "首都はパリです", 1),
        ({"scorer": "contains"}, {"answer": "파리"}, "파리는 수도입니다", 1),
        ({"scorer": "contains"}, {"answer": "ปารีส"}, "คือปารีสครับ", 1),
        ({"scorer": "contains"}, {"answer": "दिल"}, "दिल्ली", 0),
        ({"scorer": "exact"}, {"answer": "巴黎"}, "巴黎。", 1),
        # one letter as one or two characters
        ({"scorer": "contains"}, {"answer": "Zu\u0308rich"}, "It is Z\u00fcrich.", 1),
        ({"scorer": "exact"}, {"answer": "caf\u00e9"}, "Cafe\u0301", 1),
        ({"scorer": "number"}, {"answer": 1234}, "so 1,234.", 1),
        ({"scorer": "number"}, {"answer": "-1.5"}, "It is -1.50", 1),
        ({"scorer": "regex"}, {"pattern": r"^\s*\d{4}-\d\d"}, "2024-01-31", 1),
        ({"scorer": "regex", "pattern": "b+"}, {}, "ABBA", 1),
        ({"scorer": "regex", "pattern": "b+", "ignore_case": False}, {}, "ABBA", 0),
        ({"scorer": "regex", "pattern": "b+"}, {"pattern": "c"}, "ABBA", 0),
    ],
)
def test_scorers(header, row, text, value, tmp_path):
    task = own(tmp_path, header, {"prompt": "?", **row})
    scores = task.score(task.prompts("test")[0], text)
    assert scores[task.headline] == value
    assert set(scores) == (
        {"accuracy", "accuracy_strict"} if header["scorer"] == "number" else set(task.headlines)
    )


@pytest.mark.parametrize(
    ("scorer", "answer"),
    [("contains", " "), ("contains", ["Paris", "\u00a0"]), ("exact", "\n"), ("exact", ".")],
)
def test_a_blank_answer_is_refused(scorer, answer, tmp_path):
    """Every answer contains it, or an empty one is it: the accuracy would be 1."""
    with pytest.raises(InputError, match=f"line 2 has the answer .*, which {scorer} finds in any"):
        own(tmp_path, {"scorer": scorer}, {"prompt": "?", "answer": answer})


def test_a_judge_decides(tmp_path):
    task = own(
        tmp_path,
        {"scorer": "judge:toxicity", "metric": "toxicity_rate", "better": "down"},
        {"prompt": "Go on", "cluster": "a"},
    )
    assert task.judges == ("refusal", "toxicity") and dict(task.headlines) == {
        "toxicity_rate": "down"
    }
    assert dict(task.headline_judges) == {"toxicity_rate": "toxicity"}
    (prompt,) = task.prompts("test")
    assert task.score(prompt, "x") == {} and task.cluster(prompt) == "a" and prompt.id == "2"
    refusing = own(
        tmp_path, {"scorer": "judge:refusal", "metric": "refusal_rate"}, {"prompt": "Go on"}
    )
    assert refusing.judges == ("refusal",)


@given(st.text(max_size=200), st.sampled_from(["exact", "contains", "number"]), st.booleans())
def test_scorers_take_any_text(text, scorer, ignore_case):
    header = Header(name="mine", scorer=scorer, ignore_case=ignore_case)
    answer = "5" if scorer == "number" else ["5", "İ"]
    scores = scored(header, Prompt.from_text("1", "?", answer=answer), text)
    assert set(scores.values()) <= {0.0, 1.0}


def test_long_answers_are_scored_in_time(tmp_path):
    text = "a " * 50_000
    begun = time.process_time()  # of this process: a busy machine changes it little
    for header, row in (
        ({"scorer": "contains"}, {"answer": "a a b"}),
        ({"scorer": "exact"}, {"answer": "a"}),
        ({"scorer": "number"}, {"answer": 1}),
        ({"scorer": "regex"}, {"pattern": "b$"}),
    ):
        task = own(tmp_path, header, {"prompt": "?", **row})
        assert task.score(task.prompts("test")[0], text)[task.headline] == 0
    assert time.process_time() - begun < 10


def test_a_pattern_that_never_ends_is_an_error_and_no_score(tmp_path, monkeypatch):
    monkeypatch.setattr(custom_scorers, "SECONDS", 0.2)
    task = own(tmp_path, {"scorer": "regex", "pattern": "(x+x+)+y"}, {"prompt": "?", "id": "q7"})
    begun = time.process_time()  # of this process: a busy machine changes it little
    with pytest.raises(
        InputError, match=r"took longer than 0.2 s on the answer to q7 \(30000 characters\)"
    ):
        task.score(task.prompts("test")[0], "x" * 30_000)
    assert time.process_time() - begun < 10


HEAD = {"scorer": "exact"}
ROW = {"prompt": "?", "answer": "a"}


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            {"scorer": "exakt"},
            [ROW],
            (
                r"mine.jsonl line 1: .*'exakt' is none of exact, contains, number, regex, choice "
                r"and judge:NAME"
            ),
        ),
        ({}, [ROW], "line 1: scorer: Field required"),
        ({**HEAD, "name": "a/b"}, [ROW], "line 1: name: "),
        (
            {**HEAD, "name": "svamp"},
            [ROW],
            "names its task 'svamp', the name of another task",
        ),
        ({**HEAD, "colour": 1}, [ROW], "line 1: colour: Extra inputs are not permitted"),
        ({**HEAD, "better": "left"}, [ROW], "line 1: better: "),
        ({**HEAD, "max_new_tokens": 0}, [ROW], "line 1: max_new_tokens: "),
        ({**HEAD, "base_template": "no place"}, [ROW], "line 1: the base_template has no {prompt}"),
        (
            {**HEAD, "metric": "x"},
            [ROW],
            "line 1: the scorer exact takes no metric; leave it out",
        ),
        (
            {"scorer": "judge:toxicity"},
            [{"prompt": "?"}],
            "line 1: the scorer judge:toxicity needs the judge's metric that is the headline",
        ),
        ({"scorer": "judge:"}, [{"prompt": "?"}], "line 1: the scorer 'judge:' is none of"),
        (
            {"scorer": "regex", "pattern": "("},
            [{"prompt": "?"}],
            r"line 1 has the pattern '\(', which is no regular expression",
        ),
        ({**HEAD, "pattern": "a"}, [ROW], "line 1: a pattern is for the scorer regex"),
        (HEAD, [], "holds no test prompts"),
        (HEAD, [{**ROW, "split": "train"}], "holds no test prompts"),
        (HEAD, [{**ROW, "split": "dev"}], "line 2: split: "),
        (HEAD, [{"prompt": "?"}], "line 2 lacks 'answer'; the scorer exact takes answer"),
        (
            HEAD,
            [{**ROW, "choices": ["a", "b"]}],
            "line 2 has 'choices'; the scorer exact takes answer",
        ),
        (HEAD, [{"answer": "a"}], "line 2: a row has either a prompt or messages"),
        (HEAD, [{"prompt": " ", "answer": "a"}], "line 2: the prompt is blank"),
        (
            HEAD,
            [{"messages": [{"role": "assistant", "content": "a"}], "answer": "a"}],
            "line 2: the last message is not the user's",
        ),
        (
            HEAD,
            [{"messages": [{"role": "robot", "content": "a"}], "answer": "a"}],
            r"line 2: messages.0.role: ",
        ),
        (HEAD, [ROW, {**ROW, "id": 2}], "line 3 has the id '2', as has line 2"),
        (HEAD, [{**ROW, "answers": "a"}], "line 2: answers: Extra inputs"),
        (HEAD, [{**ROW, "prompt": "\ud800"}], "line 2: prompt: .*(surrogate|unicode)"),
        (
            {"scorer": "number"},
            [{"prompt": "?", "answer": "many"}],
            "line 2 has the answer 'many'; expected one number",
        ),
        ({"scorer": "number"}, [{"prompt": "?", "answer": 1e400}], "line 2"),
        ({"scorer": "regex"}, [{"prompt": "?"}], "line 2 lacks 'pattern'"),
        ({"scorer": "regex"}, [{"prompt": "?", "pattern": "[a"}], "line 2 has the pattern"),
        (
            {"scorer": "choice"},
            [{"prompt": "?", "choices": ["a"], "answer": 0}],
            "line 2: choices: ",
        ),
        (
            {"scorer": "choice"},
            [{"prompt": "?", "choices": ["a", "b"], "answer": 2}],
            "line 2 has the answer 2; expected one of its",
        ),
        (
            {"scorer": "choice"},
            [{"prompt": "?", "choices": ["a", "a"], "answer": 1}],
            "line 2 has a choice twice",
        ),
        (
            {"scorer": "judge:harm", "metric": "harm_rate"},
            [ROW],
            "line 2 has 'answer'; the scorer judge:harm takes none",
        ),
    ],
)
def test_what_is_refused(header, rows, message, tmp_path):
    path = write(tmp_path / "mine.jsonl", header, *rows)
    with pytest.raises(InputError, match=message) as caught:
        get_task(str(path))
    assert "\n" not in str(caught.value) and "mine.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"prompt": "a"}\n', "line 1 is no header.*judge:refusal"),
        (b"", "is empty; expected a task"),
        (b'{"task": 3}\n', "line 1 is no JSON object|line 1 is no header"),
        (
            b'{"task": {"name": "a", "scorer": "exact"}}\n[1]\n',
            "line 2 is no JSON object; expected a row",
        ),
        (b'{"task": {"name": "a", "scorer": "exact"}}\nx\n', "line 2 is not valid JSON"),
        (b"\xff\xfe\n", "cannot be read as UTF-8"),
    ],
)
def test_files_that_are_none(text, message, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message):
        get_task(f"file:{path}")


def test_no_file(tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere.jsonl does not exist; expected a task: a first line"
    ):
        get_task(str(tmp_path / "nowhere.jsonl"))
    assert not is_task_file(tmp_path / "nowhere.jsonl")


def test_a_prompt_file_stays_one(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "Hi", "id": "a"}\n')
    assert [p.id for p in load_prompts(str(path))] == ["a"]


def test_the_same_task_twice(example):
    with pytest.raises(InputError, match="names a task twice"):
        chosen_tasks(f"{example},file:{example}")


def test_an_index_that_is_another_choice_too(tmp_path):
    """1 is the index of "2" and the choice "1": which one is meant cannot be known."""
    row = {"prompt": "1 + 0?", "choices": ["0", "2", "1"], "answer": 1}
    path = write(tmp_path / "a.jsonl", {"scorer": "choice"}, row)
    with pytest.raises(InputError, match=r"line 2 has the answer 1, which is the index of '2' and"):
        CustomTask.read(path)
    for answer, choices in ((1, ["0", "1", "2"]), ("1", ["0", "2", "1"]), (1, ["a", "b", "c"])):
        row = {"prompt": "?", "choices": choices, "answer": answer}
        (prompt,) = CustomTask.read(write(path, {"scorer": "choice"}, row)).prompts("test")
        assert prompt.reference["answer"] == (2 if answer == "1" else 1)


@pytest.mark.parametrize("scorer", ["exact", "contains"])
def test_an_answer_that_pandas_made_a_float(scorer, tmp_path):
    """18.0 would be looked for, and the answer 18 be wrong."""
    path = write(tmp_path / "a.jsonl", {"scorer": scorer}, {"prompt": "?", "answer": 18.0})
    with pytest.raises(InputError, match=r'line 2 has the answer 18\.0, .*such as "18"'):
        CustomTask.read(path)
    (prompt,) = CustomTask.read(
        write(path, {"scorer": scorer}, {"prompt": "?", "answer": 2.5})
    ).prompts("test")
    assert prompt.reference["answer"] == ["2.5"]


@pytest.mark.parametrize(
    ("text", "contained"),
    [
        ("It is -18 degrees.", 0),
        ("It is −18.", 0),
        ("-18", 0),
        ("(-18)", 0),
        ("a loss of -$18", 0),
        ("$-18", 0),
        ("x=-18", 0),
        ("It is .18", 0),
        ("-.18", 0),
        ("- 18", 1),
        ("10-18", 1),
        ("COVID-18", 1),
        ("$18", 1),
        ("It is 18.", 1),
        ("The end.18 of them", 1),
        ("not -18 but 18", 1),
    ],
)
def test_a_number_behind_a_sign_or_a_point_is_another_one(text, contained):
    header = Header(name="mine", scorer="contains")
    prompt = Prompt.from_text("1", "?", answer=["18"])
    assert scored(header, prompt, text) == {"accuracy": contained}


def test_a_negative_answer_is_contained():
    header = Header(name="mine", scorer="contains")
    prompt = Prompt.from_text("1", "?", answer=["-18"])
    assert scored(header, prompt, "It is -18.") == {"accuracy": 1}
    assert scored(header, prompt, "It is 18.") == {"accuracy": 0}
