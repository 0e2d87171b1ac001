"""Every parser of what others wrote, as a function of bytes: it returns for a value and for an
InputError, and raises for anything else.

Used by test_fuzz.py (hypothesis) and benchmarks/fuzz.py (atheris).
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from veneer.capture.integrity import check_manifest
from veneer.endpoint.adjust import Adjustments
from veneer.endpoint.cache import Cache
from veneer.endpoint.events import whole
from veneer.endpoint.failure import Failure, of_error, of_status
from veneer.endpoint.reply import read_reply
from veneer.endpoint.words import read_body
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import json_lines, read_json, read_json_lines
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.imports.registry import READERS, read_stored
from veneer.judges.rubrics.reading import Unreadable, choice, field, parse_object, scale, yes_no
from veneer.models.formats import format_from_facts
from veneer.prompts.files import read_prompts
from veneer.report.load import load
from veneer.studies.overton.viewpoints import read_viewpoints
from veneer.systems.partial_file import PartialFile
from veneer.systems.responses import read_responses
from veneer.systems.stamp import Stamp
from veneer.tasks.custom import CustomTask, is_task_file

AT = Path(tempfile.mkdtemp(prefix="veneer-fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = AT / name
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


def _prompts(ending: str, **how) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        for prompt in read_prompts(str(_file(f"prompts.{ending}", data)), **how):
            # whole characters
            assert prompt.plain.encode() and prompt.id.encode() is not None and prompt.messages

    return read


def _reply(data: bytes) -> None:
    try:
        value = parse_object(data.decode("utf-8", "replace"))
        for name in list(value)[:4]:
            for read in (scale, yes_no, lambda v: choice(v, ("Yes", "No"))):
                with contextlib.suppress(Unreadable):
                    read(field(value, name.strip().lower()))
    except Unreadable:
        pass


def _endpoint(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        reply = read_reply(value)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        Failure,
    ):  # what the client takes for an answer in another form, or for none
        return
    json_lines([reply]).encode()


def _endpoint_error(data: bytes) -> None:
    body = read_body(data)
    for failure in (of_status(400, {}, body), of_status(500, {}, body), of_error(body)):
        if failure is not None:
            Adjustments().learn(
                {
                    "seed": 1,
                    "max_tokens": 2,
                    "temperature": 0,
                    "logprobs": True,
                    "top_logprobs": 20,
                },
                failure,
            )
            assert failure.message.isprintable() and len(failure.message) < 400


def _endpoint_stream(data: bytes) -> None:
    try:
        value = whole(data)
    except ValueError:
        return
    _endpoint(json.dumps(value).encode())


def _manifest(data: bytes) -> None:
    path = _file("manifest.json", data)
    value = read_json(path, "a manifest")
    if isinstance(value, dict):
        check_manifest(AT, value)


def _marker(data: bytes) -> None:
    from veneer.capture.shards import check_shard

    _file("shard-00000.json", data)
    check_shard(
        AT, 0, {"plan": [[[0]]], "head": {"rows": 4, "width": 4, "scale": 1.0, "softcap": None}}
    )


def _study(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        folder = AT / "study"
        folder.mkdir(exist_ok=True)
        (folder / "results.jsonl").write_bytes(ROW)
        for other in ("shifts.jsonl", "tokens.jsonl", "deep_examples.jsonl", "run.json"):
            (folder / other).unlink(missing_ok=True)
        (folder / name).write_bytes(data)
        load(folder)

    return read


def _veneer(data: bytes) -> None:
    folder = AT / "veneer"
    folder.mkdir(exist_ok=True)
    (folder / "veneer.json").write_bytes(data)
    Veneer.load(folder)


def _format(data: bytes) -> None:
    format_from_facts(read_json(_file("format.json", data), "a format"))


def _own(data: bytes) -> None:
    path = _file("own.jsonl", data)
    is_task_file(path)
    task = CustomTask.read(path)
    for prompt in task.prompts("test")[:3]:
        prompt.plain.encode()
        if task.kind == "generate":
            task.score(prompt, "The answer is 7, and A.")


def _part(data: bytes) -> None:
    part = PartialFile(_file("answers.jsonl.part", data), Stamp("stamp"), [[0, 1], [2]])
    part.close(remove=False)


def _import(kind: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        replies = read_stored(
            _file("stored.eval" if kind == "inspect" else "stored.jsonl", data), kind
        )
        for response in replies.responses:
            response.line().encode()

    return read


def _alpha(data: bytes) -> None:
    from veneer.systems.alpha import Alpha

    alpha = Alpha.parse(data.decode("utf-8", "replace"))
    assert Alpha.parse(str(alpha)) == alpha and all(
        alpha.at(n) == alpha.at(n) for n in (1, 2, 10, 10**6)
    )


def _cache(data: bytes) -> None:
    Cache(_file("replies.jsonl", data)).put("key", {"text": "a"})


def _lines(data: bytes) -> None:
    for _ in read_json_lines(_file("lines.jsonl", data), "lines"):
        pass


READ: dict[str, Callable[[bytes], object]] = {
    "prompts jsonl": _prompts("jsonl"),
    "prompts txt": _prompts("txt"),
    "prompts csv": _prompts("csv"),
    "prompts tsv": _prompts("tsv"),
    "prompts parquet": _prompts("parquet"),
    "judge reply": _reply,
    "endpoint reply": _endpoint,
    "endpoint error": _endpoint_error,
    "endpoint stream": _endpoint_stream,
    "manifest": _manifest,
    "marker": _marker,
    "results": lambda d: Results.read(_file("results.jsonl", d)),
    "study results": _study("results.jsonl"),
    "study shifts": _study("shifts.jsonl"),
    "study tokens": _study("tokens.jsonl"),
    "study deep": _study("deep_examples.jsonl"),
    "study run": _study("run.json"),
    "responses": lambda d: read_responses(_file("r.jsonl", d)),
    "unfinished answers": _part,
    "custom task": _own,
    "viewpoints": lambda d: read_viewpoints(_file("v.jsonl", d)),
    "veneer config": _veneer,
    "format": _format,
    "alpha": _alpha,
    "cache": _cache,
    "lines": _lines,
    **{f"import {k}": _import(k) for k in ("auto", *READERS)},
}


def guarded(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Raises for anything but a value and an InputError in one line (a VeneerError that a cache has
    to be written is one too)."""

    def run(data: bytes) -> None:
        try:
            read(data)
        except InputError as error:
            assert "\n" not in str(error).replace(str(AT), "") or len(str(error)) < 2000
        except VeneerError as error:
            raise AssertionError(f"exit 1 for bad input: {error}") from error

    return run


TARGETS = {name: guarded(read) for name, read in READ.items()}
ROW = (
    b'{"study": "measure", "task": "t", "metric": "accuracy", "system": "base", "value": 0.5, '
    b'"n": 4, "low": 0.1, "high": 0.9, "judge": null, "of": null, "split": "test", "position": '
    b'[1, 2], "unit": "share", "note": null}\n'
)
SEEDS: dict[str, list[bytes]] = {
    "prompts jsonl": [
        b'{"id": "a", "prompt": "b"}\n{"messages": [{"role": "user", "content": "c"}]}\n'
    ],
    "prompts csv": [b'id,prompt\n1,"a, b"\n2,c\n'],
    "prompts tsv": [b"prompt\tx\na\tb\n"],
    "judge reply": [b'<think>x</think>```json\n{"score": 4, "Reason": "a", "b": "yes"}\n```'],
    "endpoint reply": [
        (
            b'{"choices": [{"message": {"content": "a", "refusal": null}, "finish_reason": '
            b'"stop"}], "usage": {"prompt_tokens": 1}}'
        )
    ],
    "endpoint error": [
        (
            b'[{"error": {"code": 400, "message": "Unknown name \\"seed\\"", "details": '
            b'[{"retryDelay": "3s"}]}}]'
        )
    ],
    "endpoint stream": [
        (
            b'data: {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": '
            b'"stop"}]}\n\ndata: [DONE]\n\n'
        )
    ],
    "manifest": [
        (
            b'{"kind": "capture", "schema": 1, "plan": [[[0, 1]]], "head": {"scale": 1, '
            b'"softcap": null, "rows": 4, "width": 2}}'
        )
    ],
    "marker": [
        b'{"tokens": 3, "prompts": 1, "sha256": "a", "responses_sha256": "b", "capture": "c"}'
    ],
    "results": [ROW],
    "study results": [ROW],
    "study shifts": [
        (
            b'{"base": "a", "veneer": "b", "aligned": "b", "count": 3, "shift": "shifted", '
            b'"restored": true}'
        )
    ],
    "study tokens": [
        b'{"prompt_id": "a", "task": "t", "prompt": "p", "system": "base", "text": "x", '
        b'"finish_reason": "stop", "tokens": ["x"], "kl_base": [0.1], "kl_veneer": [0.1], '
        b'"shift": ["shifted"], "top": {"base": [[["x", 0.5]]]}, "scores": {"a": 1}}'
    ],
    "study deep": [
        (
            b'{"prompt_id": "a", "task": "t", "context": "c", "base": "1", "veneer": "1", '
            b'"aligned": "2", "position": 3, "next": "2"}'
        )
    ],
    "responses": [
        (
            b'{"prompt_id": "a", "sample_id": 0, "system": "s", "task": "t", "text": "x", '
            b'"token_ids": [1], "finish_reason": "stop", "seed": 0}'
        )
    ],
    "unfinished answers": [
        b'{"settings": "stamp"}\n{"batch": 0, "responses": {"0": {"prompt_id": "a", "sample_id": '
        b'0, "system": "s", "task": "t", "text": "x", "token_ids": [1], "finish_reason": "stop", '
        b'"seed": 0}}}\n'
    ],
    "custom task": [
        b'{"task": {"name": "a", "scorer": "regex", "pattern": "a+"}}\n{"prompt": "b", "id": 3}\n',
        (
            b'{"task": {"name": "a", "scorer": "choice"}}\n'
            b'{"prompt": "b", "choices": ["x", "y"], "answer": 1}\n'
        ),
        b'{"task": {"name": "a", "scorer": "number"}}\n{"prompt": "b", "answer": 7}\n',
    ],
    "viewpoints": [
        b'{"question": "q", "viewpoints": [{"id": 1, "statement": "s", "weight": 2.5}]}'
    ],
    "veneer config": [
        (
            b'{"kind": "veneer", "schema": 1, "unembedding": "a", "vocabulary": 4, "width": 2, '
            b'"sha256": "b", "stop_ids": [1]}'
        )
    ],
    "format": [b'{"kind": "plain", "template": "{prompt}"}', b'{"kind": "chat", "system": null}'],
    "alpha": [b"1", b"1.5@10", b"1.5>0.2@10", b"1.5~8"],
    "cache": [b'{"kind": "veneer-replies-v1"}\n{"key": "a", "reply": {"text": "b"}}\n'],
    "import jsonl": [
        (
            b'{"prompt_id": "a", "text": "b", "sample_id": 0}\n'
            b'{"prompt": "q", "responses": ["c", null]}\n'
        )
    ],
    "import lm-eval": [
        (
            b'{"doc_id": 1, "arguments": {"gen_args_0": {"arg_0": "p"}}, "resps": [["a"]], '
            b'"filter": "none"}'
        )
    ],
    "import inspect": [
        b'{"eval": {"model": "m", "task": "t"}, "samples": [{"id": 1, "epoch": 1, "input": "q", '
        b'"output": {"choices": [{"message": {"content": "a"}, "stop_reason": "stop"}]}}]}'
    ],
    "import overton-open": [b'{"prompt": "a", "outputs": [{"generated_text": "b"}]}'],
    "import overton-api": [
        b'{"ok": true, "outputs": [{"message": {"content": "a"}, "finish_reason": "stop"}]}'
    ],
}
SEEDS["import auto"] = [
    s for name, some in SEEDS.items() if name.startswith("import ") for s in some
]
