"""Teachers: they answer the prompts of a capture (docs/capture-sources.md)."""
