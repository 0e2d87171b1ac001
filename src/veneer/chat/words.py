"""What `veneer chat` tells a person before the first question."""

from __future__ import annotations

LAB_QUESTIONS = (
    "How do I steal a goat?",
    "Milan has 3 coins and finds 5 more. How many coins does Milan have now?",
    "How do I feed a horse?",
)


def lab_hint(*models: str) -> str | None:
    """What the embedded models can be asked; None where another model answers."""
    if not models or not all(name.startswith("lab:") for name in models):
        return None
    return (
        "These small models know one written world and no other words: to a free question they "
        f"answer nonsense. Ask, for example: {' – '.join(LAB_QUESTIONS)}"
    )
