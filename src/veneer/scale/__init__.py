"""Work on several machines: captures made by many workers and stored elsewhere, extraction that
sums over workers (docs/scale.md)."""
