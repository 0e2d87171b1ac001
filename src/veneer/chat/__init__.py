"""Base, veneer and aligned answer one typed question side by side, with KL at every token."""
