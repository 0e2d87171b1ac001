"""Rows of answers: what stands beside an answer is read, refused or counted, and no system's answer
is another one's."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.errors import InputError
from veneer.imports import AS_STORED, read_stored
from veneer.imports.imported import BROKEN, ENDED, HALF, MARK, TOOL, WORD_ALONE
from veneer.imports.together import ROW_IDS
from veneer.systems.responses import read_responses


def stored(tmp_path, *rows):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return read_stored(path, rules=AS_STORED)


@pytest.mark.parametrize(
    ("row", "text", "finish", "reasoning"),
    [
        ({"prompt": "u", "response": "yes", "stop_reason": "max_tokens"}, "yes", "length", None),
        ({"prompt": "u", "response": "yes", "done_reason": "length"}, "yes", "length", None),
        # SGLang's own, and TGI's
        (
            {"prompt": "u", "text": "yes", "meta_info": {"finish_reason": {"type": "length"}}},
            "yes",
            "length",
            None,
        ),
        (
            {"prompt": "u", "text": "yes", "finish_reason": {"type": "stop", "matched": 2}},
            "yes",
            "stop",
            None,
        ),
        (
            {"prompt": "u", "generated_text": "yes", "details": {"finish_reason": "length"}},
            "yes",
            "length",
            None,
        ),
        ({"prompt": "u", "response": "yes", "error": None}, "yes", "unknown", None),
        ({"prompt": "u", "response": "yes", "error": "False"}, "yes", "unknown", None),
        ({"prompt": "u", "response": "yes", "thinking": "so"}, "yes", "unknown", "so"),
    ],
)
def test_what_stands_beside_an_answer(tmp_path, row, text, finish, reasoning):
    (answer,) = stored(tmp_path, row).responses
    assert (answer.text, answer.finish_reason, answer.reasoning) == (text, finish, reasoning)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "u", "response": "half", "finish_reason": "abort"}, BROKEN),
        ({"prompt": "u", "response": "half", "error": "timeout"}, "error: no answer"),
        ({"prompt": "u", "response": "", "error": {"code": 429}}, "error: no answer"),
        ({"prompt": "u", "response": "too many requests", "error": 429}, "error: no answer"),
    ],
)
def test_failed_answers_are_dropped_with_their_text(tmp_path, row, why):
    replies = stored(tmp_path, row)
    assert not replies.responses and dict(replies.dropped) == {why: 1}


def test_each_of_several_answers_has_its_own_ending(tmp_path):
    row = {"prompt": "u", "responses": ["a", "b"], "finish_reasons": ["length", "stop"]}
    assert [r.finish_reason for r in stored(tmp_path, row).responses] == ["length", "stop"]
    with pytest.raises(InputError, match="2 reasons why its answers ended, and 1 answers"):
        stored(tmp_path, {**row, "responses": ["a"]})


def test_half_of_a_character_is_counted(tmp_path):
    replies = stored(tmp_path, {"prompt": "u", "response": "a\ud83d"})
    assert replies.responses[0].text == "a?" and replies.noticed == {HALF: 1}


def test_answers_of_several_systems_and_tasks_all_stay(tmp_path):
    """As two files of `veneer generate`, one behind the other."""
    rows = [
        {"prompt_id": "0", "sample_id": 0, "system": s, "task": t, "text": s + t}
        for s in "ab"
        for t in "xy"
    ]
    replies = stored(tmp_path, *rows, rows[0])
    assert [r.text for r in replies.responses] == ["ax", "ay", "bx", "by"]
    assert dict(replies.dropped) == {"a second answer for the same prompt and sample number": 1}


def test_samples_are_numbered_per_system(tmp_path):
    rows = [{"prompt": "u", "system": s, "text": s} for s in "aabb"]
    replies = stored(tmp_path, *rows)
    assert [(r.system, r.sample_id) for r in replies.responses] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
        ("b", 1),
    ]


USER, ANSWER = {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("key", ["messages", "conversations"])
@pytest.mark.parametrize(
    "system", [{"system": "s"}, {"system": [{"type": "text", "text": "s"}]}, {"system_prompt": "s"}]
)
def test_the_system_text_of_a_chat_is_no_name(tmp_path, key, system):
    replies = stored(tmp_path, {key: [USER, {**ANSWER, "reasoning_content": "so"}], **system})
    assert [(r.system, r.text, r.reasoning) for r in replies.responses] == [("mine", "a", "so")]
    assert [m["content"] for m in replies.prompts[0].messages] == ["s", "u"]


def test_a_chat_beside_an_answer_is_its_prompt(tmp_path):
    row = {"id": 7, "messages": [USER], "response": "a", "system": "name"}
    replies = stored(tmp_path, row)
    assert [(r.prompt_id, r.system, r.text) for r in replies.responses] == [("7", "name", "a")]
    assert replies.prompts[0].messages == (USER,)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"system_prompt": "s", "prompt": "u", "response": "a"}, '"system_prompt" beside "prompt"'),
        ({"messages": [USER, ANSWER], "tools": [{"type": "function"}]}, '"tools" beside'),
        ({"id": 7, "messages": [USER, ANSWER], "response": "a"}, "ends with the turn of assistant"),
        (
            {"system": "s", "messages": [{"role": "system", "content": "t"}, USER, ANSWER]},
            "a system text beside its turns and another one among them",
        ),
    ],
)
def test_what_would_be_lost_is_refused(tmp_path, row, reason):
    with pytest.raises(InputError, match=reason):
        stored(tmp_path, row)


THOUGHT = {"type": "thinking", "thinking": "so", "signature": "x"}
CALL = {"id": "1", "type": "function", "function": {"name": "web", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("turn", "text", "reasoning"),
    [
        ({"content": [THOUGHT, {"type": "text", "text": "a"}]}, "a", "so"),
        ({"content": [{"type": "text", "text": "a"}], "reasoning_content": "so"}, "a", "so"),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "No.", None),
        ({"content": None, "refusal": "No."}, "No.", None),
        ({"content": "a", "function_call": {"name": "", "arguments": ""}}, "a", None),
        ({"content": [THOUGHT]}, "", "so"),
    ],
)
def test_the_last_turn_of_a_chat_is_read_as_a_reply(tmp_path, turn, text, reasoning):
    (answer,) = stored(tmp_path, {"messages": [USER, {"role": "assistant", **turn}]}).responses
    assert (answer.text, answer.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        ({"content": None, "tool_calls": [CALL]}, TOOL),
        ({"content": [{"type": "tool_use", "name": "web"}]}, TOOL),
        ({"content": None}, "error: no answer"),
    ],
)
def test_a_last_turn_without_an_answer_is_dropped(tmp_path, turn, why):
    replies = stored(tmp_path, {"messages": [USER, {"role": "assistant", **turn}]})
    assert not replies.responses and dict(replies.dropped) == {why: 1}


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ({"content": [{"type": "image_url", "image_url": {}}]}, "'image_url', which is no text"),
        ({"weight": 1}, "ends with a turn without a content"),
    ],
)
def test_a_last_turn_that_is_no_text_is_refused(tmp_path, turn, reason):
    with pytest.raises(InputError, match=reason):
        stored(tmp_path, {"messages": [USER, {"role": "assistant", **turn}]})


def test_ids_that_number_the_answers_are_no_ids_of_prompts(tmp_path):
    """A table of several answers per prompt, whose first column counts its lines."""
    rows = [
        {"id": 2 * i + k, "prompt": f"Question {i}?", "response": f"{i}/{k}"}
        for i in range(2)
        for k in range(2)
    ]
    answers = stored(tmp_path, *rows)
    assert [(r.prompt_id, r.sample_id, r.text) for r in answers.responses] == [
        ("0", 0, "0/0"), ("0", 1, "0/1"), ("2", 0, "1/0"), ("2", 1, "1/1"),
    ]  # fmt: skip
    assert [p.id for p in answers.prompts] == ["0", "2"] and answers.noticed == {ROW_IDS: 4}
    # a prompt_id is the prompt's own, and so is an id that comes twice
    own = stored(tmp_path, *({"prompt_id": r.pop("id"), **r} for r in rows))
    assert len({r.prompt_id for r in own.responses}) == 4
    twice = [{"id": i, "prompt": "Why?", "response": "a"} for i in (0, 0, 1)]
    assert [(r.prompt_id, r.sample_id) for r in stored(tmp_path, *twice).responses] == [
        ("0", 0), ("0", 1), ("1", 0),
    ]  # fmt: skip


def test_answers_that_hold_their_prompts_are_refused(tmp_path):
    prompts = ["How do I bake bread?", "How do I sew a button on?"]
    whole = [{"prompt": p, "generated_text": f"{p} I cannot say."} for p in prompts]
    with pytest.raises(
        InputError, match=r"every answer of .* holds its prompt, .*return_full_text"
    ):
        stored(tmp_path, *whole)
    framed = [{"prompt": p, "text": f"user\n{p}\nassistant\nI cannot."} for p in prompts]
    with pytest.raises(InputError, match="holds its prompt"):
        stored(tmp_path, *framed)
    assert len(stored(tmp_path, whole[0], {"prompt": prompts[1], "text": "No."}).responses) == 2
    greetings = [{"prompt": p, "text": f"{p}! How can I help?"} for p in ("Hi", "Hello")]
    assert len(stored(tmp_path, *greetings).responses) == 2


def test_a_cell_with_several_answers_is_refused(tmp_path):
    path = tmp_path / "frame.csv"
    path.write_text('prompt,response\nu,"[\'No.\', ""I can\'t""]"\nv,[\'Yes.\']\n')
    with pytest.raises(InputError, match="is a list written as text, first"):
        read_stored(path)
    path.write_text("prompt,response\nu,['No.']\nv,Yes.\n")
    assert len(read_stored(path).responses) == 2


def test_a_mark_of_an_error_is_no_answer(tmp_path):
    """FastChat's for a request that failed, a spreadsheet's for a text that begins with a dash."""
    rows = [{"prompt": "u", "text": t} for t in ("$ERROR$", "#NAME?", "None", "No.")]
    answers = stored(tmp_path, *rows)
    assert [r.text for r in answers.responses] == ["None", "No."]
    assert dict(answers.dropped) == {MARK: 2} and answers.noticed == {WORD_ALONE: 1}
    path = tmp_path / "judged.csv"
    path.write_text("prompt_id,text\n1,#NAME?\n")
    with pytest.raises(InputError, match=r"line 2 is not a response .text is '#NAME.', a mark of"):
        read_responses(path)


def test_letters_of_a_wrong_encoding_are_named(tmp_path, caplog):
    """The judge reads a refusal as an answer where its apostrophe became three letters."""
    broken = "I\u2019m sorry, but I can\u2019t.".encode().decode("cp1252")
    stored(tmp_path, {"prompt": "u", "text": broken}, {"prompt": "v", "text": "Où çà? Ça va."})
    (warning,) = caplog.messages
    assert "mine.jsonl: 1 of 2 texts hold letters such as 'â€™'" in warning
    path = tmp_path / "judged.jsonl"
    path.write_text(
        json.dumps({"prompt_id": "1", "text": "Schöne Grüße".encode().decode("cp1252")})
    )
    caplog.clear()
    read_responses(path)
    assert "1 of 1 texts hold letters such as 'Ã¶'" in caplog.text


def test_end_tokens_behind_an_answer_are_no_part_of_it(tmp_path):
    """Texts that were decoded with their special tokens."""
    ends = ("No.<|im_end|>", "No.\n<|eot_id|>", "No.</s><pad><pad>", "No.<end_of_turn>\n")
    answers = stored(tmp_path, *({"prompt": "u", "text": t} for t in ends))
    assert {r.text for r in answers.responses} == {"No."} and answers.noticed == {ENDED: 4}
    html = stored(tmp_path, {"prompt": "u", "text": "It is <s>old</s>"})
    assert html.responses[0].text == "It is <s>old</s>" and not html.noticed
