"""Read a study folder for the report: results, run.json, token shifts, and responses
with their tokens."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, read_json_lines
from veneer.foundation.results import Measurement, Results, is_count, is_finite
from veneer.reasoning.parts import is_unfinished

CLASSES = ("unshifted", "marginal", "shifted")
GROUPS = ("style", "structure", "refusal", "number", "content")
TOP_OF = ("base", "veneer", "aligned")


# one position: (each compared system, the yardstick) x up to 5 x (token, p)
Top = tuple[tuple[tuple[str, float], ...], ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """A kind of token shift and how often it was seen; what follows `restored` is
    empty in older files.

    group: that of the shift on the page, base to veneer, or base to aligned where the veneer stays.
    deep_group: that of base to aligned where only the aligned model has its token.
    """

    base: str
    veneer: str
    aligned: str
    count: int
    shift: str
    restored: bool
    group: str = ""
    task: str = ""
    deep_group: str = ""

    @property
    def group_of_aligned(self) -> str:
        """The group of the step from base's token to aligned's."""
        return self.deep_group or self.group


@dataclass(frozen=True, slots=True)
class Deep:
    """A place where the veneer takes the style and misses the content: base = veneer != aligned,
    and aligned's token is numeric.

    context: the text before it. position: that of the token in the response, 1-based. next:
    the rest of the aligned model's answer, its token first.
    """

    prompt_id: str
    task: str
    context: str
    base: str
    veneer: str
    aligned: str
    position: int | None
    next: str

    @property
    def rest(self) -> str:
        """What follows aligned's token."""
        for token in (self.aligned, self.aligned.lstrip()):
            if token and self.next.startswith(token):
                return self.next[len(token) :]
        return self.next


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One response with its tokens. The lists are as long as `tokens`, None where a figure is
    missing.

    yardstick: the system from whose distribution the KL goes. kl: of each system that is compared
    with it, in nats. top: the most likely tokens of these systems and then of the yardstick.
    group: shift group per position. scores: what judges and the task made of the whole answer, by
    metric. unfinished: there is no answer, since the limit on tokens came within the reasoning."""

    prompt_id: str
    task: str
    prompt: str
    system: str
    text: str
    finish_reason: str
    tokens: tuple[str, ...]
    kl: dict[str, tuple[float | None, ...]]
    shift: tuple[str | None, ...]
    top: tuple[Top | None, ...]
    group: tuple[str | None, ...] = ()
    scores: dict[str, float | None] = field(default_factory=dict)
    unfinished: bool = False
    yardstick: str = "aligned"

    @property
    def kl_most(self) -> tuple[float, ...]:
        """The largest KL of any system at each position."""
        columns = zip(*self.kl.values(), strict=True)
        return tuple(max(x or 0.0 for x in own) for own in columns)


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """All that the report shows of one folder. path: as it was given. `rows` keeps the order of
    results.jsonl."""

    name: str
    rows: tuple[Measurement, ...]
    run: dict[str, Any] = field(default_factory=dict)
    shifts: tuple[Shift, ...] = ()
    responses: tuple[TokenRow, ...] = ()
    deep: tuple[Deep, ...] = ()
    path: str = ""


def load(folder: Path) -> StudyFolder:
    """Read a study folder. Raises InputError where a file is missing or a line is not
    what it should be."""
    path = folder / "results.jsonl"
    if not path.is_file():
        problem = "is not a folder" if not folder.is_dir() else "has no results.jsonl"
        raise InputError(
            f"{folder} {problem}; expected a study folder that `veneer run`, `demo` or `measure` "
            "finished: give such a folder or run the study again"
        )
    return StudyFolder(
        name=folder.resolve().name,
        rows=_rows(path),
        run=_run(folder / "run.json"),
        shifts=tuple(_shift(place, row) for place, row in _objects(folder / "shifts.jsonl")),
        responses=tuple(_response(place, row) for place, row in _objects(folder / "tokens.jsonl")),
        deep=tuple(_deep(place, row) for place, row in _objects(folder / "deep_examples.jsonl")),
        path=str(folder),
    )


def _rows(path: Path) -> tuple[Measurement, ...]:
    rows = tuple(Results.read(path))
    if not rows:
        raise InputError(
            f"{path} holds no rows; expected one measurement per line; run the "
            "study again to its end"
        )
    return rows


def _run(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = read_json(path, "the run's configuration, versions, hashes and seconds")
    except RecursionError:
        raise InputError(
            f"{path} is nested too deeply; expected the run.json of a study; make it again"
        ) from None
    return value if isinstance(value, dict) else {"run": value}


def _objects(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """The objects of an optional JSON-lines file, each with its place for messages."""
    if not path.exists():
        return []
    rows = []
    for number, row in read_json_lines(path, "an object per line", replace=True):
        place = f"{path} line {number}"
        if not isinstance(row, dict):
            raise InputError(
                f"{place} holds a {type(row).__name__}; expected a JSON object; run the study again"
            )
        rows.append((place, row))
    return rows


def _shift(place: str, row: dict[str, Any]) -> Shift:
    base, veneer, aligned = (_text(place, row, name, needed=True) for name in TOP_OF)
    count = row.get("count", 0)
    if not is_count(count):
        raise InputError(
            f"{place} has count {count!r}; expected a whole number; run the study again"
        )
    restored = bool(row.get("restored", veneer == aligned))
    group, task, deep = (_text(place, row, name) for name in ("group", "task", "deep_group"))
    return Shift(
        base, veneer, aligned, count, _text(place, row, "shift"), restored, group, task, deep
    )


def _deep(place: str, row: dict[str, Any]) -> Deep:
    base, veneer, aligned = (_text(place, row, name, needed=True) for name in TOP_OF)
    position = row.get("position")
    return Deep(
        prompt_id=str(row.get("prompt_id", "")),
        task=_text(place, row, "task"),
        context=_text(place, row, "context"),
        base=base,
        veneer=veneer,
        aligned=aligned,
        position=position if isinstance(position, int) else None,
        next=_text(place, row, "next"),
    )


def _response(place: str, row: dict[str, Any]) -> TokenRow:
    tokens = row.get("tokens", [])
    if not isinstance(tokens, list) or not all(isinstance(t, str) for t in tokens):
        raise InputError(
            f"{place} has tokens that are not a list of strings; expected a list; run the "
            "study again"
        )
    n = len(tokens)
    yardstick = _text(place, row, "yardstick") or TOP_OF[-1]
    compared = _compared(row, yardstick)
    shift = [s if s in CLASSES else None for s in _sized(row.get("shift"), n)]
    return TokenRow(
        prompt_id=str(row.get("prompt_id", "")),
        task=_text(place, row, "task"),
        prompt=_text(place, row, "prompt"),
        system=_text(place, row, "system", needed=True),
        text=_text(place, row, "text"),
        finish_reason=_text(place, row, "finish_reason"),
        tokens=tuple(tokens),
        kl={s: tuple(_finite(x) for x in _sized(row.get(f"kl_{s}"), n)) for s in compared},
        shift=tuple(shift),
        top=_top(row.get("top"), (*compared, yardstick), n),
        group=tuple(g if g in GROUPS else None for g in _sized(row.get("group"), n)),
        scores=_scores(row.get("scores")),
        unfinished=is_unfinished(row.get("reasoning"), _text(place, row, "text")),
        yardstick=yardstick,
    )


def _compared(row: dict[str, Any], yardstick: str) -> tuple[str, ...]:
    """Names of the systems that a row compares with the yardstick; a row that names none compares
    base and veneer with aligned."""
    top = row.get("top")
    names = top if isinstance(top, dict) and "yardstick" in row else TOP_OF
    return tuple(str(s)[:200] for s in list(names)[:20] if s != yardstick)


def _scores(value: Any) -> dict[str, float | None]:
    return (
        {str(k)[:80]: _finite(x) for k, x in list(value.items())[:20]}
        if isinstance(value, dict)
        else {}
    )


def _top(value: Any, names: tuple[str, ...], n: int) -> tuple[Top | None, ...]:
    if not isinstance(value, dict):
        return (None,) * n
    columns = [_sized(value.get(name), n) for name in names]
    return tuple(tuple(_pairs(column[t]) for column in columns) for t in range(n))


def _pairs(value: Any) -> tuple[tuple[str, float], ...]:
    pairs = value if isinstance(value, list) else []
    try:  # as the studies write them; a page has hundreds of thousands
        return tuple((sys.intern(token), p) for token, p in pairs[:5] if -1e9 < p < 1e9)
    except (TypeError, ValueError):
        good = (
            p
            for p in pairs
            if isinstance(p, list)
            and len(p) == 2
            and isinstance(p[0], str)
            and _finite(p[1]) is not None
        )
        return tuple((token, float(p)) for token, p in good)[:5]


def _text(place: str, row: dict[str, Any], name: str, *, needed: bool = False) -> str:
    value = row.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise InputError(
            f"{place} has {name} {str(value)[:80]!r}; expected a string; run the study again"
        )
    return value


def _sized(value: Any, n: int) -> list[Any]:
    """`value` as a list of n, filled up with None."""
    items = value if isinstance(value, list) else []
    return (items + [None] * n)[:n]


def _finite(x: Any) -> float | None:
    return float(x) if is_finite(x) else None
