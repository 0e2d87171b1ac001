"""How varied answers are, and what becomes of that variety: pure measures of texts and numbers (docs/diversity.md)."""

from veneer.text import clean, jaccard, tok, words

__all__ = ["clean", "jaccard", "tok", "words"]
