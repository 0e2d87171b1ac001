"""What the two models answer: refusals, empty and cut answers, length, and beginnings that
many answers share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.judges.judge import Judge
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.statistics.comparisons import compare
from veneer.studies.audit.config import AUDITED, REFERENCE, STUDY
from veneer.systems.responses import Response

SHOWN = 60  # characters of a beginning in a note
UNFINISHED = "cut within the reasoning, before any answer"


@dataclass(frozen=True)
class Answers:
    """One system's answers, in the order of the prompts. refused: 1 for a full refusal, by the
    judge. openings: the text of the first tokens of each."""

    system: str
    responses: list[Response]
    refused: np.ndarray
    partial: np.ndarray
    openings: list[str]

    @classmethod
    def judged(
        cls,
        system: str,
        prompts: Sequence[Prompt],
        responses: Sequence[Response],
        judge: Judge,
        tokenizer: Any,
        opening: int,
    ) -> Answers:
        found = judge.scores(prompts, [r.text for r in responses])
        begins = [_opening(r, tokenizer, opening) for r in responses]
        refused, partial = (
            np.array([s[m] or 0.0 for s in found]) for m in ("refusal_rate", "partial_refusal_rate")
        )
        return cls(system, list(responses), refused, partial, begins)


def answer_rows(
    every: Sequence[Answers], roles: Sequence[str], judge: Judge, *, opening: int, seed: int = 0
) -> Iterator[Measurement]:
    """Rates of each system on each set, and the paired differences of its refusals from the
    reference's and the audited model's."""
    role = np.array(roles)
    by_name = {a.system: a for a in every}
    for task in dict.fromkeys(roles):
        keep = np.flatnonzero(role == task)
        most = _most([by_name[AUDITED].openings[i] for i in keep])
        for one in every:
            theirs = [by_name[REFERENCE].responses[i] for i in keep]
            yield from _rates(one, theirs, task, keep, judge, most, opening, seed)
        yield from _differences(by_name, task, keep, judge, seed)


def _rates(
    one: Answers,
    theirs: Sequence[Response],
    task: str,
    keep: np.ndarray,
    judge: Judge,
    audited_opening: str,
    opening: int,
    seed: int,
) -> Iterator[Measurement]:
    rows = [one.responses[i] for i in keep]
    openings = [one.openings[i] for i in keep]
    own = _most(openings)
    same = [r.text == a.text for r, a in zip(rows, theirs, strict=True)]
    shares: list[tuple[str, Any, dict[str, Any]]] = [
        ("refusal_rate", one.refused[keep], {"judge": judge.id, "note": judge.note}),
        ("partial_refusal_rate", one.partial[keep], {"judge": judge.id, "note": judge.note}),
        ("empty_rate", [r.empty for r in rows], {}),
        *(
            [("unfinished_rate", [r.unfinished for r in rows], {"note": UNFINISHED})]
            if any(r.reasoning is not None for r in rows)
            else []
        ),
        (
            "cut_rate",
            [r.finish_reason == "length" for r in rows],
            {"note": "answers that the limit on tokens cut off"},
        ),
        ("same_answer", same, {"note": "word for word the reference's answer"}),
        ("common_opening", [o == own for o in openings], {"note": _begins(own, opening)}),
        (
            "audited_opening",
            [o == audited_opening for o in openings],
            {"note": _begins(audited_opening, opening)},
        ),
    ]
    for metric, values, more in shares:
        e = intervals.mean(np.asarray(values, float), seed=seed)
        yield Measurement.estimated(e, STUDY, task, metric, one.system, unit="share", **more)
    length = intervals.mean(np.array([len(r.token_ids) for r in rows], float), seed=seed)
    yield Measurement.estimated(length, STUDY, task, "mean_length", one.system, unit="tokens")


def _differences(
    by_name: Mapping[str, Answers], task: str, keep: np.ndarray, judge: Judge, seed: int
) -> Iterator[Measurement]:
    """One family a set: all systems against the reference, and what was done to the audited
    model against it."""
    asked = [(s, r) for r in (REFERENCE, AUDITED) for s in by_name if s not in (REFERENCE, r)]
    found = compare(
        [(by_name[s].refused[keep], by_name[r].refused[keep]) for s, r in asked], seed=seed
    )
    for (system, other), c in zip(asked, found, strict=True):
        yield Measurement.estimated(
            c.difference,
            STUDY,
            task,
            f"difference_from_{other}",
            system,
            judge=judge.id,
            of="refusal_rate",
            unit="share",
            note=f"p = {c.adjusted:.3g} after Holm over {c.family} differences",
        )


def _opening(response: Response, tokenizer: Any, count: int) -> str:
    """The first tokens of the answer; a thought in front of it is none of them."""
    ids = response.token_ids
    if response.reasoning is not None:
        ids = tokenizer(response.text, add_special_tokens=False)["input_ids"]
    return tokenizer.decode(ids[:count], skip_special_tokens=True).strip()


def _most(openings: Sequence[str]) -> str:
    """The most frequent beginning; of equally frequent ones the first by alphabet."""
    counts = Counter(openings)
    return min(counts, key=lambda o: (-counts[o], o))


def _begins(text: str, opening: int) -> str:
    return (
        f'begins with "{text[:SHOWN]}" (its first {opening} tokens)'
        if text
        else f"no visible text in the first {opening} tokens"
    )
