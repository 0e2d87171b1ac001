"""Names of systems: what they are, their order, and the family that gives them a mark."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAIN = ("base", "veneer", "aligned")
CONTROLS = ("shuffled", "base-chat", "aligned-plain", "base-no-empty")

_ABOUT = (
    (r"base", "the base model in its plain format"),
    (r"veneer", "the base model with the learned change of its LM head"),
    (
        r"aligned",
        (
            "the aligned model in its chat format; beside a KL, the aligned model against itself: "
            "the noise floor"
        ),
    ),
    (
        r"veneer-joint",
        "the base model with the joint veneer, which was extracted from all tasks at once",
    ),
    (r"veneer-bias", "a constant added to the logits in place of dW h: what style alone can do"),
    (r"veneer-rank-(\d+)", "a veneer of rank {0}"),
    (r"veneer-from-(.+)", "the veneer extracted on {0} alone"),
    (
        r"shifted-(.+)",
        "a model whose logits a small base's veneer shifts while it decodes, alpha {0}",
    ),
    (r"baked", "the large base with that shift distilled into its own head"),
    (r"small-base", "the small base model, which the transferred veneer belongs to"),
    (r"small-veneer", "the small base with its veneer"),
    (r"small-aligned", "the small aligned model, which that veneer was extracted from"),
    (r"urial", "base behind URIAL's instructions and three examples; nothing is trained"),
    (r"system-prompt", "base behind URIAL's instructions alone; nothing is trained"),
    (r"lora-(\d+)", "a LoRA of base, tuned on {0} answers of the aligned model"),
    (
        r"shuffled",
        "head-capacity control: a veneer fitted to hidden states shuffled within a response "
        "position, so that it can know the position but not the text",
    ),
    (r"base-chat", "control: the base model in the aligned model's format"),
    (r"aligned-plain", "control: the aligned model in the base's format"),
    (r"base-no-empty", "control: the base model, barred from ending in its first 12 tokens"),
)
_RANK = {name: i for i, name in enumerate((*MAIN, "veneer-joint", "veneer-bias"))}


def about(system: str) -> str | None:
    """What a system is, or None for a name that says itself."""
    for pattern, text in _ABOUT:
        match = re.fullmatch(pattern, system)
        if match:
            return text.format(*match.groups())
    return None


def family(system: str) -> str:
    """base, veneer, aligned, variant (another veneer), control, or baseline (any other system)."""
    if system in MAIN:
        return system
    if system.startswith(("veneer", "shifted-", "baked")):
        return "variant"
    return "control" if system in CONTROLS else "baseline"


def order(systems: Iterable[str]) -> list[str]:
    """Reading order: base, veneer, aligned, other veneers, baselines, controls; numbers
    in names by size."""
    return sorted(dict.fromkeys(systems), key=_place)


def _place(system: str) -> tuple:
    if system in _RANK:
        return (0, _RANK[system])
    if system in CONTROLS:
        return (3, CONTROLS.index(system))
    words = [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in re.split(r"(\d+)", system) if w]
    return (1 if family(system) == "variant" else 2, "from" in system, words)
