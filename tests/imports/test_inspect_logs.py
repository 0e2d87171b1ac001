"""Answers in the logs of inspect-ai, as JSON and as zip archives."""

from __future__ import annotations

import json
import zipfile

import pytest
from stored_files import put, run_import, texts

from veneer.foundation.errors import InputError
from veneer.imports import Rules, read_stored
from veneer.imports.inspect_logs import FALLBACK

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


@pytest.mark.parametrize("ending", ["eval", "json"])
def test_answers_that_inspect_or_a_person_marked(tmp_path, ending):
    """An error of the model's reply, and an invalid sample, are dropped whatever text they hold; a
    moderated answer stays."""
    log = pytest.importorskip("inspect_ai.log", reason="needs inspect-ai to write a log of its own")
    model = pytest.importorskip("inspect_ai.model")
    output = model.ModelOutput.from_content
    outputs = {
        "whole": output("m", "whole"),
        "half": output("m", "half an ans", error="connection lost"),
        "kept": output("m", "I cannot.", stop_reason="content_filter", error="moderated"),
        "changed": output("m", "as the model wrote"),
        "invalid": output("m", "of a broken sandbox"),
    }
    outputs["changed"].completion = "42"
    samples = [
        log.EvalSample(id=id, epoch=1, input=f"{id}?", target="", output=value)
        for id, value in outputs.items()
    ]
    written = log.EvalLog(
        status="cancelled",
        eval=log.EvalSpec(
            created="2026-01-01T00:00:00+00:00",
            task="quiz",
            model="m",
            dataset=log.EvalDataset(),
            config=log.EvalConfig(),
        ),
        samples=samples,
    )
    samples[-1].invalidation = log.ProvenanceData(author="a", reason="r")
    path = tmp_path / f"log.{ending}"
    log.write_eval_log(written, str(path))
    stored = read_stored(path)
    assert sorted(texts(stored)) == [
        ("changed", 0, "as the model wrote"),
        ("kept", 0, "I cannot."),
        ("whole", 0, "whole"),
    ]
    assert dict(stored.dropped) == {
        "error: the answer broke off": 1,
        "marked as invalid in the log": 1,
    }
    noticed = " ".join(stored.noticed)
    assert "did not finish (status 'cancelled')" in noticed and "another completion" in noticed


def test_samples_in_parts_are_refused(tmp_path):
    """As inspect-ai's converter writes them: one log may hold samples of both forms."""
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps({"eval": {"model": "m"}, "status": "success"}))
        archive.writestr("samples/a_epoch_1/sample.json", json.dumps({"version": 1}))
        archive.writestr("samples/a_epoch_1/messages/0.json", json.dumps([]))
        archive.writestr("samples/b_epoch_1.json", json.dumps({"id": "b", "input": "Q?"}))
    with pytest.raises(InputError, match="holds samples in parts"):
        read_stored(path)


def test_an_answer_of_a_fallback_is_counted(tmp_path):
    choice = {"message": {"role": "assistant", "content": "a"}, "stop_reason": "stop"}
    output = {"choices": [choice], "fallback": {"model": "m", "fallback_model": "other"}}
    log = {"eval": {"model": "m"}, "samples": [{"id": 1, "input": "Q?", "output": output}]}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log), encoding="utf-8")
    assert dict(read_stored(path).noticed) == {FALLBACK: 1}


def test_a_log_of_a_killed_evaluation(tmp_path):
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": LOG["eval"]}))
        archive.writestr("samples/1_epoch_1.json", json.dumps(LOG["samples"][0]))
    stored = read_stored(path)
    assert texts(stored) == [("1", 0, "a")] and "(status 'started')" in " ".join(stored.noticed)


@pytest.mark.parametrize(
    ("name", "entry", "advice"),
    [("a.xlsx", "xl/workbook.xml", "save it as CSV"), ("a.zip", "a.jsonl", "unpack it")],
)
def test_a_zip_that_is_no_log_is_what_it_is(tmp_path, name, entry, advice, capsys):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr(entry, "")
    assert run_import(tmp_path / name, tmp_path / "out.jsonl") == 2
    assert advice in capsys.readouterr().err
