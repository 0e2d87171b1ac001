"""A thinking model's text taken apart: the reasoning, the answer, and whether the reasoning came to
its end (docs/thinking.md)."""

from veneer.reasoning.parts import ResponseParts
from veneer.reasoning.split import opened_by, split_reasoning

__all__ = ["ResponseParts", "opened_by", "split_reasoning"]
