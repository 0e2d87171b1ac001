"""The Overton window as a measure: which viewpoints of people a response covers (docs/overton-window.md)."""

from veneer.overton.coverage import EmbeddingCoverage, JudgeCoverage
from veneer.overton.score import Covered, overton_rows
from veneer.overton.viewpoints import Question, Viewpoint, read_viewpoints

__all__ = ["Covered", "EmbeddingCoverage", "JudgeCoverage", "Question", "Viewpoint", "overton_rows", "read_viewpoints"]
