"""Two judges on the same answers: which verdicts are compared, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement
from veneer.statistics.agreement import Agreement, agreement
from veneer.studies.judging.verdicts import VerdictRow, read_verdicts


@dataclass(frozen=True)
class Side:
    """One judge's verdicts. said: as the user named it."""

    said: str
    rows: tuple[VerdictRow, ...]
    metric: str | None = None

    @property
    def metrics(self) -> list[str]:
        return (
            [self.metric]
            if self.metric
            else list(dict.fromkeys(m for r in self.rows for m in r.metrics))
        )


@dataclass(frozen=True)
class Compared:
    """without: answers that at least one side has no verdict on; alone: answers that
    only one side holds."""

    metrics: tuple[str, str]
    judges: tuple[str, str]
    task: str
    system: str
    found: Agreement
    without: int
    alone: int


def split_side(said: str) -> tuple[str, str | None]:
    """`NAME`, `NAME:METRIC`, `FILE` or `FILE:METRIC`."""
    if Path(said).exists():
        return said, None
    name, colon, metric = said.rpartition(":")
    return (name, metric) if colon and name else (said, None)


def side(said: str, rows: Sequence[VerdictRow] = ()) -> Side:
    """The verdicts of a judge by its name among `rows`, or those of a file (or of a folder that
    `veneer judge` wrote). Raises InputError where the verdicts are of several judges."""
    name, metric = split_side(said)
    found = [r for r in rows if name in (r.judge_name, r.judge)]
    if not found:
        path = Path(name) / "verdicts.jsonl" if Path(name).is_dir() else Path(name)
        found = read_verdicts(path)
    if metric is not None:
        known = list(dict.fromkeys(m for r in found for m in r.metrics))
        if metric not in known:
            raise InputError(f"{name} has no metric {metric!r}; expected one of {', '.join(known)}")
        found = [r for r in found if metric in r.metrics]
    judges = list(dict.fromkeys(r.judge for r in found))
    if len(judges) > 1:
        raise InputError(
            f"{name} holds verdicts of {', '.join(judges)}; name a metric of one of them, as in "
            f"{name}:METRIC"
        )
    return Side(said, tuple(found), metric)


def compare(a: Side, b: Side, *, seed: int = 0) -> list[Compared]:
    """Agreement by task and metric, over all systems together. Answers to one prompt
    count as one cluster.

    Raises InputError where the sides share no metric or no answer, or judged different
    texts under one name.
    """
    pairs = [(m, m) for m in a.metrics if m in b.metrics]
    if a.metric or b.metric or (not pairs and len(a.metrics) == len(b.metrics) == 1):
        pairs = (
            [(x, y) for x in a.metrics for y in b.metrics]
            if len(a.metrics) == len(b.metrics) == 1
            else pairs
        )
    if not pairs:
        raise InputError(
            f"{a.said} has {', '.join(a.metrics)} and {b.said} has {', '.join(b.metrics)}; name "
            f"what to compare, as in {a.said}:{a.metrics[0]} {b.said}:{b.metrics[0]}"
        )
    return [c for x, y in pairs for c in _by_task(a, b, x, y, seed)]


def _by_task(a: Side, b: Side, x: str, y: str, seed: int) -> Iterator[Compared]:
    mine, other = _indexed(a), _indexed(b)
    both = [k for k in mine if k in other]
    if not both:
        raise InputError(
            f"{a.said} and {b.said} share no answer; expected verdicts on the same responses"
        )
    for k in both:
        if mine[k].text_sha256 != other[k].text_sha256:
            raise InputError(
                f"{a.said} and {b.said} judged different answers of {k[3]} to {k[1]!r}; expected "
                "verdicts on the same responses"
            )
    for task in dict.fromkeys(k[0] for k in both):
        here = [k for k in both if k[0] == task]
        values = [(mine[k].metrics.get(x), other[k].metrics.get(y), k) for k in here]
        known = [(u, v, k) for u, v, k in values if u is not None and v is not None]
        systems = list(dict.fromkeys(k[3] for k in here))
        yield Compared(
            (x, y),
            (a.rows[0].judge, b.rows[0].judge),
            task,
            systems[0] if len(systems) == 1 else "all",
            agreement(
                [u for u, _, _ in known],
                [v for _, v, _ in known],
                [k[1] for _, _, k in known],
                seed=seed,
            ),
            len(here) - len(known),
            sum(k[0] == task for k in mine.keys() ^ other.keys()),
        )


def _indexed(one: Side) -> dict[tuple[str, str, int, str], VerdictRow]:
    found: dict[tuple[str, str, int, str], VerdictRow] = {}
    for r in one.rows:
        if r.answer in found:
            raise InputError(
                f"{one.said} holds two verdicts on {r.system}'s answer to {r.prompt_id!r}; "
                "expected one"
            )
        found[r.answer] = r
    return found


def agreement_rows(compared: Sequence[Compared]) -> list[Measurement]:
    """kappa, weighted_kappa for scales, and raw_agreement of each comparison; the note holds the
    confusion table."""
    rows = []
    for c in compared:
        of = c.metrics[0] if c.metrics[0] == c.metrics[1] else f"{c.metrics[0]} ~ {c.metrics[1]}"
        note = f"{c.judges[0]} in rows: {table_text(c.found)}" + (
            f"; {c.without} without a verdict" if c.without else ""
        )
        for metric, e, unit in (
            ("kappa", c.found.kappa, "kappa"),
            ("weighted_kappa", c.found.weighted, "kappa"),
            ("raw_agreement", c.found.raw, "share"),
        ):
            if e is not None:
                row = Measurement.estimated(
                    e,
                    "judge",
                    c.task,
                    metric,
                    c.system,
                    of=of,
                    judge=" ~ ".join(c.judges),
                    unit=unit,
                )
                rows.append(replace(row, note=f"{row.note}; {note}" if row.note else note))
    return rows


def table_text(found: Agreement) -> str:
    """The confusion table in one line: "0: 12 3 | 1: 1 20"."""
    return " | ".join(
        f"{c:g}: {' '.join(map(str, row))}"
        for c, row in zip(found.categories, found.table.tolist(), strict=True)
    )
