"""Descriptions of systems; their order; and the family that gives them a mark. All by kind and
settings: no name is parsed here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from veneer.foundation.system_id import SystemId

MAIN = ("base", "veneer", "aligned")
System = SystemId | str  # a text is a name that a legend writes or a person typed


class Kind(NamedTuple):
    """family: of `family`. about: what a system of this kind is. settings: those that `about`
    names; a system without them has no description. shape: of its mark, where it
    is not its family's."""

    family: str
    about: str
    settings: tuple[str, ...] = ()
    shape: str | None = None


# in reading order within each family
KINDS = {
    "base": Kind("base", "the base model in its own format"),
    "veneer": Kind("veneer", "the base model with the learned change of its LM head"),
    "aligned": Kind(
        "aligned",
        "the aligned model in its own format; beside a KL, the aligned model against itself: the "
        "noise floor",
    ),
    "veneer-joint": Kind(
        "variant",
        "the base model with the joint veneer, which was extracted from all tasks at once",
    ),
    "veneer-bias": Kind(
        "variant",
        "a constant added to the logits in place of dW h: what style alone can do",
        shape="cross",
    ),
    "veneer-rank": Kind("variant", "a veneer of rank {rank}", ("rank",)),
    "veneer-from": Kind("variant", "the veneer extracted on {task} alone", ("task",), "pentagon"),
    "shifted": Kind(
        "variant",
        "a model whose logits a small base's veneer shifts while it decodes, alpha {alpha}",
        ("alpha",),
        "plus",
    ),
    "baked": Kind(
        "variant", "the large base with that shift distilled into its own head", shape="star"
    ),
    "small-base": Kind(
        "baseline", "the small base model, which the transferred veneer belongs to", shape="down"
    ),
    "small-veneer": Kind("baseline", "the small base with its veneer", shape="pentagon"),
    "small-aligned": Kind(
        "baseline", "the small aligned model, which that veneer was extracted from"
    ),
    # an audit
    "audited": Kind("base", "the audited model"),
    "audited-veneer": Kind(
        "veneer", "the audited model with a new head, on prompts that the head has not seen"
    ),
    "reference": Kind("aligned", "the reference, which the audited model is compared with"),
    "only-head": Kind(
        "variant", "the audited model's head on the reference's states", shape="star"
    ),
    "only-layers": Kind(
        "variant", "the reference's head on the audited model's states", shape="pentagon"
    ),
    "patched-bottom": Kind("variant", "the audited model with the reference's lowest layers"),
    "patched-top": Kind(
        "variant", "the audited model with the reference's highest layers", shape="triangle"
    ),
    "patched-all": Kind(
        "variant", "the audited model with all of the reference's changed layers", shape="square"
    ),
    # a restoration
    "compromised": Kind("base", "the model that fine-tuning broke", shape="square"),
    "own": Kind("veneer", "the broken model with a veneer extracted for it"),
    "own-responses": Kind(
        "variant",
        "the broken model with a veneer extracted for it from answers alone",
        shape="pentagon",
    ),
    "head": Kind(
        "variant", "the broken model with the veneer of base added to its head", shape="star"
    ),
    "urial": Kind(
        "baseline", "base after URIAL's instructions and three examples; nothing is trained"
    ),
    "system-prompt": Kind(
        "baseline", "base after URIAL's instructions alone; nothing is trained", shape="down"
    ),
    "lora": Kind(
        "baseline",
        "a LoRA of base, tuned on {answers} answers of the aligned model",
        ("answers",),
        "star",
    ),
    "tuned": Kind("baseline", "base after training on {examples} examples", ("examples",)),
    "veneer-of-tuned": Kind(
        "variant",
        "base with the veneer of the model that was trained on {examples} examples",
        ("examples",),
    ),
    "program": Kind("baseline", "base with the program {view} {label}", ("view", "label")),
    "tuned-control": Kind(
        "control",
        "control: base after training on {examples} examples, {control}",
        ("examples", "control"),
    ),
    "shuffled": Kind(
        "control",
        "head-capacity control: a veneer fitted to hidden states shuffled within a response "
        "position, so that it can know the position but not the text",
    ),
    "base-chat": Kind(
        "control", "control: the base model in the aligned model's format", shape="cross"
    ),
    "aligned-plain": Kind(
        "control", "control: the aligned model in the base's format", shape="plus"
    ),
    "base-no-empty": Kind(
        "control",
        "control: the base model, barred from ending in its first 12 tokens",
        shape="down",
    ),
}
FIRST = (*MAIN, "veneer-joint", "veneer-bias")  # they open every table
FAMILIES = ("variant", "baseline", "control")  # and these follow
SHAPES = {  # of each family's marks
    "base": "ring",
    "veneer": "disc",
    "aligned": "diamond",
    "variant": "small ring",
    "baseline": "triangle",
    "control": "square",
}
_RANK = {kind: i for i, kind in enumerate(KINDS)}


def identity(system: System) -> SystemId:
    """The identity itself, or that of a name."""
    return SystemId.from_name(system) if isinstance(system, str) else system


def about(system: System) -> str | None:
    """Description of a system, or None for a kind that this table does not hold."""
    kind = _kind(system)
    return None if kind is None else kind.about.format(**dict(identity(system).settings))


def family(system: System) -> str:
    """base, veneer, aligned, variant (another veneer), control, or baseline (any other system)."""
    kind = KINDS.get(identity(system).kind)
    return "baseline" if kind is None else kind.family


def shape(system: System) -> str:
    """The shape of a system's mark: that of its kind, or else of its family."""
    kind = KINDS.get(identity(system).kind)
    return (kind and kind.shape) or SHAPES[family(system)]


def _kind(system: System) -> Kind | None:
    system = identity(system)
    kind = KINDS.get(system.kind)
    settings = [name for name, _ in system.settings]
    return kind if kind is not None and set(kind.settings) <= set(settings) else None


def order(systems: Mapping[str, SystemId] | Iterable[str]) -> list[str]:
    """Names in reading order: base, veneer, aligned, other veneers, baselines, controls; numbers
    in names by size. A mapping gives each name's identity."""
    identities = systems if isinstance(systems, Mapping) else {s: identity(s) for s in systems}
    return sorted(identities, key=lambda name: _place(name, identities[name]))


def _place(name: str, system: SystemId) -> tuple:
    if system.kind in FIRST:
        return (0, FIRST.index(system.kind))
    if family(system) in MAIN:
        return (0, MAIN.index(family(system)))
    group = 1 + FAMILIES.index(family(system))
    if family(system) == "control":
        return (group, _RANK[system.kind])
    return (group, system.kind == "veneer-from", _by_size(name))


def _by_size(name: str) -> list[tuple]:
    """A name as a sort key in which 16 stands behind 4."""
    words = (w for w in re.split(r"(\d+)", name) if w)
    return [(0, int(w), "") if w.isdigit() else (1, 0, w) for w in words]
