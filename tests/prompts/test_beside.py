"""What stands beside a prompt and belongs to it is read or refused, never lost."""

from __future__ import annotations

import json
import logging

import pytest

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts

USER, SYSTEM = {"role": "user", "content": "u"}, {"role": "system", "content": "s"}
TOOL = [{"type": "function", "function": {"name": "f"}}]


def read(tmp_path, row, column=None):
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (prompt,) = read_prompts(str(path), column=column)
    return prompt.messages


@pytest.mark.parametrize("key", ["prompt", "messages", "conversations"])
@pytest.mark.parametrize(
    "beside",
    [{"system": "s"}, {"system": [{"type": "text", "text": "s"}]}, {"system_prompt": "s"}],
)
def test_a_system_text_beside_turns_is_the_first_turn(tmp_path, key, beside):
    assert read(tmp_path, {key: [USER], **beside}) == (SYSTEM, USER)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"messages": [SYSTEM, USER], "system": "s"}, None),
        ({"messages": [SYSTEM, USER], "system": "", "tools": [], "functions": None}, None),
        ({"messages": [SYSTEM, USER], "tools": "[]"}, None),
        ({"q": [SYSTEM, USER], "system": None}, "q"),
    ],
)
def test_what_says_nothing_is_left_out(tmp_path, row, column):
    assert read(tmp_path, row, column) == (SYSTEM, USER)


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ({"prompt": "u", "system": "s"}, None, '"system" beside "prompt", which would be lost'),
        ({"prompt": "u", "system_prompt": "s"}, None, '"system_prompt" beside "prompt"'),
        ({"question": "u", "system": "s"}, "question", '"system" beside "question"'),
        ({"messages": [USER], "tools": TOOL}, None, '"tools" beside "messages"'),
        ({"conversations": [USER], "tools": json.dumps(TOOL)}, None, "no model reads tools here"),
        ({"messages": [SYSTEM, USER], "system": "t"}, None, "another one among them"),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path, row, column, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, row, column)


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("\n\nHuman: u\n\nAssistant: a", True),
        ("\n\nHuman: u\n\nAssistant: a\n\nHuman: u\n\nAssistant: b", True),
        ("\n\nHuman: u\n\nAssistant:", False),
        ("\n\nHuman: u\n\nAssistant: a\n\nHuman: u", False),
        ("Who is\n\nAssistant: a", False),
    ],
)
def test_a_talk_that_holds_its_answer_is_read_with_a_warning(tmp_path, text, warned, caplog):
    """As the columns of Anthropic's HH-RLHF, which hold the answer to be learnt."""
    caplog.set_level(logging.WARNING, "veneer")
    assert read(tmp_path, {"chosen": text}, "chosen")[0]["content"] == text
    assert ("whose last answer is read as a part of the prompt" in caplog.text) is warned


def test_a_passage_beside_a_question_is_counted(tmp_path, caplog):
    """SQuAD's questions with `--column question`: without its passage a question asks nothing."""
    table = tmp_path / "squad.csv"
    table.write_text("id,question,context\n1,Who won?,The Reds beat the Blues.\n2,Where?,\n")
    assert [p.plain for p in read_prompts(str(table), column="question")] == ["Who won?", "Where?"]
    assert "1 rows have a text under one of context, input" in caplog.text
    caplog.clear()
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Hello", "context": "", "history": []}\n')
    read_prompts(str(rows))
    assert not caplog.text
