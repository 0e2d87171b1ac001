"""Prompt files of every kind, and the sentence that each broken one gets."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts, transcript


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_jsonl(tmp_path):
    rows = [
        {"prompt": "One\u2028two"},
        {"id": "b", "prompt": " x "},
        {"id": 7, "messages": [{"role": "user", "content": "hi"}]},
    ]
    prompts = read_prompts(
        write(
            tmp_path, "p.jsonl", "\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n\n"
        )
    )
    assert [(p.id, p.plain, p.task) for p in prompts] == [
        ("0", "One\u2028two", "prompts"),
        ("b", " x ", "prompts"),
        ("7", "hi", "prompts"),
    ]
    assert prompts[1].messages == ({"role": "user", "content": " x "},)


def test_messages_of_many_turns_are_a_transcript_for_base(tmp_path):
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    (p,) = read_prompts(write(tmp_path, "p.jsonl", json.dumps({"messages": turns})))
    assert p.messages == tuple(turns)
    assert (
        p.plain
        == transcript(turns)
        == "Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye\n\nAssistant:"
    )


def test_base_template(tmp_path):
    file = write(tmp_path, "p.jsonl", '{"prompt": "2 {prompt} {x}?"}')
    (p,) = read_prompts(file, base_template="Q: {prompt}\nA:")
    assert p.plain == "Q: 2 {prompt} {x}?\nA:"
    assert p.messages[0]["content"] == "2 {prompt} {x}?"
    with pytest.raises(InputError, match=r"has no \{prompt\}; put \{prompt\}"):
        read_prompts(file, base_template="Q: {}")


def test_text(tmp_path):
    prompts = read_prompts(write(tmp_path, "p.txt", "one\r\n\ntwo\u2028three\n"))
    assert [p.plain for p in prompts] == ["one", "two\u2028three"]


def test_csv_and_tsv(tmp_path):
    file = write(tmp_path, "p.csv", '\ufeffgoal,target\n"a, ""b""\nc",x\nd,y\n')
    assert [p.plain for p in read_prompts(file, column="goal")] == ['a, "b"\nc', "d"]
    assert [p.plain for p in read_prompts(file, column="target", limit=1)] == ["x"]
    assert [p.plain for p in read_prompts(write(tmp_path, "p.tsv", "prompt\tz\na,b\t1\n"))] == [
        "a,b"
    ]


def test_parquet(tmp_path):
    file = str(tmp_path / "p.parquet")
    chat = [[{"role": "user", "content": "hi"}], [{"role": "user", "content": "ho"}]]
    pq.write_table(pa.table({"q": ["a", "b"], "messages": chat}), file)
    assert [p.plain for p in read_prompts(file, column="q")] == ["a", "b"]
    assert [p.plain for p in read_prompts(file)] == ["hi", "ho"]


def test_data_set_from_a_local_folder(tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="needs veneer[datasets]")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "set"
    folder.mkdir()
    pq.write_table(pa.table({"question": ["a", "b"], "n": [1, 2]}), folder / "train.parquet")
    pq.write_table(pa.table({"question": ["c"], "n": [3]}), folder / "test.parquet")
    assert [p.plain for p in read_prompts(str(folder), column="question")] == ["a", "b"]
    assert [p.plain for p in read_prompts(f"hf://{folder}:test", column="question")] == ["c"]
    with pytest.raises(InputError, match="no column 'q'; its columns are question, n"):
        read_prompts(str(folder), column="q")
    with pytest.raises(InputError, match=r"cannot be read .*check its name and split"):
        read_prompts(f"hf://{folder}:dev", column="question")


def test_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'veneer\[datasets\]'"):
        read_prompts("hf://owner/name")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", '{"prompt": "a"}\n{"prompt":\n', "p.jsonl line 2 is not valid JSON"),
        ("p.jsonl", '"a"\n', r"p.jsonl line 1 is no JSON object; expected JSON lines with \{"),
        (
            "p.jsonl",
            '\n{"text": "a"}\n',
            r'p.jsonl line 2 has no prompt; expected \{"prompt": text\}',
        ),
        ("p.jsonl", '{"prompt": 5}', r"line 1 has a prompt that is no text \(int\)"),
        ("p.jsonl", '{"prompt": "  "}', "line 1 holds an empty prompt"),
        (
            "p.jsonl",
            '{"id": 1, "prompt": "a"}\n{"id": "1", "prompt": "b"}',
            "line 2 has the id '1', as has .*line 1; give each prompt",
        ),
        (
            "p.jsonl",
            '{"id": [], "prompt": "a"}',
            "line 1 has the id .*expected a text or a whole number",
        ),
        ("p.jsonl", '{"messages": []}', "line 1 has no messages"),
        ("p.jsonl", '{"messages": [{"role": "user"}]}', "line 1, message 1, is no chat turn"),
        (
            "p.jsonl",
            '{"messages": [{"role": "robot", "content": "a"}]}',
            "message 1, is no chat turn",
        ),
        ("p.jsonl", '{"messages": ["a"]}', "message 1, is no chat turn"),
        (
            "p.jsonl",
            (
                '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", '
                '"content": "b"}]}'
            ),
            "ends with the turn of assistant; expected a last message of the user",
        ),
        ("p.jsonl", '{"prompt": "a \\ud800 b"}', "line 1 holds half of a character"),
        ("p.jsonl", "", "holds no prompts"),
        ("p.txt", "\n \n", "holds no prompts"),
        ("p.txt", b"\xff\xfe\x00", "cannot be read as UTF-8"),
        ("p.csv", "", "no --column is given; its columns are none"),
        (
            "p.csv",
            "a,b\n1,2\n",
            "no --column is given; its columns are a, b; give one of them with --column",
        ),
        ("p.csv", "prompt,b\n,2\n", "line 2 holds an empty prompt"),
        ("p.csv", "b,prompt\n2\n", "line 2 has 1 field where the header has 2"),
        ("p.parquet", "not parquet", "cannot be read as Parquet"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_prompts(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_missing_file_and_columns_where_there_are_none(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.jsonl does not exist; expected a prompt file"):
        read_prompts(str(tmp_path / "nowhere.jsonl"))
    with pytest.raises(InputError, match="has no --column"):
        read_prompts(write(tmp_path, "p.txt", "a"), column="prompt")
    with pytest.raises(
        InputError,
        match="line 1 has no 'x'; its keys are question, answer; give one of them with --column",
    ):
        read_prompts(write(tmp_path, "p.jsonl", '{"question": "a", "answer": "b"}'), column="x")
    with pytest.raises(InputError, match="no column 'x'; its columns are prompt, y"):
        read_prompts(write(tmp_path, "p.csv", "prompt,y\na,b\n"), column="x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("prompt", "messages", "id", "role", "content", "x")), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(
    st.lists(
        json_values.map(json.dumps) | st.text(max_size=20) | st.just('{"prompt": "a"}'), max_size=4
    )
)
@settings(max_examples=150, deadline=None)
def test_any_lines_give_prompts_or_one_sentence(tmp_path_factory, lines):
    file = write(
        tmp_path_factory.mktemp("fuzz"),
        "p.jsonl",
        "\n".join(lines).encode("utf-8", errors="surrogatepass"),
    )
    try:
        prompts = read_prompts(file)
    except InputError:
        return
    assert prompts
    assert len({p.id for p in prompts}) == len(prompts)
    assert all(p.plain.strip() and p.messages[-1]["role"] == "user" for p in prompts)


@given(st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_prompts_come_back_as_they_were(tmp_path_factory, texts):
    file = write(
        tmp_path_factory.mktemp("fuzz"),
        "p.jsonl",
        "\n".join(json.dumps({"prompt": t}) for t in texts),
    )
    assert [p.plain for p in read_prompts(file)] == texts


def test_texts_that_are_pythons_bytes_are_the_texts_in_them(tmp_path, caplog):
    path = tmp_path / "annotated_train.csv"
    rows = [
        "b'they said it isn\\'t so'",
        'b"don\'t \\xe2\\x80\\x99 go"',
        "b'c",
        "plain",
        "b'\\xff'",
    ]
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerows([["text", "target_group"], *([r, "asian"] for r in rows)])
    texts = [p.text for p in read_prompts(str(path), column="text")]
    assert texts == ["they said it isn't so", "don't ’ go", "b'c", "plain", "b'\\xff'"]
    assert "2 texts are written as Python's bytes" in caplog.text
