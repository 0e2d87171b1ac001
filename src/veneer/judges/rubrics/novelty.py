"""What an alternative answer adds to a reference: 1 (nothing new) to 5 (entirely new), as Lake et
al. 2025 (arXiv 2406.17692) ask for missing information. The words are ours."""

from __future__ import annotations

from collections.abc import Mapping

from veneer.judges.rubrics.reading import one_score
from veneer.judges.rubrics.rubric import ONE_TO_FIVE, TEXT, Rubric, Values, object_of

TASK = (
    "You judge how much of what an alternative answer says is missing from a reference answer to "
    "the same query."
)
CRITERIA = """\
Compare by content, not by wording, order, or length:
1 - the alternative says nothing that is not in the reference;
2 - a little of it is new, most of it is in the reference;
3 - about half of it is new;
4 - most of it is new;
5 - all of it is new.
What only the reference says does not matter."""


def by_rule(fields: Mapping[str, str]) -> Values | None:
    """Return the score where a text is empty: an empty answer adds nothing, and any answer is
    entirely new beside an empty one. None where both have text."""
    if not fields["alternative"].strip():
        return {"score": 1.0}
    return {"score": 5.0} if not fields["reference"].strip() else None


RUBRIC = Rubric(
    name="novelty",
    fields=("query", "reference", "alternative"),
    task=TASK,
    criteria=CRITERIA,
    form='{"reason": "one or two sentences", "score": a whole number from 1 to 5}',
    schema=object_of(reason=TEXT, score=ONE_TO_FIVE),
    read=one_score,
    by_rule=by_rule,
    citation="scale of Lake et al. 2025, arXiv 2406.17692",
)
