"""Folders that Veneer 0.1 made: run.json holds the rule of the choice, and what each part has seen,
in words. Their rows need nothing: no note of a transfer was ever read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rule_of_0_1(choice: Mapping[str, Any]) -> str:
    """The rule, which such a folder holds in words."""
    return str(choice.get("rule", ""))


def fairness_of_0_1(value: Any) -> list[str]:
    """The sentences, if any; nothing about the value is assumed."""
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
