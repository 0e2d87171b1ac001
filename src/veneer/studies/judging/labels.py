"""People's labels of answers, as `veneer label`'s page saves them or as anyone writes them.

docs/judges.md has the format. A label is a verdict of the judge "people".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_text
from veneer.foundation.reading import as_id, open_rows
from veneer.imports.plain import MODELS
from veneer.judges.llm import Outcome
from veneer.studies.judging.verdicts import VerdictRow

PEOPLE = "people"
EXPECTED = "labels: columns prompt_id and label (docs/judges.md)"
# label -> refusal_rate, partial_refusal_rate, as the judge `refusal` gives them
REFUSAL_LABELS: Mapping[str, tuple[float | None, float | None]] = {
    "refusal": (1.0, 0.0),
    "partial": (0.0, 1.0),
    "answer": (0.0, 0.0),
    "unclear": (None, None),
}


@dataclass(frozen=True, slots=True)
class Label:
    """One label. Fields that the file lacks are None; `place` is where it stands."""

    place: str
    prompt_id: str
    metrics: Mapping[str, float | None]
    task: str | None = None
    sample_id: int | None = None
    system: str | None = None
    answer_id: str | None = None
    text_sha256: str | None = None


def answer_id(prompt_id: str, sample_id: int, system: str) -> str:
    """An id of an answer that does not show whose it is."""
    return sha256_text(json.dumps([prompt_id, sample_id, system], ensure_ascii=False))[:16]


def holds_labels(path: Path) -> bool:
    """Whether a file is a table of text, which cannot hold a verdict's metrics, or its first row
    has a label: it is then no file of verdicts. Raises InputError for lines of text."""
    if not path.is_file():
        return False
    rows = open_rows(path, EXPECTED)
    if rows.kind == "text":
        raise InputError(
            f"{path} is read as lines of text; expected verdicts, which `veneer judge` writes, or "
            f"{EXPECTED}: give a table the ending .csv or .tsv"
        )
    if rows.kind == "separated":
        return True
    _, first = next(iter(rows.each(None)), ("", None))
    return isinstance(first, dict) and "label" in first


def read_labels(path: Path) -> list[Label]:
    """The labels of a file. Empty rows are left out. Raises InputError naming the row that is no
    label."""
    rows = list(open_rows(path, EXPECTED).each(None))
    key = _system_key([row for _, row in rows if isinstance(row, dict)])
    labels = [label for place, row in rows if (label := _label(str(place), row, key)) is not None]
    if not labels:
        raise InputError(f"{path} holds no labels; expected {EXPECTED}")
    return labels


def as_verdicts(
    labels: Sequence[Label], judged: Sequence[VerdictRow], source: str
) -> list[VerdictRow]:
    """Each label as a verdict on the answer that it is about, which is looked up among `judged` by
    the fields that the label gives. A label without such an answer keeps its own fields, and a
    warning counts such labels.

    Raises InputError where a label's fields fit several answers.
    """
    by_prompt: dict[str, list[VerdictRow]] = {}
    for row in {r.answer: r for r in judged}.values():
        by_prompt.setdefault(row.prompt_id, []).append(row)
    _check_samples(labels, by_prompt, source)
    verdicts, alone = [], []
    for label in labels:
        fitting = [r for r in by_prompt.get(label.prompt_id, ()) if _fits(label, r)]
        if len(fitting) > 1 and label.text_sha256 is not None:
            fitting = [r for r in fitting if r.text_sha256 == label.text_sha256] or fitting
        if len(fitting) > 1:
            apart = [
                name
                for name in ("task", "system", "sample_id")
                if len({getattr(r, name) for r in fitting}) > 1
            ]
            raise InputError(
                f"{label.place}: the label for {label.prompt_id!r} fits {len(fitting)} answers, "
                f"which differ in {' and '.join(apart)} ({_named(fitting[0], apart)}; "
                f"{_named(fitting[1], apart)}); add {' and '.join(apart)} to {source}"
            )
        verdicts.append(_verdict(label, fitting[0] if fitting else None))
        if not fitting:
            alone.append(label)
    if alone and len(alone) < len(labels):  # where all are, the comparison refuses them
        logging.getLogger("veneer").warning(
            "veneer: %d of %d labels in %s are about no answer that was judged, first %s (%r), and "
            "are left out; check their ids",
            *(len(alone), len(labels), source, alone[0].place, alone[0].prompt_id),
        )
    return verdicts


def _check_samples(
    labels: Sequence[Label], by_prompt: Mapping[str, Sequence[VerdictRow]], source: str
) -> None:
    """Raise InputError where labels count the answers to a prompt from 1: verdicts count from 0,
    and each label would belong to the answer behind its own."""
    numbered = [
        (n, [r.sample_id for r in by_prompt[label.prompt_id]])
        for label in labels
        if (n := label.sample_id) is not None and label.prompt_id in by_prompt
    ]
    if (
        numbered
        and min(n for n, _ in numbered) == 1
        and all(min(judged) == 0 for _, judged in numbered)
        and any(n > max(judged) for n, judged in numbered)
    ):
        raise InputError(
            f"{source} counts the answers to a prompt from 1 in sample_id, and the verdicts count "
            "from 0, so that each label would belong to the answer behind its own; count from 0"
        )


def _named(row: VerdictRow, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {getattr(row, name)}" for name in names)


def _fits(label: Label, row: VerdictRow) -> bool:
    given = ((label.task, row.task), (label.sample_id, row.sample_id), (label.system, row.system))
    if any(mine is not None and mine != other for mine, other in given):
        return False
    own = answer_id(row.prompt_id, row.sample_id, row.system)
    return label.answer_id is None or label.answer_id == own


def _verdict(label: Label, row: VerdictRow | None) -> VerdictRow:
    outcome = Outcome.JUDGED if any(v is not None for v in label.metrics.values()) else "unclear"
    blank = VerdictRow(
        label.task or "",
        label.prompt_id,
        label.sample_id or 0,
        label.system or "",
        PEOPLE,
        PEOPLE,
        str(outcome),
        dict(label.metrics),
        label.text_sha256 or "",
    )
    if row is None:
        return blank
    return replace(
        blank,
        task=row.task,
        sample_id=row.sample_id,
        system=row.system,
        text_sha256=label.text_sha256 or row.text_sha256,
    )


def _system_key(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the key under which the rows name the system that answered. A column of one model is
    not read: verdicts perhaps have another name for it."""
    several = (m for m in MODELS if len({str(r[m]) for r in rows if r.get(m)}) > 1)
    return "system" if any(r.get("system") for r in rows) else next(several, "system")


def _label(place: str, row: Any, system: str) -> Label | None:
    if not isinstance(row, dict):
        raise InputError(f"{place} is no object; expected {EXPECTED}")
    # an empty cell of a table is a field that is not given
    given = {k: v for k, v in row.items() if v is not None and str(v).strip() != ""}
    if not given:
        return None  # spreadsheets write such rows below a table
    for name in ("prompt_id", "label"):
        if name not in given and name in row:
            raise InputError(
                f"{place} has an empty {name}; fill it in (the label unclear is for answers that "
                "nobody can decide), or leave the row out of the file"
            )
        if name not in given:
            raise InputError(
                f"{place} has no {name} (its keys are {', '.join(map(str, row))}); expected "
                f"{EXPECTED}"
            )
    if str(given.get("answer")).lower() in ("reject", "ignore"):
        raise InputError(
            f'{place} has the label {str(given["label"])[:40]!r} with "answer": '
            f"{given['answer']!r}, by which Prodigy says that a person rejected or skipped it; "
            "write the label that fits (unclear, where a person skipped the answer), and leave "
            'the column "answer" out'
        )
    prompt_id = as_id(given["prompt_id"])
    if prompt_id is None:
        raise InputError(
            f"{place} has the prompt_id {str(given['prompt_id'])[:40]!r}, which is neither a text "
            "nor a whole number"
        )
    text, digest = given.get("text"), given.get("text_sha256")
    return Label(
        place,
        prompt_id,
        dict(_metrics(place, given["label"], given.get("metric"))),
        _text(given.get("task")),
        _number(place, given.get("sample_id")),
        _text(given.get(system)),
        _text(given.get("answer_id")),
        sha256_text(str(text)) if text is not None else _text(digest),
    )


def _metrics(place: str, label: Any, metric: Any) -> Iterator[tuple[str, float | None]]:
    word = str(label).strip().lower()
    if metric is None and word in REFUSAL_LABELS:
        yield from zip(("refusal_rate", "partial_refusal_rate"), REFUSAL_LABELS[word], strict=True)
        return
    if word == "unclear":
        yield str(metric), None
        return
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if isinstance(label, bool) or not abs(value) < float("inf"):
        raise InputError(
            f"{place} has the label {str(label)[:40]!r}; expected {', '.join(REFUSAL_LABELS)}, or "
            "a number such as 0 or 1"
        )
    name = "refusal_rate" if metric is None else str(metric)
    if name.endswith("_rate") and not 0 <= value <= 1:
        raise InputError(
            f"{place} has the label {str(label)[:40]!r} for {name}, which goes from 0 to 1; "
            f"expected 1 for yes and 0 for no, or {', '.join(REFUSAL_LABELS)}; codes such as "
            "XSTest's 1, 2 and 3 stand for other classes"
        )
    yield name, value


def _number(place: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise InputError(
            f"{place} has the sample_id {str(value)[:40]!r}; expected a whole number such as 0"
        ) from None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
