"""Stored answers of every format, what is dropped and counted, and files that are no such thing."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from veneer.cli.main import main
from veneer.errors import InputError
from veneer.imports import AS_STORED, Rules, read_stored
from veneer.imports.imported import own_answer
from veneer.imports.overton import query_of, read_bertscore, read_embeddings, read_instances, read_judged
from veneer.imports.registry import guess
from veneer.imports.tables import other_rows
from veneer.reading import json_values
from veneer.systems.responses import read_responses

PROMPT = "# Query:\n```\nAn example?\n```\n\n# Answer:\n```\nYes.\n```\n\n# Query:\n```\nWhat now?\n```\n\n# Answer:\n```\n"


def put(tmp_path, name, *rows):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def answer(content, reason="stop"):
    return {"finish_reason": reason, "index": 0, "message": {"content": content, "role": "assistant"}}


def texts(found):
    return [(r.prompt_id, r.sample_id, r.text) for r in found.responses]


@pytest.fixture
def open_file(tmp_path):
    outputs = [
        {"generated_text": "One.\n```"}, {"generated_text": "Two"}, {"generated_text": "\n```"},
        {"error": "`inputs` must be <= 4096. Given: 3835", "error_type": "validation"}, {"error": "`inputs` must be <= 4096. Given: 99"},
    ]  # fmt: skip
    return put(tmp_path, "llama/samples.jsonl", {"prompt": PROMPT, "outputs": outputs})


def test_open_models(open_file):
    found = read_stored(open_file)
    assert found.format == "overton-open" and texts(found) == [("0", 0, "One."), ("0", 1, "Two")]
    assert found.responses[0].system == "llama" and found.prompts[0].messages[0]["content"] == "What now?"
    assert dict(found.dropped) == {"error: `inputs` must be <= N. Given: N": 2, "empty": 1}
    assert found.noticed == {"no closing fence: mostly truncated or running on": 1, "closing fence removed": 2}
    assert found.summary()[0].endswith("(overton-open): 2 answers to 1 prompts")


def test_rules_can_be_turned_off(open_file):
    found = read_stored(open_file, rules=AS_STORED)
    assert texts(found) == [("0", 0, "One.\n```"), ("0", 1, "Two"), ("0", 2, "\n```")] and found.dropped.total() == 2
    assert found.noticed["empty"] == 1


def test_api_models_and_truncation(tmp_path):
    path = put(
        tmp_path, "gpt/samples.jsonl",
        {"ok": True, "outputs": [answer("a"), answer("cut", "length"), answer(None, "content_filter")]}, {"ok": False, "outputs": []},
        {"ok": True, "outputs": [answer("b")]},
    )  # fmt: skip
    found = read_stored(path)
    assert texts(found) == [("0", 0, "a"), ("2", 0, "b")]
    assert dict(found.dropped) == {"truncated at the token limit": 1, "error: no content": 1, "error: the request failed": 1}
    kept = read_stored(path, rules=Rules(drop_truncated=False))
    assert kept.responses[1].finish_reason == "length" and kept.noticed["truncated at the token limit"] == 1


def test_plain_lines(tmp_path):
    path = put(
        tmp_path, "mine.jsonl", {"prompt": "Q?", "text": "a"}, {"prompt": "R?", "responses": ["b", "c", None]},
        {"prompt": "Q?", "text": "a"},
        {"prompt_id": "x", "sample_id": 4, "response": "d", "finish_reason": "length"}, {"prompt_id": "x", "sample_id": 5, "text": "e"},
        {"prompt_id": "x", "sample_id": 5, "text": "e"}, {"prompt_id": 7, "text": None, "error": "timeout"},
    )  # fmt: skip
    found = read_stored(path, system="mine")
    assert texts(found) == [("0", 0, "a"), ("1", 0, "b"), ("1", 1, "c"), ("0", 1, "a"), ("x", 5, "e")], "equal samples stay"
    assert [p.messages[0]["content"] for p in found.prompts] == ["Q?", "R?"]
    assert dict(found.dropped) == {
        "error: no answer": 2, "truncated at the token limit": 1, "a second answer for the same prompt and sample number": 1,
    }  # fmt: skip


def test_what_import_writes_is_read_again(open_file, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert main(["import", str(open_file), "--out", str(out), "--system", "base"]) == 0
    assert "dropped 2: error" in capsys.readouterr().out
    assert [r.text for r in read_responses(out)] == ["One.", "Two"]
    assert texts(read_stored(out)) == [("0", 0, "One."), ("0", 1, "Two")] and read_stored(out).responses[0].system == "base"
    assert json.loads((tmp_path / "out.jsonl.prompts.jsonl").read_text()) == {"id": "0", "prompt": "What now?"}
    assert main(["import", str(open_file), "--out", str(out)]) == 2
    assert capsys.readouterr().err.strip().endswith("out.jsonl exists and holds something else; give another --out, or delete it")


def test_lm_eval(tmp_path):
    row = {"doc_id": 3, "arguments": {"gen_args_0": {"arg_0": "Q?", "arg_1": {}}}, "resps": [["a ", "b"]], "filter": "none"}
    path = put(tmp_path, "model/samples_gsm8k_2026-01-01T00.jsonl", row, {**row, "filter": "strict"})
    found = read_stored(path)
    assert found.format == "lm-eval" and texts(found) == [("3", 0, "a"), ("3", 1, "b")]
    assert found.responses[0].task == "gsm8k" and found.prompts[0].plain == "Q?"
    scored = put(tmp_path, "samples_mmlu.jsonl", {"doc_id": 0, "resps": [[["-1.2", "False"]]]})
    with pytest.raises(InputError, match="line 1 holds log-likelihoods, not answers"):
        read_stored(scored)


LOG = {
    "version": 2, "status": "success", "eval": {"task": "quiz", "model": "openai/m"},
    "samples": [
        {"id": 1, "epoch": 1, "input": "Q?", "output": {"choices": [{"message": {"content": "a"}, "stop_reason": "stop"}]}},
        {"id": 1, "epoch": 2, "input": "Q?", "output": {"choices": [
            {"message": {"content": [{"type": "reasoning", "reasoning": "x"}, {"type": "text", "text": "b"}]},
             "stop_reason": "max_tokens"}]}},
        {"id": "z", "epoch": 1, "input": [{"role": "user", "content": "R?"}], "output": {"choices": []}, "error": {"message": "died"}},
    ],
}  # fmt: skip


def test_inspect_logs(tmp_path):
    path = put(tmp_path, "log.json", json.dumps(LOG, indent=1))
    found = read_stored(path, rules=Rules(drop_truncated=False))
    assert texts(found) == [("1", 0, "a"), ("1", 1, "b")] and found.responses[1].finish_reason == "length"
    assert found.responses[0].system == "openai/m" and [p.plain for p in found.prompts] == ["Q?", "R?"]
    assert dict(found.dropped) == {"error: the sample failed": 1}
    zipped = tmp_path / "log.eval"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("header.json", json.dumps({k: v for k, v in LOG.items() if k != "samples"}))
        for i, sample in enumerate(LOG["samples"]):
            archive.writestr(f"samples/{i}_epoch_{sample['epoch']}.json", json.dumps(sample))
    assert texts(read_stored(zipped, rules=Rules(drop_truncated=False))) == texts(found)
    zipped.write_bytes(zipped.read_bytes()[:300])
    with pytest.raises(InputError, match=r"log\.eval"):
        read_stored(zipped, "inspect")


# place in an entry's local header (in the central directory: two bytes further), and what stands there then
ZIP_FAULTS = {"encrypted": (6, 1), "patched data": (6, 0x20), "a compression of nobody": (8, 99)}


@pytest.mark.parametrize("entry", ["header.json", "samples/1.json"])
@pytest.mark.parametrize("fault", [*ZIP_FAULTS, "bytes that were changed"])
def test_a_zip_that_zipfile_will_not_read_is_a_sentence(tmp_path, entry, fault, capsys):
    path, out = tmp_path / "log.eval", tmp_path / "out.jsonl"
    sample = {"id": 1, "epoch": 1, "input": "Q?", "output": {"choices": [{"message": {"content": "an answer " * 50}}]}}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in (("header.json", {"status": "success" * 50}), ("samples/1.json", sample)):
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
    assert main(["import", str(path), "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert f"log.eval {entry} is damaged or encrypted (" in said and "copy the log again" in said and not out.exists()


@pytest.mark.parametrize("ending", ["eval", "json"])
def test_logs_that_inspect_itself_writes(tmp_path, ending):
    log = pytest.importorskip("inspect_ai.log", reason="needs inspect-ai to write a log of its own")
    model = pytest.importorskip("inspect_ai.model")
    samples = [
        log.EvalSample(
            id=i, epoch=e, input="Q?", target="", output=model.ModelOutput.from_content("mockllm/model", f"answer {i} {e}")
        )
        for i in (1, 2) for e in (1, 2)
    ]  # fmt: skip
    spec = log.EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="quiz",
        dataset=log.EvalDataset(),
        model="mockllm/model",
        config=log.EvalConfig(),
    )
    path = tmp_path / f"log.{ending}"
    log.write_eval_log(log.EvalLog(eval=spec, samples=samples, status="success"), str(path))
    found = read_stored(path)
    assert sorted(texts(found)) == [(str(i), e - 1, f"answer {i} {e}") for i in (1, 2) for e in (1, 2)]
    assert found.responses[0].system == "mockllm/model" and found.facts["task"] == "quiz"


def test_answers_that_go_on():
    text = "A summary.\n```\n\n# Answer:\n```\nThe answer.\n```\n\n# Query:\n```\nAnother?\n```"
    assert own_answer(text) == "The answer."
    assert own_answer("Plain.\n```\n\n# Query:\n```\nx\n```\n\n# Answer:\n```\ny\n```") == "Plain."
    assert own_answer("Plain.") == "Plain." and query_of("no form") == "no form"


def test_judge_outputs_know_their_answers(tmp_path):
    row = {"ok": True, "outputs": [answer("{}")]}
    path = put(tmp_path, "q/outputs/m/samples.jsonl", row, row, {"ok": False, "outputs": []}, row)
    assert [(j.prompt_id, j.sample_id) for j in read_judged(path, prompts=2)] == [("0", 0), ("0", 1), ("1", 0), ("1", 1)]
    assert read_judged(path, prompts=4)[2].content is None
    with pytest.raises(InputError, match="4 judge outputs for 3 prompts"):
        read_judged(path, prompts=3)
    put(tmp_path, "q/instances/m/data.jsonl", *({"metadata": {"instance_id": i}} for i in (5, 5, 5, 9)))
    assert [(j.prompt_id, j.sample_id) for j in read_judged(path)] == [("5", 0), ("5", 1), ("5", 2), ("9", 0)]
    rows, said = other_rows(path, "overton-judge")
    assert rows[2] == {"prompt_id": "5", "sample_id": 2, "content": None} and said == "judge outputs, ended stop 3, failed 1"


def test_bertscore_and_embeddings(tmp_path):
    stored = {
        "ref_model": "m", "alt_model": "m", "instance_ids": [0, 0], "ref_sample_ids": [0, 0], "alt_sample_ids": [0, 1],
        "ref_texts": ["a", "a"], "alt_texts": ["a", "b"],
        "results": {"precision": [1, 0.5], "recall": [1, 0.5], "f1": [1, 0.5], "hashcode": "h"},
    }  # fmt: skip
    path = put(tmp_path, "b.json", stored)
    found = read_bertscore(path)
    assert found.self_pairs.tolist() == [True, False] and found.f1[~found.self_pairs].tolist() == [0.5]
    assert other_rows(path, "bertscore")[1] == "h; 1 pairs of an answer with itself"
    for broken in ({**stored, "alt_sample_ids": [0]}, {**stored, "instance_ids": ["x", "y"]}, {**stored, "results": []}, [1]):
        with pytest.raises(InputError, match=r"b\.json"):
            read_bertscore(put(tmp_path, "b.json", broken))
    np.savez(tmp_path / "e.npz", embeddings=np.ones((2, 3), np.float32), strings=np.array(["a", "b"]), args=np.array("{}"))
    assert read_embeddings(tmp_path / "e.npz").strings == ("a", "b")
    np.savez(tmp_path / "o.npz", embeddings=np.ones((1, 2)), strings=np.array([{"an": "object"}], dtype=object))
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
        assert main(["import", str(path), "--out", str(out), "--format", format]) == 2
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("veneer: error: ") and "bad.jsonl" in last and len(last) < 600, last
    assert not out.exists()


def test_halves_of_characters_and_huge_lines(tmp_path, monkeypatch):
    path = put(tmp_path, "s.jsonl", '{"prompt": "a", "text": "x \\ud800 y"}')
    assert read_stored(path).responses[0].text == "x ? y"
    row = '{"prompt_id": "\\ud800", "text": "x", "system": "\\udfff", "task": "t\\ud800", "finish_reason": "\\ud800"}'
    (found,) = read_stored(put(tmp_path, "i.jsonl", row)).responses
    assert found.line().encode() and (found.prompt_id, found.system, found.task, found.finish_reason) == ("?", "?", "t?", "?")
    monkeypatch.setattr(json_values, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match="line 1 is longer than"):
        read_stored(put(tmp_path, "h.jsonl", {"prompt": "a", "text": "x" * 2000}), "jsonl")


@pytest.mark.parametrize("format", ["auto", "jsonl", "overton-api", "inspect", "overton-judge", "bertscore", "embeddings"])
def test_files_that_are_not_there(tmp_path, capsys, format):
    assert main(["import", str(tmp_path / "none"), "--out", str(tmp_path / "o"), "--format", format]) == 2
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "empty").write_text("")
    assert main(["import", str(tmp_path / "empty"), "--out", str(tmp_path / "o"), "--format", format]) == 2
    assert not (tmp_path / "o").exists()


def test_the_published_answers(data):
    folder = data / "overton" / "LIMA-OE"
    if not folder.is_dir():
        pytest.skip("needs the second paper's data in VENEER_DATA/overton")
    failed = read_stored(folder / "outputs/llama-2-icl-chat-5nn-prompt_similar/samples.jsonl")
    assert len(failed.responses) == 10 and failed.dropped.total() == 240
    base = read_stored(folder / "outputs/llama-2-base/samples.jsonl")
    assert base.noticed["no closing fence: mostly truncated or running on"] == 16 and base.dropped == {"empty": 1}
    prompts = read_instances(folder / "instances/data.jsonl")
    assert [p.plain for p in prompts[:3]] == [p.messages[0]["content"] for p in base.prompts[:3]]
    summary = read_stored(folder / "outputs/llama-2-icl-chat-summary-cot/samples.jsonl", rules=Rules(answer_only=True))
    assert not any("# Query:" in r.text or "# Answer:" in r.text for r in summary.responses)


def test_reasoning_is_taken_out_of_stored_answers(tmp_path):
    rows = [
        {"prompt_id": "a", "text": "<think>\nso\n</think>\n\nYes."},
        {"prompt_id": "b", "text": "No.", "reasoning": "so"},
        {"prompt_id": "c", "text": "No.", "reasoning_content": "so"},
        {"prompt_id": "d", "text": "<think>\nso"},
        {"prompt_id": "e", "text": "Use <think> tags."},
    ]
    found = read_stored(put(tmp_path, "a.jsonl", *rows), "jsonl")
    assert [(r.prompt_id, r.reasoning, r.text) for r in found.responses] == [
        ("a", "so", "Yes."), ("b", "so", "No."), ("c", "so", "No."), ("e", None, "Use <think> tags."),
    ]  # fmt: skip
    assert found.dropped == {"unfinished: reasoning and no answer": 1}
    assert found.noticed == {"reasoning taken out of the answer's text": 2}
    kept = read_stored(put(tmp_path, "a.jsonl", *rows), "jsonl", AS_STORED)
    assert [r.unfinished for r in kept.responses] == [False, False, False, True, False]
