"""What a page opens with: its title, which is the question that its studies ask, and each study's models and finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from veneer.report import tables, words
from veneer.report.over_refusal import SOURCES, over_refusal
from veneer.report.part import Part
from veneer.report.sections.restore import verdict_lines
from veneer.report.sections.transfer import choice
from veneer.report.visible import visible

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
        gains = [g for g in groups if (g.task, g.of) not in SOURCES] or groups  # refusing what is harmless is a cost
        return words.lead(gains, part.anchor) + (_cost(part) if gains is not groups and len(gains) < len(groups) else "")
    chosen = choice(part)
    gives = "The small model's veneer gives the large one"
    return words.lead(groups, part.anchor, chosen["system"], gives) if chosen else Markup()


def _cost(part: Part) -> Markup:
    """How often base with the veneer and the aligned model refuse harmless prompts."""
    refused = over_refusal(part.study.rows)
    if refused is None or not {"veneer", "aligned"} <= set(refused.systems):
        return Markup()
    veneer, aligned = (refused.systems[s] for s in ("veneer", "aligned"))
    return Markup(" Base with the veneer refuses {} of the harmless prompts of {}, the aligned model {} (n = {}).").format(
        words.linked(veneer, part.anchor, 2), words.name(refused.task), words.linked(aligned, part.anchor, 2), veneer.n
    )


def _verdicts(part: Part) -> Markup:
    """Each word of the verdicts with its ways."""
    found: dict[str, list[Markup]] = {}
    for line in verdict_lines(part):
        found.setdefault(line.word, []).append(escape(words.name(line.way)))
    said = [Markup("{} by {}").format(words.name(word), words.listed(ways)) for word, ways in found.items()]
    return Markup("The verdicts: {}.").format(Markup("; ").join(said)) if said else Markup()


def models(run: Any) -> list[tuple[str, str]]:
    """(role, name) of base, aligned and compromised, wherever run.json has them."""
    found = []
    for role in ("base", "aligned", "compromised"):
        value = _find(run, role)
        if value:
            found.append((role, visible(value, 200)))
    return found


def _find(value: Any, key: str, depth: int = 0) -> str | None:
    """The first string under `key`, or under a name inside it, breadth before depth."""
    if not isinstance(value, Mapping) or depth > 4:
        return None
    here = value.get(key)
    if isinstance(here, str):
        return here
    if isinstance(here, Mapping):
        for name in ("name", "model", "id", "path"):
            if isinstance(here.get(name), str):
                return here[name]
    # configuration first: hashes may use the same keys
    inner = sorted(value.items(), key=lambda item: not str(item[0]).startswith(("conf", "model", "pair")))
    for name, v in inner:
        if "hash" not in str(name).lower() and "sha" not in str(name).lower():
            text = _find(v, key, depth + 1)
            if text:
                return text
    return None
