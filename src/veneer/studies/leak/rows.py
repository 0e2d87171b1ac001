"""Rows of a leak study from scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.statistics.intervals import Estimate, independent_difference, rate, ratio_of_rates
from veneer.studies.leak.examples import Texts
from veneer.studies.leak.matching import Nearest
from veneer.studies.leak.names import (
    BASE_CHAT,
    CALIBRATED,
    HELD_OUT,
    INDEL,
    LEVENSHTEIN,
    STUDY,
    VERBATIM,
)
from veneer.studies.leak.thresholds import Threshold, shares_above
from veneer.studies.leak.words import copies_words, rate_note, reached_note, threshold_note

MOST_CLASSES = 6  # numbers of copies that are told apart
CURVE = [round(0.02 * i, 2) for i in range(51)]  # thresholds of the chart


@dataclass(frozen=True)
class Rule:
    """When a sample's field counts as extracted. matcher: the judge. split: "calibrated" or
    "published"."""

    matcher: str
    split: str
    threshold: Threshold

    @property
    def is_embedding(self) -> bool:
        return self.matcher not in (VERBATIM, LEVENSHTEIN, INDEL)


@dataclass(frozen=True)
class FieldScores:
    """One field of every sample against the members. members: the distinct members. rules: as they
    were calibrated. held_out: matcher -> scores of the held-out texts. left_out: held-out texts
    that equal a member. scores: system -> matcher -> nearest members."""

    task: str
    field: str
    members: Texts
    rules: Sequence[Rule]
    held_out: Mapping[str, np.ndarray]
    left_out: int
    scores: Mapping[str, Mapping[str, Nearest]]

    def rows(self) -> Iterator[Measurement]:
        for rule in self.rules:
            if rule.matcher != VERBATIM:  # held-out texts equal no member: 0 by definition
                yield self._false_rate(rule)
            for system, by_matcher in self.scores.items():
                yield from self._system_rows(rule, system, by_matcher[rule.matcher])
            yield from self._above_base(rule)
        yield from self._undercount()

    def hits(self, rule: Rule, nearest: Nearest) -> np.ndarray:
        """Which samples count as extracted, (n,) of booleans."""
        return rule.threshold.hits(nearest.scores) & (nearest.members >= 0)

    def _false_rate(self, rule: Rule) -> Measurement:
        facts: dict[str, Any] = {
            "threshold": rule.threshold.value,
            "held_out": rule.threshold.held_out,
            "equal_to_members": self.left_out,
            "calibrated_on": rule.threshold.calibrated_on,
            "checked_on": rule.threshold.false_rate.n,
            "worth": round(rule.threshold.worth, 1),
        }
        if rule.is_embedding:
            facts["by_threshold"] = shares_above(self.held_out[rule.matcher], CURVE)
        note = threshold_note(facts)
        return self._row(
            rule.threshold.false_rate, "false_rate", HELD_OUT, rule, facts=facts, note=note
        )

    def _system_rows(self, rule: Rule, system: str, nearest: Nearest) -> Iterator[Measurement]:
        hits = self.hits(rule, nearest)
        facts: dict[str, Any] = {
            "threshold": rule.threshold.value,
            "without_text": int((nearest.members < 0).sum()) if rule.matcher != VERBATIM else None,
            "by_threshold": shares_above(nearest.scores, CURVE) if rule.is_embedding else None,
            "all_compared": nearest.exact,
        }
        facts = {k: v for k, v in facts.items() if v is not None}
        if rule.threshold.value is None:
            nothing = Estimate(None, None, None, len(hits), "wilson")
            facts["undefined"] = "held_out_equals_members"
            yield self._row(
                nothing, "extracted_rate", system, rule, facts=facts, note=rate_note(facts)
            )
            return
        yield self._row(
            rate(int(hits.sum()), len(hits)),
            "extracted_rate",
            system,
            rule,
            facts=facts,
            note=rate_note(facts),
        )
        yield from self._reached(rule, system, set(nearest.members[hits].tolist()))

    def _reached(self, rule: Rule, system: str, reached: set[int]) -> Iterator[Measurement]:
        """Distinct members, all and by how often the data repeats them."""
        for copies in (None, *(self._repeats() if rule.split == CALIBRATED else ())):
            least, most = copies or (0, self._most)
            numbers = [i for i, n in enumerate(self.members.copies) if least <= n <= most]
            estimate = rate(len(reached.intersection(numbers)), len(numbers))
            facts = {"copies": copies} if copies is not None else {}
            yield self._row(
                estimate,
                "members_reached",
                system,
                rule,
                split=rule.split if copies is None else f"repeats:{copies_words(copies)}",
                facts=facts or None,
                note=reached_note(facts),
            )

    @property
    def _most(self) -> int:
        return max(self.members.copies)

    def _repeats(self) -> list[tuple[int, int]]:
        """(least, most) copies of each class of members: every number of copies where there are
        few, otherwise 1, 2 to 3, 4 to 7, ...; none where no member is repeated."""
        several = sorted(set(self.members.copies))
        if len(several) < 2:
            return []
        if len(several) <= MOST_CLASSES:
            return [(n, n) for n in several]
        classes = [(2**i, 2 ** (i + 1) - 1) for i in range(self._most.bit_length())]
        return [(a, b) for a, b in classes if any(a <= n <= b for n in several)]

    def _above_base(self, rule: Rule) -> Iterator[Measurement]:
        if BASE_CHAT not in self.scores or rule.threshold.value is None:
            return
        rates = {
            system: rate(int(h.sum()), len(h))
            for system, by_matcher in self.scores.items()
            for h in [self.hits(rule, by_matcher[rule.matcher])]
        }
        for system in rates:
            if system != BASE_CHAT:
                difference = independent_difference(rates[system], rates[BASE_CHAT])
                yield self._row(difference, "extracted_above_base", system, rule)

    def _undercount(self) -> Iterator[Measurement]:
        """How many times as many samples embeddings find as Levenshtein does, at one false rate."""
        by = {r.matcher: r for r in self.rules if r.split == CALIBRATED}
        strings = by.get(LEVENSHTEIN)
        embedded = [r for m, r in by.items() if r.is_embedding]
        if strings is None or not embedded or strings.threshold.value is None:
            return
        rule = embedded[0]
        if rule.threshold.value is None:
            return
        for system, by_matcher in self.scores.items():
            by_embedding = self.hits(rule, by_matcher[rule.matcher]).astype(float)
            by_string = self.hits(strings, by_matcher[LEVENSHTEIN]).astype(float)
            estimate = ratio_of_rates(by_embedding, by_string)
            yield self._row(estimate, "undercount", system, rule)

    def _row(
        self, estimate: Estimate, metric: str, system: str, rule: Rule, **fields: Any
    ) -> Measurement:
        values = {"split": rule.split, "unit": UNITS[metric], **fields}
        return Measurement.estimated(
            estimate,
            STUDY,
            self.task,
            metric,
            system,
            of=self.field,
            judge=rule.matcher,
            **values,
        )


UNITS = {
    "false_rate": "share",
    "extracted_rate": "share",
    "members_reached": "share",
    "extracted_above_base": "share",
    "undercount": "ratio",
}
