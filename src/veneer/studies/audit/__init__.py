"""How far a fine-tuned model has moved from the aligned one (docs/audit.md)."""
