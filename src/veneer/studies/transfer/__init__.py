"""A large base with a small base's veneer (docs/transfer.md)."""
