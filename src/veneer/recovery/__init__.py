"""Recovery in context: how near a base model comes to an aligned one through its prompt alone (docs/recovery.md)."""

from veneer.recovery.equivalence import Verdict, equivalence
from veneer.recovery.in_context import Example, in_context, instructions
from veneer.recovery.similarity import expected_best

__all__ = ["Example", "Verdict", "equivalence", "expected_best", "in_context", "instructions"]
