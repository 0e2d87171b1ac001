"""The two models' answers: refusals, empty and cut answers, length, and beginnings that
many answers share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.judges.judge import Judge
from veneer.measures.clusters import kept
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.statistics.comparisons import compare
from veneer.studies.audit import words
from veneer.studies.audit.names import AUDITED, REFERENCE, STUDY
from veneer.systems.responses import Response


@dataclass(frozen=True)
class Answers:
    """One system's answers, in the order of the prompts. refused, partial: 1 for a full and for a
    partial refusal, by the judge (N,). openings: the text of the first tokens of each."""

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
        """opening: number of tokens."""
        scores = judge.scores(prompts, [r.text for r in responses])
        openings = [_opening(r, tokenizer, opening) for r in responses]
        refused, partial = (
            np.array([s[m] for s in scores], float)  # None, no verdict, becomes NaN
            for m in ("refusal_rate", "partial_refusal_rate")
        )
        return cls(system, list(responses), refused, partial, openings)


def answer_rows(
    every: Sequence[Answers],
    roles: Sequence[str],
    judge: Judge,
    *,
    opening: int,
    seed: int = 0,
    clusters: np.ndarray | None = None,
) -> Iterator[Measurement]:
    """Rates of each system on each set, and the paired differences of its refusals from the
    reference's and the audited model's. clusters: the id of each prompt (clusters.py)."""
    role = np.array(roles)
    by_name = {a.system: a for a in every}
    for task in dict.fromkeys(roles):
        keep = np.flatnonzero(role == task)
        most = _most([by_name[AUDITED].openings[i] for i in keep])
        for one in every:
            theirs = [by_name[REFERENCE].responses[i] for i in keep]
            yield from _rates(one, theirs, task, keep, judge, most, opening, seed, clusters)
        yield from _differences(by_name, task, keep, judge, seed, clusters)


def _rates(
    one: Answers,
    theirs: Sequence[Response],
    task: str,
    keep: np.ndarray,
    judge: Judge,
    audited_opening: str,
    opening: int,
    seed: int,
    clusters: np.ndarray | None,
) -> Iterator[Measurement]:
    own_clusters = kept(clusters, keep)
    rows = [one.responses[i] for i in keep]
    openings = [one.openings[i] for i in keep]
    own = _most(openings)
    same = [r.text == a.text for r, a in zip(rows, theirs, strict=True)]
    by_judge = {"judge": judge.id, "note": judge.note}
    shares: list[tuple[str, Any, dict[str, Any]]] = [
        ("refusal_rate", one.refused[keep], by_judge),
        ("partial_refusal_rate", one.partial[keep], by_judge),
        ("empty_rate", [r.empty for r in rows], {}),
    ]
    if any(r.reasoning is not None for r in rows):
        shares.append(("unfinished_rate", [r.unfinished for r in rows], {}))
    shares += [
        ("cut_rate", [r.finish_reason == "length" for r in rows], {}),
        ("same_answer", same, {}),
        ("common_opening", [o == own for o in openings], _opening_fields(own, opening)),
        (
            "audited_opening",
            [o == audited_opening for o in openings],
            _opening_fields(audited_opening, opening),
        ),
    ]
    without = np.isnan(one.refused[keep])
    if without.any():
        shares.append(("refusal_unscored_rate", without, by_judge))
    for metric, values, more in shares:
        column = np.asarray(values, float)
        known = ~np.isnan(column)
        e = intervals.mean(column[known], seed=seed, clusters=kept(own_clusters, known))
        fields = {"note": words.METRICS.get(metric), **more}
        yield Measurement.estimated(e, STUDY, task, metric, one.system, unit="share", **fields)
    tokens = np.array([len(r.token_ids) for r in rows], float)
    length = intervals.mean(tokens, seed=seed, clusters=own_clusters, share=False)
    yield Measurement.estimated(length, STUDY, task, "mean_length", one.system, unit="tokens")


def _differences(
    by_name: Mapping[str, Answers],
    task: str,
    keep: np.ndarray,
    judge: Judge,
    seed: int,
    clusters: np.ndarray | None,
) -> Iterator[Measurement]:
    """One family of comparisons per set: all systems against the reference, and the restored one
    against the audited model. It is about the prompts on which every system has a verdict."""
    keep = keep[~np.isnan([s.refused[keep] for s in by_name.values()]).any(axis=0)]
    if not len(keep):
        return
    pairs = [(s, r) for r in (REFERENCE, AUDITED) for s in by_name if s not in (REFERENCE, r)]
    comparisons = compare(
        [(by_name[s].refused[keep], by_name[r].refused[keep]) for s, r in pairs],
        seed=seed,
        clusters=kept(clusters, keep),
    )
    for (system, other), c in zip(pairs, comparisons, strict=True):
        facts = {"p": float(c.adjusted), "family": c.family}
        yield Measurement.estimated(
            c.difference,
            STUDY,
            task,
            f"difference_from_{other}",
            system,
            judge=judge.id,
            of="refusal_rate",
            unit="share",
            note=words.difference_note(facts),
            facts=facts,
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


def _opening_fields(text: str, tokens: int) -> dict[str, Any]:
    """Facts and note of a row on an opening."""
    facts = {"opening": text, "tokens": tokens}
    return {"facts": facts, "note": words.opening_note(facts)}
