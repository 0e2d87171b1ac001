"""Answers and judgements that somebody else's programs stored, read as responses; what was dropped is counted."""
