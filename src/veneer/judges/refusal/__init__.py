"""The built-in refusal judge: a linear score over phrases and words (docs/judges.md)."""
