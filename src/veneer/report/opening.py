"""What a page opens with: its title, which is the question that its studies ask, and each study's finding in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from veneer.report import tables, words
from veneer.report.part import Part
from veneer.report.sections.restore import verdict_lines
from veneer.report.sections.transfer import choice

TITLES = {  # by a study of the rows; the first that a folder has
    "transfer": "How far does a small model's veneer carry a larger model?",
    "restore": "Can the alignment that fine-tuning broke be put back?",
    "measure": "How much of the alignment is only its surface?",
    "extract": "How much of the alignment is only its surface?",
    "audit": "How far has a fine-tuned model's surface moved?",
}
COMPARED = "A base model and its aligned model, compared"  # studies that ask something else, or several that ask different things


def title(parts: Sequence[Part]) -> str:
    """The question of all parts, where they ask one."""
    asked = {next((text for study, text in TITLES.items() if part.of(study)), COMPARED) for part in parts}
    return asked.pop() if len(asked) == 1 else COMPARED


def headline(part: Part) -> list[tables.Group]:
    """The portions that lead in a folder."""
    return tables.headline(part.of("measure", metric="portion"))


def lead(part: Part) -> Markup:
    """The finding; empty where there is none that one sentence holds."""
    if part.of("restore"):
        return _verdicts(part)
    groups = headline(part)
    if not groups:
        return Markup()
    if not part.of("transfer"):
        return words.lead(groups, part.anchor)
    chosen = choice(part)
    gives = "The small model's veneer gives the large one"
    return words.lead(groups, part.anchor, chosen["system"], gives) if chosen else Markup()


def _verdicts(part: Part) -> Markup:
    """Each word of the verdicts with its ways."""
    found: dict[str, list[Markup]] = {}
    for line in verdict_lines(part):
        found.setdefault(line.word, []).append(escape(words.name(line.way)))
    said = [Markup("{} by {}").format(words.name(word), words.listed(ways)) for word, ways in found.items()]
    return Markup("The verdicts: {}.").format(Markup("; ").join(said)) if said else Markup()
