"""Answers of several files meet at the same prompt: by its text, and by an id that is a name."""

import json

import pytest

from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.imports.joined import join_answers
from veneer.imports.registry import read_stored
from veneer.prompts.files import read_prompts

QUESTIONS = ("What colour is the sky?", "Name a fruit.", "Say hello.")


def written(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


def answers(tmp_path, name, texts, **more):
    """A file with one answer per text, which names its own prompt; more: key -> one value each."""
    rows = [
        {"prompt": t, "text": f"{name}: {t}", **{k: v[i] for k, v in more.items()}}
        for i, t in enumerate(texts)
    ]
    return read_stored(written(tmp_path / f"{name}.jsonl", rows))


def told_apart(files):
    """id -> what each file answers there."""
    table = {}
    for name, file in files.items():
        for r in file.responses:
            table.setdefault(r.prompt_id, {})[name] = r.text.partition(": ")[2]
    return table


def agree(files, prompts):
    """Whether `prompts` prompts have an answer of every file, each to the same text."""
    whole = [row for row in told_apart(files).values() if len(row) == len(files)]
    return len(whole) == prompts and all(
        len({" ".join(t.split()) for t in row.values()}) == 1 for row in whole
    )


def test_files_without_ids_in_another_order_meet_by_text(tmp_path):
    files = {
        "a": answers(tmp_path, "a", QUESTIONS),
        "b": answers(tmp_path, "b", QUESTIONS[::-1]),
        "c": answers(tmp_path, "c", [QUESTIONS[2] + " \r\n", "Something else.", QUESTIONS[0]]),
    }
    assert join_answers(files) == []
    assert agree({n: files[n] for n in "ab"}, 3)
    assert agree(files, 2)
    assert {p.id for p in files["c"].prompts} == {r.prompt_id for r in files["c"].responses}
    assert files["b"].ids == {"0": "2", "1": "1", "2": "0"}


def test_numbers_of_one_file_meet_the_names_of_another(tmp_path):
    files = {
        "numbered": answers(tmp_path, "numbered", QUESTIONS[::-1]),
        "named": answers(tmp_path, "named", QUESTIONS, prompt_id=["0", "1", "2"]),
        "others": answers(tmp_path, "others", QUESTIONS, prompt_id=["x", "1", "0"]),
    }
    join_answers(files)
    assert agree(files, 3)
    assert sorted(told_apart(files)) == ["0", "1", "2"]


def test_a_system_text_and_a_template_do_not_part_a_prompt(tmp_path):
    chats = [
        {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": t}]}
        for t in QUESTIONS[::-1]
    ]
    for row in chats:
        row["messages"].append(
            {"role": "assistant", "content": "c: " + row["messages"][1]["content"]}
        )
    files = {
        "a": answers(tmp_path, "a", QUESTIONS),
        "c": read_stored(written(tmp_path / "c.jsonl", chats)),
    }
    join_answers(files)
    assert agree(files, 3)
    named = {
        "a": answers(tmp_path, "a", QUESTIONS, prompt_id=["0", "1", "2"]),
        "t": answers(
            tmp_path, "t", [f"<user>{t}<end>" for t in QUESTIONS], prompt_id=["0", "1", "2"]
        ),
    }
    (note,) = join_answers(named)
    assert note.startswith("t: 3 prompts have the ids of other prompts whose texts they contain")
    assert sorted(told_apart(named)) == ["0", "1", "2"]


def test_one_text_under_two_ids_stays_two_prompts(tmp_path):
    texts = [QUESTIONS[0], QUESTIONS[0], QUESTIONS[1]]
    files = {
        "a": answers(tmp_path, "a", texts, prompt_id=["p", "q", "r"]),
        "b": answers(tmp_path, "b", texts[::-1], prompt_id=["r", "q", "p"]),
    }
    join_answers(files)
    assert agree(files, 3)


def test_ids_of_two_meanings_are_refused(tmp_path):
    one = answers(tmp_path, "one", QUESTIONS[:2], prompt_id=["0", "1"])
    two = answers(tmp_path, "two", ["Quite another.", "And one more."], prompt_id=["0", "1"])
    with pytest.raises(InputError, match=r"has 'Quite another\.' as the prompt '0', and .*one"):
        join_answers({"one": one, "two": two})
    bare = read_stored(written(tmp_path / "bare.jsonl", [{"prompt_id": 0, "text": "an answer"}]))
    numbered = answers(tmp_path, "numbered", QUESTIONS)
    with pytest.raises(InputError, match="give the prompts of both with --prompts"):
        join_answers({"numbered": numbered, "bare": bare})


def test_given_prompts_name_every_answer(tmp_path):
    path = written(
        tmp_path / "prompts.jsonl", [{"id": f"p{i}", "prompt": t} for i, t in enumerate(QUESTIONS)]
    )
    prompts = read_prompts(str(path))
    bare = [{"prompt_id": f"p{i}", "text": f"bare: {t}"} for i, t in enumerate(QUESTIONS)]
    files = {
        "a": answers(tmp_path, "a", QUESTIONS[::-1]),
        "bare": read_stored(written(tmp_path / "bare.jsonl", bare)),
    }
    join_answers(files, prompts, str(path))
    assert agree(files, 3) and sorted(told_apart(files)) == ["p0", "p1", "p2"]
    for rows, message in (
        ([{"prompt_id": "0", "text": "x"}], r"answers the prompt '0', .* none with that id"),
        ([{"prompt": "Other.", "text": "x"}], r"'0' \('Other\.'\), .* none with that text"),
        ([{"prompt": "Other.", "id": "p1", "text": "x"}], r"has 'Other\.' as the prompt 'p1'"),
    ):
        strange = read_stored(written(tmp_path / "strange.jsonl", rows))
        with pytest.raises(InputError, match=message):
            join_answers({"strange": strange}, prompts, str(path))


def test_imported_files_keep_their_texts(tmp_path, capsys):
    for name, texts in (("a", QUESTIONS), ("b", QUESTIONS[::-1])):
        answers(tmp_path, name, texts)
        out = tmp_path / f"out-{name}.jsonl"
        assert main(["import", str(tmp_path / f"{name}.jsonl"), "--out", str(out)]) == 0
    files = {n: read_stored(tmp_path / f"out-{n}.jsonl") for n in "ab"}
    join_answers(files)
    assert agree(files, 3)
    assert files["b"].ids == {"0": "2", "1": "1", "2": "0"}
    # a judge must not read the answers of one file beside the prompts of the other
    beside = {n: str(tmp_path / f"out-{n}.jsonl.prompts.jsonl") for n in "ab"}
    judge = ["judge", str(tmp_path / "out-b.jsonl"), "--judge", "refusal", "--out"]
    assert main([*judge, str(tmp_path / "judged"), "--prompts", beside["a"]]) == 2
    assert f"give the prompts of that file: --prompts {beside['b']}" in capsys.readouterr().err
    assert main([*judge, str(tmp_path / "judged"), "--prompts", beside["b"]]) == 0
