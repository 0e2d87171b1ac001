"""Teachers: who answers the prompts of a capture (docs/capture-sources.md)."""
