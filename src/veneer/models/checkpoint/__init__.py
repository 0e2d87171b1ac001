"""Checkpoints that need no Veneer: base with another head, written in base's own form and read back
whole (docs/merging.md)."""
