"""Stored answers of every format, what is dropped and counted, and files that are no such thing."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.foundation.reading import json_values
from veneer.imports import AS_STORED, Rules, read_stored
from veneer.imports.imported import own_answer
from veneer.imports.overton import (
    query_of,
    read_bertscore,
    read_embeddings,
    read_instances,
    read_judged,
)
from veneer.imports.registry import guess
from veneer.imports.tables import other_rows
from veneer.systems.responses import read_responses

PROMPT = (
    "# Query:\n```\nAn example?\n```\n\n# Answer:\n```\nYes.\n```\n\n# Query:\n```\nWhat now?\n"
    "```\n\n# Answer:\n```\n"
)


def put(tmp_path, name, *rows):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8"
    )
    return path


def answer(content, reason="stop"):
    return {
        "finish_reason": reason,
        "index": 0,
        "message": {"content": content, "role": "assistant"},
    }


def run_import(path, out, *options) -> int:
    """The exit code of `veneer import`."""
    return main([str(a) for a in ("import", path, "--out", out, *options)])


def texts(result):
    return [(r.prompt_id, r.sample_id, r.text) for r in result.responses]


@pytest.fixture
def open_file(tmp_path):
    outputs = [
        {"generated_text": "One.\n```"},
        {"generated_text": "Two"},
        {"generated_text": "\n```"},
        {"error": "`inputs` must be <= 4096. Given: 3835", "error_type": "validation"},
        {"error": "`inputs` must be <= 4096. Given: 99"},
    ]
    return put(tmp_path, "llama/samples.jsonl", {"prompt": PROMPT, "outputs": outputs})


def test_open_models(open_file):
    replies = read_stored(open_file)
    assert replies.format == "overton-open" and texts(replies) == [
        ("0", 0, "One."),
        ("0", 1, "Two"),
    ]
    assert (
        replies.responses[0].system == "llama"
        and replies.prompts[0].messages[0]["content"] == "What now?"
    )
    assert dict(replies.dropped) == {"error: `inputs` must be <= N. Given: N": 2, "empty": 1}
    assert replies.noticed == {
        "no closing fence: mostly truncated or running on": 1,
        "closing fence removed": 2,
    }
    assert replies.summary()[0].endswith("(overton-open): 2 answers to 1 prompts")


def test_rules_can_be_turned_off(open_file):
    replies = read_stored(open_file, rules=AS_STORED)
    assert (
        texts(replies) == [("0", 0, "One.\n```"), ("0", 1, "Two"), ("0", 2, "\n```")]
        and replies.dropped.total() == 2
    )
    assert replies.noticed["empty"] == 1


def test_api_models_and_truncation(tmp_path):
    path = put(
        tmp_path,
        "gpt/samples.jsonl",
        {
            "ok": True,
            "outputs": [answer("a"), answer("cut", "length"), answer(None, "content_filter")],
        },
        {"ok": False, "outputs": []},
        {"ok": True, "outputs": [answer("b")]},
    )
    replies = read_stored(path)
    assert texts(replies) == [("0", 0, "a"), ("2", 0, "b")]
    assert dict(replies.dropped) == {
        "truncated at the token limit": 1,
        "error: no content": 1,
        "error: the request failed": 1,
    }
    kept = read_stored(path, rules=Rules(drop_truncated=False))
    assert (
        kept.responses[1].finish_reason == "length"
        and kept.noticed["truncated at the token limit"] == 1
    )


def test_plain_lines(tmp_path):
    path = put(
        tmp_path,
        "mine.jsonl",
        {"prompt": "Q?", "text": "a"},
        {"prompt": "R?", "responses": ["b", "c", None]},
        {"prompt": "Q?", "text": "a"},
        {"prompt_id": "x", "sample_id": 4, "response": "d", "finish_reason": "length"},
        {"prompt_id": "x", "sample_id": 5, "text": "e"},
        {"prompt_id": "x", "sample_id": 5, "text": "e"},
        {"prompt_id": 7, "text": None, "error": "timeout"},
    )
    replies = read_stored(path, system="mine")
    assert texts(replies) == [
        ("0", 0, "a"),
        ("1", 0, "b"),
        ("1", 1, "c"),
        ("0", 1, "a"),
        ("x", 5, "e"),
    ], "equal samples stay"
    assert [p.messages[0]["content"] for p in replies.prompts] == ["Q?", "R?"]
    assert dict(replies.dropped) == {
        "error: no answer": 2,
        "truncated at the token limit": 1,
        "a second answer for the same prompt and sample number": 1,
    }


def test_what_import_writes_is_read_again(open_file, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert run_import(open_file, out, "--system", "base") == 0
    assert "dropped 2: error" in capsys.readouterr().out
    assert [r.text for r in read_responses(out)] == ["One.", "Two"]
    assert (
        texts(read_stored(out)) == [("0", 0, "One."), ("0", 1, "Two")]
        and read_stored(out).responses[0].system == "base"
    )
    assert json.loads((tmp_path / "out.jsonl.prompts.jsonl").read_text()) == {
        "id": "0",
        "prompt": "What now?",
    }
    assert run_import(open_file, out) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("out.jsonl exists and holds something else; give another --out, or delete it")
    )


def test_lm_eval(tmp_path):
    row = {
        "doc_id": 3,
        "arguments": {"gen_args_0": {"arg_0": "Q?", "arg_1": {}}},
        "resps": [["a ", "b"]],
        "filter": "none",
    }
    path = put(
        tmp_path, "model/samples_gsm8k_2026-01-01T00.jsonl", row, {**row, "filter": "strict"}
    )
    replies = read_stored(path)
    assert replies.format == "lm-eval" and texts(replies) == [("3", 0, "a"), ("3", 1, "b")]
    assert replies.responses[0].task == "gsm8k" and replies.prompts[0].plain == "Q?"
    scored = put(tmp_path, "samples_mmlu.jsonl", {"doc_id": 0, "resps": [[["-1.2", "False"]]]})
    with pytest.raises(InputError, match="line 1 holds log-likelihoods, not answers"):
        read_stored(scored)


LOG = {
    "version": 2,
    "status": "success",
    "eval": {"task": "quiz", "model": "openai/m"},
    "samples": [
        {
            "id": 1,
            "epoch": 1,
            "input": "Q?",
            "output": {"choices": [{"message": {"content": "a"}, "stop_reason": "stop"}]},
        },
        {
            "id": 1,
            "epoch": 2,
            "input": "Q?",
            "output": {
                "choices": [
                    {
                        "message": {
                            "content": [
                                {"type": "reasoning", "reasoning": "x"},
                                {"type": "text", "text": "b"},
                            ]
                        },
                        "stop_reason": "max_tokens",
                    }
                ]
            },
        },
        {
            "id": "z",
            "epoch": 1,
            "input": [{"role": "user", "content": "R?"}],
            "output": {"choices": []},
            "error": {"message": "died"},
        },
    ],
}


def test_inspect_logs(tmp_path):
    path = put(tmp_path, "log.json", json.dumps(LOG, indent=1))
    replies = read_stored(path, rules=Rules(drop_truncated=False))
    assert (
        texts(replies) == [("1", 0, "a"), ("1", 1, "b")]
        and replies.responses[1].finish_reason == "length"
    )
    assert replies.responses[0].system == "openai/m" and [p.plain for p in replies.prompts] == [
        "Q?",
        "R?",
    ]
    assert dict(replies.dropped) == {"error: the sample failed": 1}
    zipped = tmp_path / "log.eval"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(
            "header.json", json.dumps({k: v for k, v in LOG.items() if k != "samples"})
        )
        for i, sample in enumerate(LOG["samples"]):
            archive.writestr(f"samples/{i}_epoch_{sample['epoch']}.json", json.dumps(sample))
    assert texts(read_stored(zipped, rules=Rules(drop_truncated=False))) == texts(replies)
    zipped.write_bytes(zipped.read_bytes()[:300])
    with pytest.raises(InputError, match=r"log\.eval"):
        read_stored(zipped, "inspect")


# place in an entry's local header (in the central directory: two bytes further), and what
# stands there then
ZIP_FAULTS = {"encrypted": (6, 1), "patched data": (6, 0x20), "a compression of nobody": (8, 99)}


@pytest.mark.parametrize("entry", ["header.json", "samples/1.json"])
@pytest.mark.parametrize("fault", [*ZIP_FAULTS, "bytes that were changed"])
def test_a_zip_that_zipfile_will_not_read_is_a_sentence(tmp_path, entry, fault, capsys):
    path, out = tmp_path / "log.eval", tmp_path / "out.jsonl"
    sample = {
        "id": 1,
        "epoch": 1,
        "input": "Q?",
        "output": {"choices": [{"message": {"content": "an answer " * 50}}]},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in (
            ("header.json", {"status": "success" * 50}),
            ("samples/1.json", sample),
        ):
            archive.writestr(name, json.dumps(value))
        at, central = archive.getinfo(entry).header_offset, archive.start_dir
    data = bytearray(path.read_bytes())
    if fault in ZIP_FAULTS:
        place, value = ZIP_FAULTS[fault]
        data[at + place] = value
        data[data.index(entry.encode(), central) - 46 + place + 2] = value
    else:
        data[at + 30 + len(entry)] ^= 0xFF  # the first byte of what is compressed
    path.write_bytes(data)
    assert run_import(path, out) == 2
    output = capsys.readouterr().err
    assert (
        f"log.eval {entry} is damaged or encrypted (" in output
        and "copy the log again" in output
        and not out.exists()
    )


@pytest.mark.parametrize("ending", ["eval", "json"])
def test_logs_that_inspect_itself_writes(tmp_path, ending):
    log = pytest.importorskip("inspect_ai.log", reason="needs inspect-ai to write a log of its own")
    model = pytest.importorskip("inspect_ai.model")
    samples = [
        log.EvalSample(
            id=i,
            epoch=e,
            input="Q?",
            target="",
            output=model.ModelOutput.from_content("mockllm/model", f"answer {i} {e}"),
        )
        for i in (1, 2)
        for e in (1, 2)
    ]
    spec = log.EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="quiz",
        dataset=log.EvalDataset(),
        model="mockllm/model",
        config=log.EvalConfig(),
    )
    path = tmp_path / f"log.{ending}"
    log.write_eval_log(log.EvalLog(eval=spec, samples=samples, status="success"), str(path))
    replies = read_stored(path)
    assert sorted(texts(replies)) == [
        (str(i), e - 1, f"answer {i} {e}") for i in (1, 2) for e in (1, 2)
    ]
    assert replies.responses[0].system == "mockllm/model" and replies.facts["task"] == "quiz"


def test_answers_that_go_on():
    text = "A summary.\n```\n\n# Answer:\n```\nThe answer.\n```\n\n# Query:\n```\nAnother?\n```"
    assert own_answer(text) == "The answer."
    assert own_answer("Plain.\n```\n\n# Query:\n```\nx\n```\n\n# Answer:\n```\ny\n```") == "Plain."
    assert own_answer("Plain.") == "Plain." and query_of("no form") == "no form"


def test_judge_outputs_know_their_answers(tmp_path):
    row = {"ok": True, "outputs": [answer("{}")]}
    path = put(tmp_path, "q/outputs/m/samples.jsonl", row, row, {"ok": False, "outputs": []}, row)
    assert [(j.prompt_id, j.sample_id) for j in read_judged(path, prompts=2)] == [
        ("0", 0),
        ("0", 1),
        ("1", 0),
        ("1", 1),
    ]
    assert read_judged(path, prompts=4)[2].content is None
    with pytest.raises(InputError, match="4 judge outputs for 3 prompts"):
        read_judged(path, prompts=3)
    put(
        tmp_path,
        "q/instances/m/data.jsonl",
        *({"metadata": {"instance_id": i}} for i in (5, 5, 5, 9)),
    )
    assert [(j.prompt_id, j.sample_id) for j in read_judged(path)] == [
        ("5", 0),
        ("5", 1),
        ("5", 2),
        ("9", 0),
    ]
    rows, summary = other_rows(path, "overton-judge")
    assert (
        rows[2] == {"prompt_id": "5", "sample_id": 2, "content": None}
        and summary == "judge outputs, ended stop 3, failed 1"
    )


def test_bertscore_and_embeddings(tmp_path):
    stored = {
        "ref_model": "m",
        "alt_model": "m",
        "instance_ids": [0, 0],
        "ref_sample_ids": [0, 0],
        "alt_sample_ids": [0, 1],
        "ref_texts": ["a", "a"],
        "alt_texts": ["a", "b"],
        "results": {"precision": [1, 0.5], "recall": [1, 0.5], "f1": [1, 0.5], "hashcode": "h"},
    }
    path = put(tmp_path, "b.json", stored)
    scores = read_bertscore(path)
    assert scores.self_pairs.tolist() == [True, False] and scores.f1[
        ~scores.self_pairs
    ].tolist() == [0.5]
    assert other_rows(path, "bertscore")[1] == "h; 1 pairs of an answer with itself"
    for broken in (
        {**stored, "alt_sample_ids": [0]},
        {**stored, "instance_ids": ["x", "y"]},
        {**stored, "results": []},
        [1],
    ):
        with pytest.raises(InputError, match=r"b\.json"):
            read_bertscore(put(tmp_path, "b.json", broken))
    np.savez(
        tmp_path / "e.npz",
        embeddings=np.ones((2, 3), np.float32),
        strings=np.array(["a", "b"]),
        args=np.array("{}"),
    )
    assert read_embeddings(tmp_path / "e.npz").strings == ("a", "b")
    np.savez(
        tmp_path / "o.npz",
        embeddings=np.ones((1, 2)),
        strings=np.array([{"an": "object"}], dtype=object),
    )
    for name in ("o.npz", "none.npz", "b.json"):
        with pytest.raises(InputError, match=name):
            read_embeddings(tmp_path / name)


HOSTILE = {
    "cut JSON": '{"prompt": "a", "outputs": [{"gener',
    "a list": "[1, 2]",
    "a number": "7",
    "nested": "[" * 100_000,
    "outputs no list": {"prompt": "a", "outputs": 3},
    "output no object": {"prompt": "a", "outputs": ["x"]},
    "text a number": {"prompt": "a", "outputs": [{"generated_text": 3}]},
    "ok no truth": {"ok": "yes", "outputs": []},
    "no message": {"ok": True, "outputs": [{"index": 0}]},
    "content a list": {"ok": True, "outputs": [answer(["a"])]},
    "no prompt": {"text": "a"},
    "prompt a list": {"prompt": ["a"], "text": "b"},
    "id true": {"prompt_id": True, "text": "b"},
    "answer a number": {"prompt": "a", "text": 3},
    "responses a text": {"prompt": "a", "responses": "b"},
    "sample below 0": {"prompt": "a", "sample_id": -1, "text": "b"},
    "no doc": {"resps": [["a"]]},
    "resps a text": {"doc_id": 1, "resps": "a"},
    "binary": "\x00\x01\x02",
}


@pytest.mark.parametrize("row", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_lines_are_refused_in_one_sentence(tmp_path, capsys, row):
    path, out = put(tmp_path, "bad.jsonl", row), tmp_path / "out.jsonl"
    formats = ["auto"] if not isinstance(row, dict) else [guess(path)]
    for format in {*formats, "jsonl"} if not isinstance(row, dict) else formats:
        assert run_import(path, out, "--format", format) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("veneer: error: ") and "bad.jsonl" in last and len(last) < 600, last
    assert not out.exists()


def test_halves_of_characters_and_huge_lines(tmp_path, monkeypatch):
    path = put(tmp_path, "s.jsonl", '{"prompt": "a", "text": "x \\ud800 y"}')
    assert read_stored(path).responses[0].text == "x ? y"
    row = (
        '{"prompt_id": "\\ud800", "text": "x", "system": "\\udfff", "task": "t\\ud800", '
        '"finish_reason": "\\ud800"}'
    )
    (response,) = read_stored(put(tmp_path, "i.jsonl", row)).responses
    assert response.line().encode() and (
        response.prompt_id,
        response.system,
        response.task,
        response.finish_reason,
    ) == ("?", "?", "t?", "?")
    monkeypatch.setattr(json_values, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match="line 1 is longer than"):
        read_stored(put(tmp_path, "h.jsonl", {"prompt": "a", "text": "x" * 2000}), "jsonl")


@pytest.mark.parametrize(
    "format",
    ["auto", "jsonl", "overton-api", "inspect", "overton-judge", "bertscore", "embeddings"],
)
def test_files_that_are_not_there(tmp_path, capsys, format):
    assert run_import(tmp_path / "none", tmp_path / "o", "--format", format) == 2
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "empty").write_text("")
    assert run_import(tmp_path / "empty", tmp_path / "o", "--format", format) == 2
    assert not (tmp_path / "o").exists()


def test_the_published_answers(data):
    folder = data / "overton" / "LIMA-OE"
    if not folder.is_dir():
        pytest.skip("needs the second paper's data in VENEER_DATA/overton")
    failed = read_stored(folder / "outputs/llama-2-icl-chat-5nn-prompt_similar/samples.jsonl")
    assert len(failed.responses) == 10 and failed.dropped.total() == 240
    base = read_stored(folder / "outputs/llama-2-base/samples.jsonl")
    assert base.noticed[
        "no closing fence: mostly truncated or running on"
    ] == 16 and base.dropped == {"empty": 1}
    prompts = read_instances(folder / "instances/data.jsonl")
    assert [p.plain for p in prompts[:3]] == [p.messages[0]["content"] for p in base.prompts[:3]]
    summary = read_stored(
        folder / "outputs/llama-2-icl-chat-summary-cot/samples.jsonl", rules=Rules(answer_only=True)
    )
    assert not any("# Query:" in r.text or "# Answer:" in r.text for r in summary.responses)


def test_reasoning_is_taken_out_of_stored_answers(tmp_path):
    rows = [
        {"prompt_id": "a", "text": "<think>\nso\n</think>\n\nYes."},
        {"prompt_id": "b", "text": "No.", "reasoning": "so"},
        {"prompt_id": "c", "text": "No.", "reasoning_content": "so"},
        {"prompt_id": "d", "text": "<think>\nso"},
        {"prompt_id": "e", "text": "Use <think> tags."},
    ]
    replies = read_stored(put(tmp_path, "a.jsonl", *rows), "jsonl")
    assert [(r.prompt_id, r.reasoning, r.text) for r in replies.responses] == [
        ("a", "so", "Yes."),
        ("b", "so", "No."),
        ("c", "so", "No."),
        ("e", None, "Use <think> tags."),
    ]
    assert replies.dropped == {"unfinished: reasoning and no answer": 1}
    assert replies.noticed == {"reasoning taken out of the answer's text": 2}
    kept = read_stored(put(tmp_path, "a.jsonl", *rows), "jsonl", AS_STORED)
    assert [r.unfinished for r in kept.responses] == [False, False, False, True, False]


def chat_sample(doc, text, answers, system=None, **more):
    turns = [{"role": "system", "content": system}] * (system is not None) + [
        {"role": "user", "content": text}
    ]
    arguments = {"gen_args_0": {"arg_0": [json.dumps(turns)], "arg_1": {"until": []}}}
    return {"doc_id": doc, "arguments": arguments, "resps": [answers], "filter": "none", **more}


def test_lm_eval_logs_of_chat_models(tmp_path):
    """The prompt is the messages that were sent, in whatever order the documents are logged."""
    path = put(
        tmp_path,
        "m/samples_mini_2026-01-01T00.jsonl",
        chat_sample(1, "Sum?", ["5."]),
        chat_sample(0, "Story?", ["Once.", "Twice."]),
        chat_sample(1, "Sum?", ["5."], filter="strict"),
        chat_sample(2, "Now?", ["Yes."], system="Be brief."),
    )
    replies = read_stored(path)
    assert texts(replies) == [
        ("1", 0, "5."),
        ("0", 0, "Once."),
        ("0", 1, "Twice."),
        ("2", 0, "Yes."),
    ]
    assert [p.messages[-1]["content"] for p in replies.prompts] == ["Sum?", "Story?", "Now?"]
    assert replies.prompts[2].messages[0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"doc_id": 0, "resps": [["a"]]}, 'has no "arguments", so that its prompt is unknown'),
        ({"doc_id": 0, "arguments": [["text"]], "resps": [["-12.5"]]}, "holds log-likelihoods"),
        (
            {
                "doc_id": 0,
                "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": " yes"}},
                "resps": [["-1.5"]],
            },
            "holds log-likelihoods",
        ),
        (
            {"doc_id": 0, "arguments": [["Q", {}], ["R", {}]], "resps": [["a"], ["b"]]},
            "2 requests with different prompts",
        ),
        (chat_sample(1, "Another?", ["x"]), "has the id '1' and another prompt than"),
        (chat_sample(1, "Sum?", ["6."]), "has other answers to document 1 than"),
    ],
)
def test_lm_eval_logs_that_cannot_be_matched(tmp_path, row, reason):
    with pytest.raises(InputError, match=reason):
        read_stored(put(tmp_path, "samples_x.jsonl", chat_sample(1, "Sum?", ["5."]), row))


def test_older_lm_eval_logs(tmp_path):
    replies = read_stored(
        put(
            tmp_path,
            "samples_x.jsonl",
            {"doc_id": 0, "arguments": [["Q?", {"until": []}]], "resps": [["a"]]},
        )
    )
    assert texts(replies) == [("0", 0, "a")] and replies.prompts[0].plain == "Q?"


def test_inspect_logs_of_chats(tmp_path):
    choice = {"message": {"content": "a"}, "stop_reason": "stop"}
    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "u"}]},
    ]
    sample = {
        "id": 1,
        "epoch": 2,
        "input": turns,
        "output": {"choices": [choice, {**choice, "message": {"content": "b"}}]},
    }
    replies = read_stored(put(tmp_path, "log.json", json.dumps({**LOG, "samples": [sample]})))
    assert texts(replies) == [("1", 2, "a"), ("1", 3, "b")]
    assert [m["content"] for m in replies.prompts[0].messages] == ["s", "u"]
    turns[1]["content"].append({"type": "image", "image": "x"})
    with pytest.raises(InputError, match="holds a part of the type 'image'"):
        read_stored(put(tmp_path, "log.json", json.dumps({**LOG, "samples": [sample]})))


def test_batch_results(tmp_path):
    def result(id, **more):
        return {
            "id": "batch_req",
            "custom_id": id,
            "error": None,
            "response": {"status_code": 200, "body": {"model": "m", **more}},
        }

    parts = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "r"}]},
    ]
    claude = {
        "type": "message",
        "model": "c",
        "content": [{"type": "text", "text": "c"}],
        "stop_reason": "max_tokens",
    }
    path = put(
        tmp_path,
        "out.jsonl",
        result("p2", choices=[answer("two"), answer("too")]),
        result("p0", choices=[answer(None, "content_filter")]),
        {"custom_id": "p3", "response": None, "error": {"code": "batch_expired"}},
        {**result("p4"), "response": {"status_code": 429, "body": {}}},
        result(
            "p1",
            choices=[{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}],
        ),
        result("p5", output=parts),
        {"custom_id": "p6", "result": {"type": "succeeded", "message": claude}},
        {"custom_id": "p7", "result": {"type": "errored"}},
    )
    replies = read_stored(path)
    assert replies.format == "batch"
    assert texts(replies) == [("p2", 0, "two"), ("p2", 1, "too"), ("p1", 0, "No."), ("p5", 0, "r")]
    assert dict(replies.dropped) == {
        "error: the request failed": 3,
        "error: no content": 1,
        "truncated at the token limit": 1,
    }


def test_answers_of_benchmarks(tmp_path):
    rows = [
        {"dataset": "d", "instruction": t, "output": t.lower(), "generator": "g"}
        for t in ("A", "B")
    ]
    replies = read_stored(put(tmp_path, "outputs.json", json.dumps(rows, indent=1)))
    assert (
        replies.format == "alpaca-eval"
        and texts(replies) == [("0", 0, "a"), ("1", 0, "b")]
        and replies.responses[0].system == "g"
    )
    with pytest.raises(InputError, match='item 1 has an "input" beside its instruction'):
        read_stored(put(tmp_path, "outputs.json", json.dumps([{**rows[0], "input": "x"}])))
    row = {"question_id": 81, "model_id": "m", "choices": [{"index": 0, "turns": ["a"]}]}
    assert texts(read_stored(put(tmp_path, "m.jsonl", row))) == [("81", 0, "a")]
    with pytest.raises(InputError, match="holds an answer of 2 turns"):
        read_stored(
            put(tmp_path, "m.jsonl", {**row, "choices": [{"index": 0, "turns": ["a", "b"]}]})
        )
    whole = {
        "one": [{"test_case": "t", "generation": "a"}, {"test_case": "t", "generation": "b"}],
        "two": [{"test_case": "u", "generation": "c"}, {"test_case": "v", "generation": "d"}],
    }
    replies = read_stored(put(tmp_path, "completions.json", json.dumps(whole, indent=1)))
    assert replies.format == "harmbench"
    assert texts(replies) == [
        ("one", 0, "a"),
        ("one", 1, "b"),
        ("two/0", 0, "c"),
        ("two/1", 0, "d"),
    ]


@pytest.mark.parametrize(
    ("row", "id", "text", "turns"),
    [
        (
            {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]},
            "0",
            "a",
            ["u"],
        ),
        (
            {
                "messages": [
                    {"role": "developer", "content": "s"},
                    {"role": "user", "content": "u"},
                    {"role": "assistant", "content": "a"},
                ]
            },
            "0",
            "a",
            ["s", "u"],
        ),
        (
            {"id": 7, "prompt": [{"role": "user", "content": "u"}], "completion": "a"},
            "7",
            "a",
            ["u"],
        ),
        ({"prompt": "u", "generated_text": "a"}, "0", "a", ["u"]),
    ],
)
def test_chats_and_other_keys(tmp_path, row, id, text, turns):
    replies = read_stored(put(tmp_path, "c.jsonl", row))
    assert (
        texts(replies) == [(id, 0, text)]
        and [m["content"] for m in replies.prompts[0].messages] == turns
    )


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [{"id": 1, "prompt": "A", "text": "a"}, {"id": "1", "prompt": "B", "text": "b"}],
            "line 2 has the id '1' and another prompt",
        ),
        (
            [{"prompt": "A", "text": "a", "response": "b"}],
            "has 'text' and 'response', and only one can be the answer",
        ),
        (
            [{"question": "A", "text": "a"}],
            r"does not name the prompt that it answers \(its keys are question, text\)",
        ),
        (
            [{"question": "A", "answer": "a"}],
            "begins with an object with the keys question, answer",
        ),
        (
            [{"messages": [{"role": "user", "content": "u"}]}],
            "does not end with the assistant's answer",
        ),
        (
            [{"prompt_id": " ", "text": "a"}],
            "has a prompt_id that is neither a text nor a whole number",
        ),
        ([{"prompt": "A", "text": "a"}, "not JSON"], "line 2 is not valid JSON"),
    ],
)
def test_answers_that_nobody_can_match(tmp_path, rows, reason):
    with pytest.raises(InputError, match=reason):
        read_stored(put(tmp_path, "c.jsonl", *rows))


def test_a_mark_a_table_and_an_encoding(tmp_path):
    """An import reads what prompt files read, and refuses what they refuse."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "Q", "response": "a"}\n')
    assert texts(read_stored(path)) == [("0", 0, "a")]
    path = tmp_path / "a.csv"
    path.write_text('prompt;response;sample_id\nQ;"a, b";0\nQ;c;1\n')
    assert texts(read_stored(path)) == [("0", 0, "a, b"), ("0", 1, "c")]
    path = tmp_path / "b.jsonl"
    path.write_bytes('{"prompt": "Q", "response": "café"}\n'.encode("cp1252"))
    with pytest.raises(InputError, match="line 1 cannot be read as UTF-8"):
        read_stored(path)
    path.write_text("Q a\n")
    with pytest.raises(InputError, match="line 1 is not valid JSON"):
        read_stored(path)


def test_prompts_given_beside_an_import_are_its_own(tmp_path, capsys):
    path, out = (
        put(tmp_path, "a.jsonl", {"prompt_id": "x", "prompt": "Q?", "text": "a"}),
        tmp_path / "o.jsonl",
    )
    for prompts, reason in (
        ({"id": "y", "prompt": "Q?"}, "answers the prompt 'x', and"),
        ({"id": "x", "prompt": "R?"}, "has 'Q?' as the prompt 'x', and"),
    ):
        assert run_import(path, out, "--prompts", put(tmp_path, "p.jsonl", prompts)) == 2
        assert reason in capsys.readouterr().err and not out.exists()
    right = put(tmp_path, "p.jsonl", {"id": "x", "prompt": "Q?"})
    assert run_import(path, out, "--prompts", right) == 0


def test_prompts_of_several_turns_are_written_whole(tmp_path, capsys):
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    path, out = (
        put(tmp_path, "a.jsonl", {"messages": [*turns, {"role": "assistant", "content": "a"}]}),
        tmp_path / "o.jsonl",
    )
    assert run_import(path, out) == 0
    assert json.loads((tmp_path / "o.jsonl.prompts.jsonl").read_text()) == {
        "id": "0",
        "messages": turns,
    }
