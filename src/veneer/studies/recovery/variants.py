"""The in-context variants by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from veneer.foundation.errors import InputError

DEFAULT_K = 3  # examples in the paper's prompts
FIXED = {
    "urial": "URIAL's examples with URIAL's answers",
    "urial-teacher": "URIAL's questions with the teacher's answers",
    "summary": (
        "URIAL's questions with the teacher's answers; before each answer its summary, also the "
        "test answer's"
    ),
    "summary-cot": (
        "URIAL's questions with the teacher's answers and their summaries; the model writes its "
        "own summary first"
    ),
}
CHOSEN = {
    "random": "other prompts at random with the teacher's answers",
    "knn-prompt": "nearest other prompts with the teacher's answers",
    "knn-response": (
        "other prompts whose teacher's answers are nearest to the teacher's answer to the "
        "test prompt"
    ),
}
ORACLES = {
    "knn-response": "oracle: it has seen the teacher's answer to the test prompt",
    "summary": "oracle: it has seen a summary of the teacher's answer to the test prompt",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """kind: a key of FIXED or CHOSEN. k: examples, for the chosen ones; the fixed have three."""

    kind: str
    k: int = DEFAULT_K

    @property
    def name(self) -> str:
        return self.kind if self.kind in FIXED else f"{self.kind}-{self.k}"

    @property
    def oracle(self) -> str | None:
        """Why its figures are no fair comparison, or None."""
        return ORACLES.get(self.kind)

    @property
    def about(self) -> str:
        return FIXED.get(self.kind) or f"the {self.k} {CHOSEN[self.kind]}"

    @property
    def chosen(self) -> bool:
        """Its examples are other prompts of the same set."""
        return self.kind in CHOSEN

    @property
    def summaries(self) -> bool:
        return self.kind.startswith("summary")

    @property
    def teacher_examples(self) -> bool:
        """It needs the teacher's answers to URIAL's questions."""
        return self.kind in FIXED and self.kind != "urial"


def parse_variant(name: str) -> Variant:
    """ "urial", "random-3", "knn-prompt" (3 examples). Raises InputError for any other name."""
    if name in FIXED:
        return Variant(name)
    found = re.fullmatch(rf"({'|'.join(CHOSEN)})(?:-([0-9]{{1,3}}))?", name)
    k = int(found[2]) if found and found[2] else DEFAULT_K
    if found is None or k < 1:
        known = ", ".join([*FIXED, *(f"{c}-K" for c in CHOSEN)])
        raise InputError(f"there is no in-context variant {name!r}; expected one of {known}")
    return Variant(found[1], k)


def parse_variants(names: str) -> list[Variant]:
    """Names separated by commas, each once; an empty text is none."""
    found = [parse_variant(n.strip()) for n in names.split(",") if n.strip()]
    twice = sorted({v.name for v in found if found.count(v) > 1})
    if twice:
        raise InputError(f"the variant {twice[0]} is named twice; name each variant once")
    return found
