"""Rubrics: the questions that judge models answer, as data. A new one is a file with a `RUBRIC` and
its name below."""

from veneer.judges.rubrics import harm, novelty, quality, stance, strongreject, topics, truth
from veneer.judges.rubrics.rubric import Rubric, RubricVerdict, Unreadable

RUBRICS: dict[str, Rubric] = {
    m.RUBRIC.name: m.RUBRIC for m in (harm, strongreject, truth, quality, stance, novelty, topics)
}

__all__ = ["RUBRICS", "Rubric", "RubricVerdict", "Unreadable"]
