"""Prompt files: JSONL, text, CSV, Parquet and hub data sets, read into prompts. Every error names the file and the
line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from veneer.errors import InputError, MissingExtra
from veneer.files import read_json_lines
from veneer.prompts import Prompt

ROLES = ("system", "user", "assistant")
FORMATS = 'JSON lines with {"prompt"} or {"messages"}'
Row = tuple[str, Any]  # where it stands ("FILE line 3"), what stands there


def read_prompts(
    source: str, *, base_template: str | None = None, column: str | None = None, limit: int | None = None
) -> list[Prompt]:
    """Read a prompt file.

    .jsonl (and any other ending): an object a line with "prompt" (text) or "messages" (chat turns), and "id" if
    wanted. .txt: a prompt a line, empty lines left out. .csv, .tsv, .parquet: the text in `column`.
    hf://OWNER/NAME[:SPLIT], or a local folder of data files: a data set through the package `datasets`, the text in
    `column`.

    An id is the row's own, otherwise its number from 0. The aligned model reads the prompt as one user message, or
    the messages as they are. The base reads the raw text: of messages, the content of a single user message,
    otherwise `transcript`; with `base_template` that text in place of {prompt}. Raises InputError for anything else
    than a list of prompts with unique ids.
    """
    if base_template is not None and "{prompt}" not in base_template:
        raise InputError(f"the base template {base_template!r} has no {{prompt}}; put {{prompt}} where the prompt goes")
    path = Path(source)
    if not source.startswith("hf://") and not path.exists():
        raise InputError(f"{source} does not exist; expected a prompt file: {FORMATS}, .txt, .csv or .parquet")
    rows = _reader(source)(source, column)
    prompts: list[Prompt] = []
    seen: dict[str, str] = {}
    for number, (where, row) in enumerate(rows):
        if limit is not None and len(prompts) >= limit:
            break
        prompt = _prompt(where, number, row, base_template)
        if prompt.id in seen:
            raise InputError(f"{where} has the id {prompt.id!r}, as has {seen[prompt.id]}; give each prompt its own id")
        seen[prompt.id] = where
        prompts.append(prompt)
    if not prompts:
        raise InputError(f"{source} holds no prompts; expected at least one")
    return prompts


def transcript(messages: Iterable[dict[str, str]]) -> str:
    """Chat turns as plain text for a base model: "User: ...", "Assistant: ..." in turn, a system text first without a
    label, and "Assistant:" at the end, where the base goes on."""
    turns = [m["content"] if m["role"] == "system" else f"{m['role'].capitalize()}: {m['content']}" for m in messages]
    return "\n\n".join([*turns, "Assistant:"])


def _reader(source: str) -> Callable[[str, str | None], Iterator[Row]]:
    if source.startswith("hf://") or Path(source).is_dir():
        return _data_set
    return {".txt": _text, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet}.get(Path(source).suffix.lower(), _jsonl)


def _prompt(where: str, number: int, row: Any, template: str | None) -> Prompt:
    id, value = str(number), row
    if isinstance(row, dict):
        if isinstance(row.get("id"), str | int) and not isinstance(row["id"], bool):
            id = str(row["id"])
        elif "id" in row:
            raise InputError(f"{where} has the id {row['id']!r}; expected a text or a whole number")
        value = row.get("prompt", row.get("messages"))
    if isinstance(value, str):
        if not value.strip():
            raise InputError(f"{where} holds an empty prompt; expected some text, or leave the line out")
        messages: tuple[dict[str, str], ...] = ({"role": "user", "content": value},)
    elif isinstance(value, list):
        messages = _messages(where, value)
    else:
        found = "no prompt" if value is None else f"a prompt that is no text ({type(value).__name__})"
        raise InputError(f'{where} has {found}; expected {{"prompt": text}} or {{"messages": [chat turns]}}')
    for text in (id, *(m["content"] for m in messages)):
        if not _is_text(text):
            raise InputError(f"{where} holds half of a character (a lone surrogate); expected valid Unicode")
    alone = len(messages) == 1 and messages[0]["role"] == "user"
    plain = messages[0]["content"] if alone else transcript(messages)
    return Prompt(id, messages, plain if template is None else template.replace("{prompt}", plain))


def _messages(where: str, turns: list[Any]) -> tuple[dict[str, str], ...]:
    out = []
    for number, turn in enumerate(turns, 1):
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (None, None)
        if role not in ROLES or not isinstance(content, str) or not content.strip():
            expected = f'{{"role": one of {", ".join(ROLES)}, "content": text}}'
            raise InputError(f"{where}, message {number}, is no chat turn; expected {expected}")
        out.append({"role": role, "content": content})
    if not out or out[-1]["role"] != "user":
        found = f"ends with the turn of {out[-1]['role']}" if out else "has no messages"
        raise InputError(f"{where} {found}; expected a last message of the user, which the models answer")
    return tuple(out)


def _jsonl(source: str, column: str | None) -> Iterator[Row]:
    if column is not None:
        raise InputError(f"{source} is read as JSON lines, which have no --column; leave it out")
    for number, row in read_json_lines(Path(source), FORMATS):
        if not isinstance(row, dict):
            raise InputError(f"{source} line {number} is no JSON object; expected {FORMATS}")
        yield f"{source} line {number}", row


def _text(source: str, column: str | None) -> Iterator[Row]:
    if column is not None:
        raise InputError(f"{source} is read as text, which has no --column; leave it out")
    for number, line in enumerate(_decode(source).split("\n"), 1):
        if line.strip():
            yield f"{source} line {number}", line.rstrip("\r")


def _csv(source: str, column: str | None) -> Iterator[Row]:
    delimiter = "\t" if source.lower().endswith(".tsv") else ","
    rows = csv.DictReader(_decode(source).splitlines(keepends=True), delimiter=delimiter)
    try:
        name = _column(source, column, rows.fieldnames or [])
        for row in rows:
            yield f"{source} line {rows.line_num}", _cell(row[name])
    except csv.Error as error:
        raise InputError(f"{source} line {rows.line_num} is no CSV ({error}); expected a table with a header") from None


def _parquet(source: str, column: str | None) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        name = _column(source, column, pq.read_schema(source).names)
        values = pq.read_table(source, columns=[name]).column(name).to_pylist()
    except (
        OSError,
        ValueError,
        OverflowError,
        pa.ArrowException,
    ) as error:  # ValueError: bytes that are no text, years that are none
        said = str(error).partition(". ")[0]
        raise InputError(f"{source} cannot be read as Parquet ({said}); expected a Parquet table; make it again") from None
    for number, value in enumerate(values, 1):
        yield f"{source} row {number}", _cell(value)


def _data_set(source: str, column: str | None) -> Iterator[Row]:
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "datasets", "reading a data set") from None
    name, _, split = source.removeprefix("hf://").partition(":") if source.startswith("hf://") else (source, "", "")
    try:
        rows = datasets.load_dataset(name, split=split or "train")
    except Exception as error:  # the library raises many kinds: no network, no such set, no such split, no data files
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"the data set {source} cannot be read ({said}); check its name and split, or give a file") from None
    wanted = _column(source, column, rows.column_names)
    for number, value in enumerate(rows[wanted], 1):
        yield f"{source} row {number}", _cell(value)


def _column(source: str, column: str | None, columns: Iterable[str]) -> str:
    """The column asked for; without one, "prompt", "messages" or the only one."""
    names = list(columns)
    if column is not None and column in names:
        return column
    if column is None:
        likely = [n for n in ("prompt", "messages") if n in names] or (names if len(names) == 1 else [])
        if likely:
            return likely[0]
    asked = "no --column is given" if column is None else f"there is no column {column!r}"
    raise InputError(f"{source}: {asked}; its columns are {', '.join(names) or 'none'}; give one of them with --column")


def _cell(value: Any) -> Any:
    """A table's cell as a prompt: text or messages; an empty cell is an empty prompt."""
    return "" if value is None else value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode(source: str) -> str:
    try:
        return Path(source).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read as UTF-8 text ({error}); save it as UTF-8") from None
