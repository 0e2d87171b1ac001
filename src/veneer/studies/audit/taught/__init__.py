"""What the fine-tuning taught: tokens that C raises on neutral text, and samples of the amplified
difference (docs/audit.md)."""
