"""The parts of a text: reasoning and answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResponseParts:
    """reasoning: the thoughts without their marks, an empty line between two of them; None where
    the text holds none. answer: the rest, from its first letter on where there were thoughts,
    otherwise the whole text. closed: False where the text ends within a thought."""

    reasoning: str | None
    answer: str
    closed: bool = True

    @property
    def unfinished(self) -> bool:
        """There is reasoning, but no answer: neither a refusal nor compliance."""
        return is_unfinished(self.reasoning, self.answer)


def is_unfinished(reasoning: str | None, answer: str) -> bool:
    """Return the same for parts that are stored separately."""
    return reasoning is not None and not answer.strip()


def joined(thoughts: list[str], *, closed: bool) -> str | None:
    """Several thoughts as one text. Thoughts that were opened and closed again without a word are
    none; one that is still open counts."""
    words = [t.strip() for t in thoughts if t.strip()]
    return "\n\n".join(words) if words or not closed else None
