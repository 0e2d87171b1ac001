"""Programs: files that turn base into another system (docs/complexity.md)."""
