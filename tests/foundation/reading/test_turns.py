"""Prompts and chats in the words of other tools: their keys, their roles, and
what would be lost."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts


def write(tmp_path, *rows, name="p.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return str(path)


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        (
            {"messages": [{"role": "developer", "content": "s"}, user("u")]},
            [("system", "s"), ("user", "u")],
        ),
        ({"messages": [user([{"type": "text", "text": "u"}])]}, [("user", "u")]),
        (
            {
                "messages": [
                    user([{"type": "text", "text": "u"}, {"type": "input_text", "text": "v"}])
                ]
            },
            [("user", "u\nv")],
        ),
        (
            {"messages": [{"role": "user", "content": "u", "name": None, "tool_calls": None}]},
            [("user", "u")],
        ),
        ({"prompt": [user("u")]}, [("user", "u")]),
        ({"prompt": json.dumps([user("u")])}, [("user", "u")]),
        ({"prompt": None, "messages": [user("u")]}, [("user", "u")]),
        (
            {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]},
            [("user", "u")],
        ),
        (
            {
                "system": "s",
                "conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}],
            },
            [("system", "s"), ("user", "u")],
        ),
        (
            {
                "conversations": [
                    {"from": "human", "value": "u"},
                    {"from": "gpt", "value": "a"},
                    {"from": "human", "value": "v"},
                ]
            },
            [("user", "u"), ("assistant", "a"), ("user", "v")],
        ),
    ],
)
def test_chats(tmp_path, row, turns):
    (prompt,) = read_prompts(write(tmp_path, row))
    assert [(m["role"], m["content"]) for m in prompt.messages] == turns


def test_the_answer_to_be_learnt_is_left_out_with_a_word(tmp_path, caplog):
    row = {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]}
    read_prompts(write(tmp_path, row, row))
    assert "2 conversations end with the assistant's turn" in caplog.text
    caplog.clear()
    read_prompts(write(tmp_path, {"conversations": row["conversations"][:1]}))
    assert not caplog.text


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (
            {"question": "q", "answer": "a"},
            None,
            "line 1 has no prompt; .*its keys are question, answer; give the one .*--column",
        ),
        (
            {"instruction": "i", "input": "x", "output": "o"},
            None,
            "its keys are instruction, input, output",
        ),
        (
            {"instruction": "i", "input": "x", "output": "o"},
            "instruction",
            'has "input" beside "instruction", which would be lost',
        ),
        (
            {"instruction": "i", "context": "x", "response": "o"},
            "instruction",
            'has "context" beside "instruction"',
        ),
        (
            {"system_prompt": "s", "question": "q"},
            "question",
            'has "system_prompt" beside "question"',
        ),
        ({"query": "q"}, "question", "line 1 has no 'question'; its keys are query"),
        ({"messages": "hello"}, None, 'has a text as "messages"; expected chat turns'),
        ({"prompt": "[{'role': 'user', 'content': 'u'}]"}, None, "a chat that is no JSON"),
        (
            {"messages": [user([{"type": "image_url", "image_url": {"url": "x"}}])]},
            None,
            "message 1 holds a part of the type 'image_url'",
        ),
        (
            {"messages": [{"role": "tool", "content": "x"}, user("u")]},
            None,
            "message 1, is no chat turn of the role 'tool'",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}, user("u")]},
            None,
            "message 1, calls a tool",
        ),
        (
            {"conversations": [{"from": "observation", "value": "x"}]},
            None,
            "message 1, is no chat turn of the role 'observation'",
        ),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, None, "has no messages"),
        (
            {"messages": [user("u"), {"role": "assistant", "content": "a"}]},
            None,
            "ends with the turn of assistant",
        ),
        ({"id": "", "prompt": "a"}, None, "has an empty id"),
        ({"id": 1.5, "prompt": "a"}, None, "has the id 1.5"),
    ],
)
def test_what_is_refused(tmp_path, row, column, reason):
    with pytest.raises(InputError, match=reason):
        read_prompts(write(tmp_path, row), column=column)


def test_any_key_that_is_named(tmp_path):
    rows = ({"question": "q", "answer": "a"}, {"question": "r", "answer": "b"})
    assert [p.plain for p in read_prompts(write(tmp_path, *rows), column="question")] == ["q", "r"]
    row = {"instruction": "i", "input": "", "output": "o"}
    assert [p.plain for p in read_prompts(write(tmp_path, row), column="instruction")] == ["i"]
    assert [p.plain for p in read_prompts(write(tmp_path, {"text": "t"}), column="text")] == ["t"]


def test_chats_in_the_cells_of_a_table(tmp_path):
    path = tmp_path / "p.csv"
    cell = json.dumps([user('say "hi", please')]).replace('"', '""')
    path.write_text(f'id,messages\na,"{cell}"\n', encoding="utf-8")
    (prompt,) = read_prompts(str(path))
    assert (prompt.id, prompt.plain) == ("a", 'say "hi", please')
    path.write_text("id,messages\na,\"[{'role': 'user', 'content': 'x'}]\"\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2 holds a chat that is no JSON"):
        read_prompts(str(path))
