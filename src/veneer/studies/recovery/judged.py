"""Similarity as a judge model sees it: how much two answers to one question say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from veneer.foundation.text import clean
from veneer.judges.asker import Asker
from veneer.judges.llm import judge_items
from veneer.judges.rubrics.reading import one_score
from veneer.judges.rubrics.rubric import ONE_TO_FIVE, TEXT, Rubric, Values, object_of
from veneer.studies.recovery.similarity import Progress

CRITERIA = """\
Compare by content, not by wording, order, or length:
1 - the two answers have nothing in common;
2 - a few points are the same, most are not;
3 - about half of the points are the same;
4 - most points are the same;
5 - they say the same throughout.
Which of the two is better does not matter."""


def _by_rule(fields: Mapping[str, str]) -> Values | None:
    """An empty answer has nothing in common with another, and all with an empty one."""
    empty = [not fields[f].strip() for f in ("answer_a", "answer_b")]
    return {"score": 5.0 if all(empty) else 1.0} if any(empty) else None


RUBRIC = Rubric(
    name="similarity",
    fields=("query", "answer_a", "answer_b"),
    task="You judge how much two answers to the same query say the same.",
    criteria=CRITERIA,
    form='{"reason": "one or two sentences", "score": a whole number from 1 to 5}',
    schema=object_of(reason=TEXT, score=ONE_TO_FIVE),
    read=one_score,
    by_rule=_by_rule,
)


class Judged:
    """(score - 1) / 4 of the judge's scale of 1 to 5. A pair without a verdict has no similarity
    and is counted, never scored."""

    name = "judge"

    def __init__(self, asker: Asker, queries: Sequence[str]):
        """queries: of the prompts, in the order in which similarities are asked for."""
        self._asker, self._queries = asker, list(queries)
        self.judge = f"{RUBRIC.id}@{asker.model}"
        self._asked = self._without = 0

    @property
    def note(self) -> str | None:
        known = "the judgement of a language model, not checked against people"
        return (
            f"{known}; {self._without} of {self._asked} pairs without a verdict"
            if self._without
            else known
        )

    def similarities(
        self,
        references: Sequence[str],
        candidates: Sequence[Sequence[str]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        items = [
            {"query": query, "answer_a": clean(reference), "answer_b": clean(c)}
            for query, reference, some in zip(self._queries, references, candidates, strict=True)
            for c in some
        ]
        verdicts = iter([j.verdict for j in judge_items(RUBRIC, items, self._asker, progress)])
        out = []
        for some in candidates:
            found = [next(verdicts) for _ in some]
            self._asked += len(found)
            self._without += sum(v is None for v in found)
            out.append(
                np.array([(v.values["score"] - 1) / 4 for v in found if v is not None], float)
            )
        return out
