"""Putting alignment back on a model that fine-tuning broke (docs/restore.md)."""
