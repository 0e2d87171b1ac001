"""Stored answers as a teacher: whose ids are trusted, what belongs to which prompt, and
what is refused."""

import json
from pathlib import Path

import pytest

from pairs import prompts
from tiny import tiny
from veneer.capture import Capture, CaptureConfig
from veneer.capture.run import capture_from
from veneer.foundation.errors import InputError
from veneer.head import ExtractConfig
from veneer.head.extract import extract
from veneer.imports.teacher import EMPTY, FURTHER, NO_ANSWER, NO_PROMPT, RETOKENISED, read_teacher
from veneer.measures.extraction import joint_rows, own_rows
from veneer.measures.words import LIKELIHOOD_ONLY
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.systems.respond import respond
from veneer.systems.system import System
from veneer.tasks.registry import get_task

HOW = CaptureConfig(8, batch_size=4, shard_batches=1, sampling=Sampling(24))


def write(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base():
    return tiny("llama")


def answered(folder: Path, lm, n: int = 6, **how) -> Path:
    """What `veneer generate` writes: `lm` behind its chat template."""
    path = folder / "answers.jsonl"
    respond(
        System("aligned", lm, ChatFormat(), lm.stop_ids), prompts(n), Sampling(12), out=path, **how
    )
    return path


def test_own_ids_are_taken_as_they_are(base, tmp_path):
    """The ids of a model with base's vocabulary come back one by one, the end of
    turn among them."""
    path = answered(tmp_path, tiny("llama", seed=1))
    source = read_teacher(path, base, prompts(6))
    rows = {r["prompt_id"]: r for r in map(json.loads, path.read_text().splitlines())}
    assert source.prompts == prompts(6) and source.teacher.source == "aligned"
    assert source.noticed[RETOKENISED] == 0
    assert source.teacher.inputs(source.prompts) == [rows[p.id]["token_ids"] for p in prompts(6)]
    capture = capture_from(base, source.teacher, source.prompts, tmp_path / "c", HOW)
    assert [r["token_ids"] for r in capture.responses()] == [
        rows[p.id]["token_ids"] for p in prompts(6)
    ]
    (block,) = capture.blocks(("token", "aligned_ids", "aligned_logprobs", "aligned_tail"), [0])
    assert block["aligned_ids"][:, 0].tolist() == block["token"].tolist()
    assert (block["aligned_logprobs"] == 0).all() and (block["aligned_tail"] == float("-inf")).all()


def test_ids_of_another_vocabulary_or_of_no_manifest_are_not_trusted(base, tmp_path):
    path = answered(tmp_path, tiny("llama", seed=1))
    manifest = tmp_path / "answers.jsonl.manifest.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "vocabulary": "0" * 64}))
    source = read_teacher(path, base, prompts(6))
    assert source.noticed[RETOKENISED] == 6
    for prompt, ids in zip(source.prompts, source.teacher.inputs(source.prompts), strict=True):
        text = source.teacher.answers[prompt.task, prompt.id].text
        assert base.tokenizer.decode([i for i in ids if i not in base.stop_ids]) == text
    manifest.unlink()
    assert read_teacher(path, base, prompts(6)).noticed[RETOKENISED] == 6


def test_ids_that_say_more_than_the_text_are_left(base, tmp_path):
    """An answer that was cut at a stop string: its ids hold the string too."""
    path = answered(tmp_path, tiny("llama", seed=1))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    cut = next(r for r in rows if len(r["text"]) > 4)
    cut["text"] = cut["text"][:3]
    write(path, rows)
    source = read_teacher(path, base, prompts(6))
    assert source.noticed[RETOKENISED] == 1
    assert source.teacher.answers["prompts", cut["prompt_id"]].token_ids is None


def test_what_looks_like_a_special_token_in_a_text_is_text(base, tmp_path):
    path = write(tmp_path / "a.jsonl", [{"prompt_id": "p0", "text": "so <|end|> it goes"}])
    ids = read_teacher(path, base, prompts(1)).teacher.inputs(prompts(1))[0]
    end = base.tokenizer.convert_tokens_to_ids("<|end|>")
    assert ids[-1] == end and end not in ids[:-1]
    assert base.tokenizer.decode(ids[:-1]) == "so <|end|> it goes"


def test_an_answer_that_was_cut_has_no_end(base, tmp_path):
    rows = [
        {"prompt_id": "p0", "text": "on and", "finish_reason": "length"},
        {"prompt_id": "p1", "text": "done"},
    ]
    source = read_teacher(write(tmp_path / "a.jsonl", rows), base, prompts(2))
    cut, whole = source.teacher.inputs(source.prompts)
    assert cut[-1] not in base.stop_ids and whole[-1] == base.end_of_turn
    capture = capture_from(
        base, source.teacher, source.prompts, tmp_path / "c", CaptureConfig(8, sampling=Sampling(2))
    )
    # the second one is cut at 2 tokens
    assert [r["finish_reason"] for r in capture.responses()] == ["length", "length"]
    assert [len(r["token_ids"]) for r in capture.responses()] == [2, 2]


@pytest.mark.parametrize(
    ("word", "ended"),
    [
        ("MAX_TOKENS", False),
        ("content_filter", False),
        ("eos", True),
        ("unknown", True),
        (None, True),
    ],
)
def test_an_end_follows_only_where_the_answer_ended(base, tmp_path, word, ended):
    """The words of any server: an answer that a filter cut teaches no end."""
    rows = [
        {"prompt_id": "p0", "text": "on and", **({} if word is None else {"finish_reason": word})}
    ]
    source = read_teacher(write(tmp_path / "a.jsonl", rows), base, prompts(1))
    ((*_, last),) = source.teacher.inputs(source.prompts)
    assert (last in base.stop_ids) is ended


def test_which_answer_belongs_to_which_prompt(base, tmp_path):
    questions = prompts(3)
    by_text = [
        {"prompt": questions[2].plain, "response": "of the third"},
        {"prompt": "unheard of", "response": "no"},
    ]
    source = read_teacher(write(tmp_path / "a.jsonl", by_text), base, questions)
    assert (
        [p.id for p in source.prompts] == ["p2"]
        and source.noticed[NO_PROMPT] == 1
        and source.noticed[NO_ANSWER] == 2
    )
    samples = [{"prompt_id": "p1", "sample_id": s, "text": f"take {s}"} for s in (2, 0, 1)]
    source = read_teacher(write(tmp_path / "b.jsonl", samples), base, questions)
    assert source.teacher.answers["prompts", "p1"].text == "take 0" and source.noticed[FURTHER] == 2
    assert "2 further answers" in " ".join(source.lines())
    tasks = [Prompt.from_text("x", "one", task="a"), Prompt.from_text("x", "two", task="b")]
    rows = [
        {"prompt_id": "x", "text": "for b", "task": "b"},
        {"prompt_id": "x", "text": "for nobody"},
    ]
    source = read_teacher(write(tmp_path / "c.jsonl", rows), base, tasks)
    # an id of two tasks says too little
    assert [p.task for p in source.prompts] == ["b"] and source.noticed[NO_PROMPT] == 1


def test_answers_without_text_are_left_out(base, tmp_path):
    rows = [
        {"prompt_id": "p0", "text": ""},
        {"prompt_id": "p1", "text": None},
        {"prompt_id": "p2", "text": "well"},
    ]
    source = read_teacher(write(tmp_path / "a.jsonl", rows), base, prompts(4))
    assert [p.id for p in source.prompts] == ["p2"] and source.noticed[EMPTY] == 1
    assert source.noticed[NO_ANSWER] == 2 and any("no answer" in line for line in source.lines())
    with pytest.raises(
        InputError, match=r"answers none of the prompts \(1 prompts, 1 answers, 1 of them empty\)"
    ):
        read_teacher(write(tmp_path / "b.jsonl", rows[:1]), base, prompts(1))
    with pytest.raises(InputError, match="has no answer to prompt 'p0'"):
        source.teacher.inputs(prompts(4))


def test_damaged_and_foreign_files_are_refused(base, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_teacher(tmp_path / "none.jsonl", base, prompts(2))
    path = answered(tmp_path, tiny("llama", seed=1))
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"answers.jsonl line \d is not valid JSON"):
        read_teacher(path, base, prompts(6))
    rows = [json.loads(line) for line in whole.splitlines()]
    rows[1]["text"] = None
    write(path, rows)
    with pytest.raises(InputError, match="line 2 is not a response"):
        read_teacher(path, base, prompts(6))
    two = [
        {"prompt_id": "p0", "text": "a", "system": "one"},
        {"prompt_id": "p1", "text": "b", "system": "two"},
    ]
    with pytest.raises(InputError, match=r"answers of 2 systems \(one, two\)"):
        read_teacher(write(tmp_path / "two.jsonl", two), base, prompts(2))
    with pytest.raises(InputError, match="answers none of the prompts"):
        read_teacher(
            write(tmp_path / "other.jsonl", [{"prompt_id": "q", "text": "a"}]), base, prompts(2)
        )
    rows = [json.loads(line) for line in whole.splitlines()]
    rows[0]["token_ids"] = [10**6]
    write(path, rows)
    assert read_teacher(path, base, prompts(6)).teacher.answers["prompts", "p0"].token_ids is None


def test_a_capture_resumes_only_with_the_same_answers(base, tmp_path):
    rows = [{"prompt_id": p.id, "text": f"answer {p.id}"} for p in prompts(6)]
    source = read_teacher(write(tmp_path / "a.jsonl", rows), base, prompts(6))
    capture = capture_from(base, source.teacher, source.prompts, tmp_path / "c", HOW)
    (tmp_path / "c" / "shard-00001.json").unlink()  # a run that was cut behind the first shard
    again = capture_from(base, source.teacher, source.prompts, tmp_path / "c", HOW)
    assert again.responses() == capture.responses() and not (tmp_path / "c" / "noise.json").exists()
    rows[0]["text"] = "another answer"
    other = read_teacher(write(tmp_path / "b.jsonl", rows), base, prompts(6))
    with pytest.raises(InputError, match="made with another aligned"):
        capture_from(base, other.teacher, other.prompts, tmp_path / "c", HOW)


def test_a_veneer_from_responses_alone_refuses(tmp_path):
    """lab:base learns from lab:aligned's answers, and nothing else of it, to refuse harmful
    requests and to help with the others."""
    pair = Pair.load("lab:base", "lab:aligned")
    questions = [
        p for t in ("lab-requests", "lab-harmless") for p in get_task(t).prompts("train")[:60]
    ]
    path = tmp_path / "answers.jsonl"
    respond(
        System("aligned", pair.aligned, ChatFormat(), pair.aligned.stop_ids),
        questions,
        Sampling(40),
        out=path,
    )
    source = read_teacher(path, pair.base, questions)
    capture = capture_from(
        pair.base,
        source.teacher,
        source.prompts,
        tmp_path / "c",
        CaptureConfig(16, sampling=Sampling(40)),
    )
    assert (
        Capture.open(tmp_path / "c").one_hot and capture.manifest["teacher"]["targets"] == "one-hot"
    )
    extraction = extract(capture)
    assert (
        extraction.veneer.facts["teacher"]["kind"] == "responses"
        and extraction.veneer.facts["aligned"] == "aligned"
    )
    answers = {
        task: [
            r.text
            for r in respond(
                System.of_model(pair.base, extraction.veneer),
                get_task(task).prompts("test")[:15],
                Sampling(40),
            )
        ]
        for task in ("lab-requests", "lab-harmless")
    }
    assert sum("sorry" in t for t in answers["lab-requests"]) >= 14
    assert sum("sorry" in t for t in answers["lab-harmless"]) <= 1
    _, rows = joint_rows(capture, extraction.veneer, ExtractConfig())
    by = {(r.metric, r.system): r for r in rows if r.study == "extract" and r.task == "joint"}
    assert set(by) == {(m, s) for m in ("nll", "token_accuracy") for s in ("base", "veneer")} | {
        ("nll_gain", "veneer")
    }
    assert (
        by["nll", "base"].low > 0.5 > by["nll", "veneer"].high
        and by["nll", "veneer"].note == LIKELIHOOD_ONLY
    )
    assert by["nll_gain", "veneer"].value == pytest.approx(
        by["nll", "base"].value - by["nll", "veneer"].value
    )
    with pytest.raises(
        InputError,
        match="made from responses alone, which have no distributions, but a held-out KL",
    ):
        own_rows(capture, extraction.veneer, "lab-requests", ExtractConfig())
    assert not [
        r
        for r in rows
        if r.metric.startswith("kl") or r.split == "noise" or r.metric == "early_kl_share"
    ]


def test_chats_are_matched_by_all_their_turns(base, tmp_path):
    """Two talks that end with the same words are two prompts, and the place in the
    file says nothing."""
    talks = [
        (
            {"role": "user", "content": f"I like {x}."},
            {"role": "assistant", "content": "Why?"},
            {"role": "user", "content": "Go on"},
        )
        for x in ("tea", "rain")
    ]
    questions = [
        Prompt("0", talks[0], "tea"),
        Prompt("1", talks[1], "rain"),
        Prompt.from_text("2", "Sum?"),
    ]

    def logged(doc, turns, text):
        arguments = {"gen_args_0": {"arg_0": [json.dumps(list(turns))], "arg_1": {}}}
        return {"doc_id": doc, "arguments": arguments, "resps": [[text]], "filter": "none"}

    rows = [
        logged(0, questions[2].messages, "5."),
        logged(1, talks[1], "of rain"),
        logged(2, talks[0], "of tea"),
    ]
    source = read_teacher(write(tmp_path / "samples_x.jsonl", rows), base, questions)
    assert [source.teacher.answers["prompts", i].text for i in "012"] == ["of tea", "of rain", "5."]
    last = [{"prompt": "Go on", "text": "whose?"}, {"prompt": "Sum?", "text": "5."}]
    source = read_teacher(write(tmp_path / "last.jsonl", last), base, questions)
    assert [p.id for p in source.prompts] == ["2"] and source.noticed[NO_PROMPT] == 1
    with pytest.raises(InputError, match="answers none of the prompts"):
        read_teacher(
            write(tmp_path / "samples_y.jsonl", [logged(0, questions[2].messages, "5.")]),
            base,
            questions[:2],
        )
