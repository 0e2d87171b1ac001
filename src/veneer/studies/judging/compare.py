"""Two judges on the same answers: which verdicts are compared, and the rows of their
agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement, join_notes
from veneer.prompts.clusters import groups_of
from veneer.statistics.agreement import Agreement, agreement, balanced_accuracy
from veneer.statistics.intervals import Estimate
from veneer.studies.judging import words
from veneer.studies.judging.labels import PEOPLE, as_verdicts, holds_labels, read_labels
from veneer.studies.judging.verdicts import VerdictRow, read_verdicts


@dataclass(frozen=True)
class Side:
    """One judge's verdicts. label: as the user named it."""

    label: str
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
class JudgeComparison:
    """The agreement of two judges on a task.

    balanced: balanced accuracy of the judge on people's labels, where one side is labels.
    without: number of answers that at least one side has no verdict on. alone: number that only one
    side holds.
    """

    metrics: tuple[str, str]
    judges: tuple[str, str]
    task: str
    system: str
    agreement: Agreement
    without: int
    alone: int
    balanced: Estimate | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The confusion table, the first judge's values in rows, as the facts of a row."""
        return {
            "judges": list(self.judges),
            "metrics": list(self.metrics),
            "categories": list(self.agreement.categories),
            "table": self.agreement.table.tolist(),
            "without": self.without,
            "alone": self.alone,
        }


def split_side(label: str) -> tuple[str, str | None]:
    """`NAME`, `NAME:METRIC`, `FILE` or `FILE:METRIC`."""
    if Path(label).exists():
        return label, None
    name, colon, metric = label.rpartition(":")
    return (name, metric) if colon and name else (label, None)


def sides(labels: tuple[str, str], rows: Sequence[VerdictRow] = ()) -> tuple[Side, Side]:
    """The two sides of a comparison: judges by name among `rows`, files of verdicts (or folders
    that `veneer judge` wrote), or a file of people's labels. Raises InputError for two files of
    labels, and where the verdicts of a side are of several judges."""
    human = [holds_labels(Path(split_side(label)[0])) for label in labels]
    if all(human):
        raise InputError(
            f"{labels[0]} and {labels[1]} are both labels; expected the verdicts of a judge beside "
            "them, which `veneer judge` writes"
        )
    if not any(human):
        return side(labels[0], rows), side(labels[1], rows)
    other = side(labels[human.index(False)], rows)
    label = labels[human.index(True)]
    path = split_side(label)[0]
    people = _narrowed(label, as_verdicts(read_labels(Path(path)), other.rows, path))
    return (people, other) if human[0] else (other, people)


def side(label: str, rows: Sequence[VerdictRow] = ()) -> Side:
    """The verdicts of a judge by its name among `rows`, or those of a file (or of a folder that
    `veneer judge` wrote). Raises InputError where the verdicts are of several judges."""
    name, _ = split_side(label)
    verdicts = [r for r in rows if name in (r.judge_name, r.judge)]
    if not verdicts:
        path = Path(name) / "verdicts.jsonl" if Path(name).is_dir() else Path(name)
        verdicts = read_verdicts(path)
    return _narrowed(label, verdicts)


def _narrowed(label: str, verdicts: Sequence[VerdictRow]) -> Side:
    """The verdicts that have the metric of a label, all of one judge."""
    name, metric = split_side(label)
    if metric is not None:
        metrics = list(dict.fromkeys(m for r in verdicts for m in r.metrics))
        if metric not in metrics:
            raise InputError(
                f"{name} has no metric {metric!r}; expected one of {', '.join(metrics)}"
            )
        verdicts = [r for r in verdicts if metric in r.metrics]
    judges = list(dict.fromkeys(r.judge for r in verdicts))
    if len(judges) > 1:
        raise InputError(
            f"{name} holds verdicts of {', '.join(judges)}; name a metric of one of them, as in "
            f"{name}:METRIC"
        )
    return Side(label, tuple(verdicts), metric)


def compare(a: Side, b: Side, *, seed: int = 0) -> list[JudgeComparison]:
    """Agreement by task and metric, over all systems together. Answers to one prompt, and to
    prompts of one cluster by either file of verdicts, count as one cluster.

    Raises InputError where the sides share no metric or no answer, or judged different
    texts under one name.
    """
    pairs = [(m, m) for m in a.metrics if m in b.metrics]
    one_each = len(a.metrics) == len(b.metrics) == 1
    if one_each and (a.metric or b.metric or not pairs):
        pairs = list(product(a.metrics, b.metrics))
    if not pairs:
        raise InputError(
            f"{a.label} has {', '.join(a.metrics)} and {b.label} has {', '.join(b.metrics)}; name "
            f"what to compare, as in {a.label}:{a.metrics[0]} {b.label}:{b.metrics[0]}"
        )
    return [c for x, y in pairs for c in _by_task(a, b, x, y, seed)]


def _by_task(a: Side, b: Side, x: str, y: str, seed: int) -> Iterator[JudgeComparison]:
    mine, other = _indexed(a), _indexed(b)
    both = [k for k in mine if k in other]
    if not both:
        raise InputError(
            f"{a.label} and {b.label} share no answer; expected verdicts on the same responses, "
            f"and found {_first(mine)} in the first and {_first(other)} in the second"
        )
    for k in both:
        if mine[k].text_sha256 != other[k].text_sha256:
            raise InputError(
                f"{a.label} and {b.label} judged different answers of {k[3]} to {k[1]!r}; expected "
                "verdicts on the same responses"
            )
    for task in dict.fromkeys(k[0] for k in both):
        here = [k for k in both if k[0] == task]
        values = [(mine[k].metrics.get(x), other[k].metrics.get(y), k) for k in here]
        judged = [(u, v, k) for u, v, k in values if u is not None and v is not None]
        systems = list(dict.fromkeys(k[3] for k in here))
        clusters = groups_of(
            [[i for i in (k[1], mine[k].cluster, other[k].cluster) if i] for _, _, k in judged]
        )
        yield JudgeComparison(
            (x, y),
            (a.rows[0].judge, b.rows[0].judge),
            task,
            systems[0] if len(systems) == 1 else "all",
            agreement(
                [u for u, _, _ in judged],
                [v for _, v, _ in judged],
                clusters,
                seed=seed,
            ),
            len(here) - len(judged),
            sum(k[0] in (task, "") for k in mine.keys() ^ other.keys()),
            _against_people(a, b, judged, clusters),
        )


def _first(rows: dict[tuple[str, str, int, str], VerdictRow]) -> str:
    """The first answer of one side, for messages."""
    if not rows:
        return "none"
    task, prompt_id, sample_id, system = next(iter(rows))
    known = [f"of task {task}"] * bool(task) + [f"of system {system}"] * bool(system)
    return " ".join([f"sample {sample_id} of prompt {prompt_id!r}", *known])


def _against_people(
    a: Side,
    b: Side,
    judged: Sequence[tuple[float, float, tuple[str, str, int, str]]],
    clusters: Sequence[int],
) -> Estimate | None:
    """Balanced accuracy of the judge; None without people's labels on one side. clusters: of each
    answer."""
    people = [one.rows[0].judge == PEOPLE for one in (a, b)]
    if not judged or not any(people):
        return None
    first, second = [u for u, _, _ in judged], [v for _, v, _ in judged]
    truth, given = (first, second) if people[0] else (second, first)
    return balanced_accuracy(truth, given, clusters)


def _indexed(one: Side) -> dict[tuple[str, str, int, str], VerdictRow]:
    by_answer: dict[tuple[str, str, int, str], VerdictRow] = {}
    for r in one.rows:
        if r.answer in by_answer and r.judge == PEOPLE:
            raise InputError(
                f"{one.label} holds two labels of one answer to {r.prompt_id!r}"
                f"{f' of {r.system}' * bool(r.system)}; expected one: keep the label that most "
                "people gave, or compare with each person's labels in a file of their own"
            )
        if r.answer in by_answer:
            raise InputError(
                f"{one.label} holds two verdicts on {r.system}'s answer to {r.prompt_id!r}; "
                "expected one"
            )
        by_answer[r.answer] = r
    return by_answer


def agreement_rows(comparisons: Sequence[JudgeComparison]) -> list[Measurement]:
    """kappa, weighted_kappa for scales, and raw_agreement of each comparison, with the confusion
    table among their facts."""
    rows = []
    for c in comparisons:
        of = c.metrics[0] if c.metrics[0] == c.metrics[1] else f"{c.metrics[0]} ~ {c.metrics[1]}"
        note = words.agreement_note(c.facts)
        for metric, e, unit in (
            ("kappa", c.agreement.kappa, "kappa"),
            ("weighted_kappa", c.agreement.weighted, "kappa"),
            ("raw_agreement", c.agreement.raw, "share"),
            ("balanced_accuracy", c.balanced, "share"),
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
                    facts=c.facts,
                )
                rows.append(replace(row, note=join_notes(row.note, note)))
    return rows
