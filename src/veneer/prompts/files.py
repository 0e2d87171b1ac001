"""Read prompt files (docs/files.md) and data sets of the hub. Every error names the file and the
line."""

from __future__ import annotations

import ast
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.reading import ENDINGS, Rows, as_id, open_rows
from veneer.foundation.reading.content import check_regular, ending
from veneer.foundation.reading.decode import warn_of_damage
from veneer.foundation.reading.turns import (
    SYSTEM,
    chat_turns,
    of_user,
    stored_chat,
    up_to_user,
    with_system,
)
from veneer.prompts.batch_requests import as_prompt_row, is_request
from veneer.prompts.prompt import PLACE, Prompt, transcript
from veneer.prompts.templates import wrapped

FORMATS = 'JSON lines with {"prompt"} or {"messages"}'
# keys whose value is the prompt, in the order in which they are taken; every other key
# has to be named
TEXT, CHATS = "prompt", ("messages", "conversations", "conversation")
TRAINING = ("conversations", "conversation")  # ShareGPT's: they end with the answer to be learnt
# what belongs to a prompt and stands beside it -> beside which key that somebody names
# (None: beside any)
BESIDE = {
    "input": "instruction",
    "context": "instruction",
    **dict.fromkeys(SYSTEM),
    "tools": None,
    "functions": None,
}
NOTHING = ("", "[]", "{}", "null")  # how tables write that a row has none of them
ANSWER_START = "target"  # the beginning of an answer that complies, which can be forced
LAST_LEFT = "conversations end with the assistant's turn: the prompt is what stands before it"

# keys that may hold a part of the prompt, and as often a fact about it
PERHAPS_PROMPT = ("context", "input", "passage", "document", "history")
NOT_READ = (
    f"rows have a text under one of {', '.join(PERHAPS_PROMPT)} beside the prompt, which no model "
    "reads; where it belongs to the prompt, write the two as one text"
)
BYTES_READ = "texts are written as Python's bytes (b'...') and are read as the text in them"
ANSWER_READ = (
    "texts are a whole talk (Human: ... Assistant: ...), whose last answer is read as a part of "
    "the prompt"
)


def read_prompts(
    source: str,
    *,
    base_template: str | None = None,
    column: str | None = None,
    limit: int | None = None,
) -> list[Prompt]:
    """Read a prompt file (docs/files.md).

    .jsonl, .json: objects with "prompt" (text or chat turns), "messages" or "conversations" (chat
    turns), and "id" if wanted. .csv, .tsv, .parquet, .arrow: the same as columns. .txt: one prompt
    per line, empty lines left out. hf://OWNER/NAME[:SPLIT], or a local folder of data files: a data
    set through the package `datasets`. column: the key or column that holds the prompt, where it is
    none of these. A row's "target" (the beginning of an answer that complies, which can be forced)
    stands in the prompt's reference.

    An id is the row's own, otherwise its number from 0. The aligned model reads the prompt as one
    user message, or the messages as they are. The base reads the raw text: of messages, the content
    of a single user message, otherwise `transcript`; with `base_template` that text in place of
    {prompt}. Raises InputError for anything else than a list of prompts with unique ids.
    """
    if base_template is not None and "{prompt}" not in base_template:
        raise InputError(
            f"the base template {base_template!r} has no {{prompt}}; put {{prompt}} where "
            "the prompt goes"
        )
    path = Path(source)
    if not source.startswith("hf://") and not path.exists():
        raise InputError(
            f"{source} does not exist; expected a prompt file: {FORMATS}; its ending is {ENDINGS}"
        )
    prompts: list[Prompt] = []
    seen: dict[str, str] = {}
    notices: Counter[str] = Counter()
    rows, key = _rows(source, column)
    for number, (where, row) in enumerate(rows):
        if limit is not None and len(prompts) >= limit:
            break
        prompt = prompt_of_row(where, number, row, key, base_template, notices)
        if prompt.id in seen:
            raise InputError(
                f"{where} has the id {prompt.id!r}, as has {seen[prompt.id]}; give each "
                "prompt its own id"
            )
        seen[prompt.id] = where
        prompts.append(prompt)
    if not prompts:
        raise InputError(f"{source} holds no prompts; expected at least one")
    for what, count in (+notices).items():
        logging.getLogger("veneer").warning("veneer: %s: %d %s", source, count, what)
    warn_of_damage([p.plain for p in prompts], source)
    return prompts


def _rows(source: str, column: str | None) -> tuple[Iterator[tuple[str, Any]], str | None]:
    """Return ((location, row) of each row, the column that holds the prompt; None where each row
    has its own keys)."""
    if source.startswith("hf://") or Path(source).is_dir():
        name, table = _data_set(source, column)
        return table.each({name, ANSWER_START, *BESIDE, *PERHAPS_PROMPT}), name
    rows = open_rows(Path(source), f"a prompt file: {FORMATS}")
    if rows.kind == "text":
        if column is not None:
            raise InputError(f"{source} is read as text, which has no --column; leave it out")
        return ((where, {TEXT: line}) for where, line in rows.each(None)), TEXT
    if rows.columns is None:
        return _of_json(source, rows, column), column
    name = _column(source, column, rows.columns)
    return rows.each({name, "id", ANSWER_START, *BESIDE, *PERHAPS_PROMPT}), name


def _of_json(source: str, rows: Rows, column: str | None) -> Iterator[tuple[str, Any]]:
    """Rows of JSON; the texts of an array are prompts, and so are the requests of a batch. Raises
    InputError for such an array in a file of JSON lines."""
    for where, row in rows.each(None):
        if isinstance(row, str) and where.startswith(f"{source} item "):
            if ending(Path(source)) != ".json":
                raise InputError(
                    f"{source} line 1 is no JSON object but an array of texts; expected "
                    f"{FORMATS}, or the ending .json"
                )
            row = {TEXT: row}
        elif column is None and is_request(row):
            row = as_prompt_row(where, row)
        yield where, row


def prompt_of_row(
    where: str,
    number: int,
    row: Any,
    column: str | None,
    template: str | None,
    notices: Counter[str],
) -> Prompt:
    """Return the prompt of one row, which is `number` from 0. where: what messages call the row.
    notices: counts what has to be said of several rows. Raises InputError."""
    if not isinstance(row, dict):
        raise InputError(f"{where} is no JSON object; expected {FORMATS}")
    id = _id(where, number, row)
    key, value = _value(where, row, column)
    if isinstance(value, str) and (chat := stored_chat(value, where)) is not None:
        value = chat
    check_beside(where, key, row, chat=isinstance(value, list))
    notices[NOT_READ] += any(k != key and _holds_text(row.get(k)) for k in PERHAPS_PROMPT)
    if isinstance(value, str) and key in CHATS and value.strip():
        raise InputError(f'{where} has a text as "{key}"; expected chat turns')
    if isinstance(value, str):
        if not value.strip():
            raise InputError(
                f"{where} holds an empty prompt; expected some text, or leave the line out"
            )
        if (held := _in_bytes(value)) is not None:
            value = held
            notices[BYTES_READ] += 1
        messages: tuple[dict[str, str], ...] = ({"role": "user", "content": value},)
        notices[ANSWER_READ] += _with_answer(value)
    elif isinstance(value, list):
        turns = with_system(where, chat_turns(where, value), row)
        messages = up_to_user(where, turns) if key in TRAINING else of_user(where, turns)
        notices[LAST_LEFT] += len(messages) < len(turns)
    else:
        raise InputError(
            f'{where} has a prompt that is no text ({type(value).__name__}); expected {{"prompt": '
            f"text}} or chat turns"
        )
    for text in (id, *(m["content"] for m in messages)):
        if not _is_text(text):
            raise InputError(
                f"{where} holds half of a character (a lone surrogate); expected valid Unicode"
            )
    alone = len(messages) == 1 and messages[0]["role"] == "user"
    plain = messages[0]["content"] if alone else transcript(messages)
    return Prompt(
        id,
        messages,
        plain if template is None else wrapped(template, messages),
        reference=_target(where, row),
        template=template or PLACE,
        cluster=_cluster(where, row),
    )


def _holds_text(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() not in NOTHING
    return isinstance(value, list | dict) and bool(value)


def _in_bytes(text: str) -> str | None:
    """Return the text that Python's bytes hold, as tables write them that were made from bytes
    (annotated_train.csv of ToxiGen: b'it isn\\'t'); None for any other text."""
    if not re.fullmatch(r"""b(['"]).*\1""", text.strip()):
        return None
    try:
        held = ast.literal_eval(text.strip())
        return held.decode("utf-8").strip() or None if isinstance(held, bytes) else None
    except (ValueError, SyntaxError):
        return None


def _with_answer(text: str) -> bool:
    """Return whether a text is a talk as Anthropic's HH-RLHF holds it, the answer to be learnt
    last."""
    before, mark, answer = text.rpartition("\n\nAssistant:")
    talk = bool(mark) and before.lstrip().startswith("Human: ")
    return talk and bool(answer.strip()) and "\n\nHuman: " not in answer


def _target(where: str, row: dict[str, Any]) -> dict[str, Any]:
    """{"target": text} where the row brings the beginning of an answer."""
    target = row.get(ANSWER_START)
    if not isinstance(target, str) or not target.strip():
        return {}
    if not _is_text(target):
        raise InputError(
            f"{where} holds half of a character (a lone surrogate); expected valid Unicode"
        )
    return {ANSWER_START: target}


def _cluster(where: str, row: dict[str, Any]) -> str | None:
    """Return what the row calls the prompts that are not independent of it; None for nothing."""
    named = row.get("cluster")
    if named is None or named == "":
        return None
    if (cluster := as_id(named)) is None:
        raise InputError(f"{where} has the cluster {named!r}; expected a text or a whole number")
    return cluster


def _id(where: str, number: int, row: dict[str, Any]) -> str:
    """Return the row's own id, a whole number as its digits; otherwise the row's number."""
    if "id" not in row:
        return str(number)
    id = as_id(row["id"])
    if id is not None:
        return id
    if isinstance(row["id"], str):
        raise InputError(f"{where} has an empty id; give each prompt its own, or leave them out")
    raise InputError(f"{where} has the id {row['id']!r}; expected a text or a whole number")


def _value(where: str, row: dict[str, Any], column: str | None) -> tuple[str, Any]:
    """(key, prompt or turns). Raises InputError that names the keys where none of them is known,
    and where the one that was named is not there."""
    keys = ", ".join(map(str, row)) or "none"
    if column is not None and column not in row:
        raise InputError(
            f"{where} has no {column!r}; its keys are {keys}; give one of them with --column, or "
            "name it prompt"
        )
    key = column or next((k for k in (TEXT, *CHATS) if row.get(k) is not None), None)
    if key is None:
        raise InputError(
            f'{where} has no prompt; expected {{"prompt": text}} or {{"messages": [chat turns]}}; '
            f"its keys are {keys}; give the one that "
            "holds the prompt with --column, or name it prompt"
        )
    return key, "" if row[key] is None else row[key]


def check_beside(where: str, key: str, row: dict[str, Any], *, chat: bool) -> None:
    """Raise InputError where a row stores a part of its prompt beside the key that is read, which
    would be lost. chat: the key holds turns, in front of which a system text is put."""
    for other, only in BESIDE.items():
        value = row.get(other)
        nothing = not value or (isinstance(value, str) and value.strip() in NOTHING)
        if nothing or only not in (None, key) or other == key or (chat and other in SYSTEM):
            continue
        mend = 'write the two as one text under "prompt"'
        if other in SYSTEM:
            mend = 'write both under "messages", the system text first, or leave it out'
        elif only is None:
            mend = "no model reads tools here: leave these rows out, or the field"
        raise InputError(f'{where} has "{other}" beside "{key}", which would be lost; {mend}')


def _column(source: str, column: str | None, names: tuple[str, ...]) -> str:
    """Return the column asked for; without one, the first that holds prompts by its name, or the
    only one."""
    if column is not None and column in names:
        return column
    if column is None:
        likely = [n for n in (TEXT, *CHATS) if n in names] or (
            list(names) if len(names) == 1 else []
        )
        if likely and _like_a_prompt(likely[0]):
            raise InputError(
                f"{source} begins with {likely[0]!r}, which is read as the name of its only "
                "column and looks like a prompt; put a line with the name prompt above it, or "
                "give the file the ending .txt"
            )
        if likely:
            return likely[0]
    reason = "no --column is given" if column is None else f"there is no column {column!r}"
    raise InputError(
        f"{source}: {reason}; its columns are {', '.join(names) or 'none'}; give one of them with "
        "--column, or name it prompt"
    )


def _like_a_prompt(name: str) -> bool:
    """Return whether a header is a prompt: a file of prompts without a header would lose its first
    one."""
    return len(name.split()) > 4 or re.search(r"[?!.:]\s*$", name) is not None


def _data_set(source: str, column: str | None) -> tuple[str, Rows]:
    """(the column that holds the prompt, the rows). Their ids are their numbers: nobody can mend
    the ids of a set on the hub."""
    try:
        import datasets
    except ImportError:
        raise MissingExtra("datasets", "datasets", "reading a data set") from None
    name, _, split = (
        source.removeprefix("hf://").partition(":")
        if source.startswith("hf://")
        else (source, "", "")
    )
    for path in sorted(Path(name).rglob("*")) if Path(name).is_dir() else ():
        if not path.is_dir():
            check_regular(path, "a data file, as the other files of its folder")
    tables = (
        [p for p in sorted(Path(name).rglob("*")) if p.suffix in (".csv", ".tsv")]
        if Path(name).is_dir()
        else []
    )
    # refuses what the library would read askew
    own = {p: open_rows(p, "a table with prompts").columns or () for p in tables}
    saved = (Path(name) / "state.json").is_file()  # by Dataset.save_to_disk: one split, as it is
    if saved and split:
        raise InputError(
            f"{name} is a data set without splits; leave out {f':{split}'!r} behind its name"
        )
    try:
        table = (
            datasets.load_from_disk(name)
            if saved
            else datasets.load_dataset(name, split=split or "train")
        )
    # the library raises many kinds: no network, no such set, no such split, no data files
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"the data set {source} cannot be read ({reason}); check its name and split, or "
            "give a file"
        ) from None

    for path, columns in own.items():
        if not set(columns) & set(table.column_names):
            raise InputError(
                f"{path} is not parted by commas, which the package datasets expects; give the "
                "file itself in place of its folder"
            )

    def each(wanted: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        names = [c for c in table.column_names if c in set(wanted or ())]
        return (
            (f"{source} row {number}", row)
            for number, row in enumerate(table.select_columns(names), 1)
        )

    return _column(source, column, tuple(table.column_names)), Rows(
        "data set", tuple(table.column_names), each
    )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
