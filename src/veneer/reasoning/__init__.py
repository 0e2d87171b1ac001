"""Split a thinking model's text into reasoning and answer, and report whether the reasoning is
complete (docs/thinking.md)."""

from veneer.reasoning.parts import ResponseParts
from veneer.reasoning.split import opened_by, split_reasoning

__all__ = ["ResponseParts", "opened_by", "split_reasoning"]
