"""The toxicity judges: a named classifier, or the built-in stand-in (docs/judges.md)."""
