"""Veneer: how much of a language model's alignment is only its surface."""
