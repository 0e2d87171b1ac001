"""Logs of inspect-ai: the JSON form, and the .eval form (a zip of JSON files)."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.reading.content import read_bytes, stem
from veneer.foundation.reading.turns import Turns, chat_turns, of_user
from veneer.imports.choices import of_parts, put_choice
from veneer.imports.imported import BROKEN, Imported, Rules
from veneer.imports.rows import an_object, get, parsed

EXPECTED = 'an inspect-ai log: {"eval": ..., "samples": [{"id", "epoch", "input", "output"}]}'
MORE = "the model read other messages than the sample's input (a solver's system text or template)"
FALLBACK = "another model answered in place of the one that was asked (a fallback)"
REWRITTEN = "a solver wrote another completion for the scorer; the model's own answer is read"
HEADERS = ("header.json", "_journal/start.json")  # the second alone: the evaluation was killed
PARTED = "/sample.json"  # ends the name of the entry with what is left of a sample in parts
LONGEST = 512 * 2**20  # bytes of one JSON file
ZSTANDARD = 93  # zip's number of a compression that Python reads from 3.14 on
# What zipfile raises for an entry that is damaged, encrypted, or in a form that it does not know;
# the last two are kinds of RuntimeError.
UNREADABLE = (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError)


def read_inspect(path: Path, rules: Rules | None = None) -> Imported:
    """Read a log. Epochs of a sample are its samples. A sample that failed, or that ends with a
    call of a tool, is an error and is dropped."""
    imported = Imported(str(path), "inspect", rules or Rules())
    header, samples = _eval_zip(path) if zipfile.is_zipfile(path) else _json(path)
    facts = header.get("eval") if isinstance(header.get("eval"), dict) else {}
    name = _text(facts, "model") or stem(path)
    task = _text(facts, "task") or "prompts"
    imported.facts = {
        "model": _text(facts, "model"),
        "task": _text(facts, "task"),
        "status": _text(header, "status"),
    }
    count = 0
    for where, sample in samples:
        count += 1
        id = str(get(sample, "id", (int, str), where, EXPECTED))
        epoch = get(sample, "epoch", int, where, EXPECTED) if "epoch" in sample else 1
        turns = _input(sample.get("input"), where)
        imported.put_prompt(id, turns, where, task=task)
        output = sample.get("output")
        choices = output.get("choices") if isinstance(output, dict) else None
        if why := _no_answer(sample, output, choices):
            imported.dropped[why] += 1
            continue
        assert isinstance(output, dict) and isinstance(choices, list)
        if _read_more(sample.get("messages"), turns):
            imported.noticed[MORE] += 1
        if output.get("fallback"):
            imported.noticed[FALLBACK] += len(choices)
        if _rewritten(output, choices):
            imported.noticed[REWRITTEN] += 1
        for number, value in enumerate(choices):
            choice = an_object(value, where, EXPECTED)
            put_choice(
                imported,
                id,
                (epoch - 1) * len(choices) + number,
                name,
                _choice(an_object(choice.get("message"), where, EXPECTED)),
                choice.get("stop_reason"),
                where,
                task=task,
            )
    status = imported.facts["status"]
    if status not in (None, "success") and imported.responses:
        why = f"the evaluation did not finish (status {status!r}); others may be missing"
        imported.noticed[why] = len(imported.responses)
    if not count:
        raise InputError(
            f"{path} holds no samples; expected {EXPECTED}; was the evaluation finished?"
        )
    return imported


def _no_answer(sample: dict[str, Any], output: Any, choices: Any) -> str | None:
    """Return why a sample has no answer that counts; None where it has one."""
    if sample.get("error"):
        return "error: the sample failed"
    if sample.get("invalidation"):
        return "marked as invalid in the log"
    if not isinstance(choices, list) or not choices:
        return "error: no output"
    refused = any(isinstance(c, dict) and c.get("stop_reason") == "content_filter" for c in choices)
    return BROKEN if output.get("error") and not refused else None


def holds_log(path: Path) -> bool:
    """Return whether a file is a zip with the header of a log, in whole or as it begins."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name in archive.namelist() for name in HEADERS)
    except UNREADABLE:
        return True  # the reader says what is wrong with it


def _json(path: Path) -> tuple[dict[str, Any], Iterator[tuple[str, dict[str, Any]]]]:
    try:
        if path.stat().st_size > LONGEST:
            raise InputError(
                f"{path} is larger than {LONGEST >> 20} MiB; give the .eval form, which is read "
                "sample by sample"
            )
        log = an_object(
            parsed(read_bytes(path, EXPECTED), str(path), EXPECTED), str(path), EXPECTED
        )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected {EXPECTED}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected {EXPECTED}") from None
    rows = get(log, "samples", list, str(path), EXPECTED) if log.get("samples") is not None else []
    return log, (
        (f"{path} sample {n}", an_object(row, f"{path} sample {n}", EXPECTED))
        for n, row in enumerate(rows)
    )


def _eval_zip(path: Path) -> tuple[dict[str, Any], Iterator[tuple[str, dict[str, Any]]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if any(n.endswith(PARTED) for n in archive.namelist()):
                raise InputError(
                    f"{path} holds samples in parts (messages and events in files of their own), "
                    f"which Veneer does not read; expected {EXPECTED}: give the log as inspect-ai "
                    "wrote it first, or as JSON (inspect log dump)"
                )
            if not hasattr(zipfile, "ZIP_ZSTANDARD") and any(
                e.compress_type == ZSTANDARD for e in archive.infolist()
            ):
                return _by_package(path)
            names = sorted(
                n for n in archive.namelist() if n.startswith("samples/") and n.endswith(".json")
            )
            start = next((n for n in HEADERS if n in archive.namelist()), None)
            if start is None:
                raise InputError(
                    f"{path} is a zip without header.json; expected {EXPECTED}, in the .eval form"
                )
            header = {"status": "started", **_entry(archive, start, path)}
    except UNREADABLE as error:
        raise InputError(
            f"{path} is a damaged zip ({error}); expected {EXPECTED}; copy it again"
        ) from None
    return header, _entries(path, names)


def _entries(path: Path, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with zipfile.ZipFile(path) as archive:
        for name in names:
            yield f"{path} {name}", _entry(archive, name, path)


def _entry(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    if archive.getinfo(name).file_size > LONGEST:
        raise InputError(f"{path} {name} is larger than {LONGEST >> 20} MiB; expected {EXPECTED}")
    try:
        data = archive.read(name)
    except UNREADABLE as error:
        raise InputError(
            f"{path} {name} is damaged or encrypted ({error}); copy the log again"
        ) from None
    return an_object(parsed(data, f"{path} {name}", EXPECTED), f"{path} {name}", EXPECTED)


def _by_package(path: Path) -> tuple[dict[str, Any], Iterator[tuple[str, dict[str, Any]]]]:
    """Read a log through inspect-ai: newer logs are compressed in a way that Python before 3.14
    cannot read."""
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_samples
    except ImportError:
        raise MissingExtra(
            "inspect-ai", "inspect", f"reading {path.name}, which is compressed with zstd,"
        ) from None
    try:
        header = read_eval_log(str(path), header_only=True)
    except Exception as error:  # whatever the package raises for a damaged file
        raise InputError(
            f"{path} cannot be read ({str(error)[:160]}); expected {EXPECTED}"
        ) from None

    def samples() -> Iterator[tuple[str, dict[str, Any]]]:
        n = 0
        try:
            for n, sample in enumerate(
                read_eval_log_samples(str(path), all_samples_required=False)
            ):
                yield f"{path} sample {n}", sample.model_dump(mode="json")
        except Exception as error:
            raise InputError(
                f"{path} cannot be read behind sample {n} ({str(error)[:160]}); copy the log again"
            ) from None

    return header.model_dump(mode="json"), samples()


def _input(value: Any, where: str) -> Turns:
    """Return the prompt: a text, or the messages that the sample begins with. Raises InputError for
    one that holds more than text: an answer to it cannot be matched, since a log counts its own
    samples."""
    if isinstance(value, list):
        return of_user(where, chat_turns(where, value))
    if not isinstance(value, str) or not value:
        raise InputError(f"{where} has no input that is a text; expected {EXPECTED}")
    return ({"role": "user", "content": value},)


def _read_more(messages: Any, turns: Turns) -> bool:
    """Return whether a sample's messages, up to the answer, are not its input: a solver put a
    system text in front, a template around it, or held a longer talk."""
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        return False
    last = messages[-1:] if messages[-1:] and messages[-1].get("role") == "assistant" else []
    before = messages[: len(messages) - len(last)]
    texts = [_text_of(m.get("content")) for m in before]
    return bool(before) and texts != [t["content"] for t in turns]


def _rewritten(output: dict[str, Any], choices: list[Any]) -> bool:
    """Return whether the completion, which scorers read, is not the text of the first choice."""
    completion = output.get("completion")
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(completion, str) or not isinstance(content, str):
        return False
    return completion.strip() not in ("", content.strip())


def _text_of(content: Any) -> Any:
    """Return the texts of a content as a prompt's are joined."""
    if not isinstance(content, list):
        return content
    return "\n".join(str(p.get("text")) for p in content if isinstance(p, dict))


def _choice(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as a choice; of a list of parts, those that are no images."""
    content = message.get("content")
    if isinstance(content, list):
        return {"message": {**message, **of_parts(content)["message"]}}
    return {"message": message}


def _text(facts: Any, key: str) -> str | None:
    value = facts.get(key) if isinstance(facts, dict) else None
    return value if isinstance(value, str) else None
