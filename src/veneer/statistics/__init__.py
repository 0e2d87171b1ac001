"""Statistics: intervals over prompts, the bootstrap, comparisons, agreement
(docs/statistics.md)."""
