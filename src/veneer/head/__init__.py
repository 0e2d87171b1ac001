"""The veneer: a change of the LM head, and how it is extracted from a capture as
a convex problem."""

from veneer.head.extract import ExtractConfig, extract
from veneer.head.veneer import Veneer

__all__ = ["ExtractConfig", "Veneer", "extract"]
