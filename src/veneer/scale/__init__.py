"""Past one machine: captures made by many workers and kept elsewhere, extraction that sums over
workers (docs/scale.md)."""
