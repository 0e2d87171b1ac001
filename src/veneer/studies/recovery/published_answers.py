"""The published folder of answers (LIMA-OE/outputs of arXiv 2406.17692): which file
is which system."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError

BASE = "llama-2-base"
TEACHER = "llama-2-chat"


@dataclass(frozen=True, slots=True)
class Layout:
    """teacher, responses: names and files. base: the scale's zero. peers: the other aligned models.
    oracles: systems in context that have seen the test answers. scores: stored BERTScore files with
    this teacher as reference."""

    teacher: tuple[str, Path]
    responses: dict[str, Path]
    base: str
    peers: list[str]
    oracles: list[str]
    scores: list[Path]


def paper_layout(folder: Path, teacher: str = TEACHER) -> Layout:
    """folder: the data's root (with LIMA-OE), one set's folder (with outputs), or the outputs
    folder. Raises InputError where it holds no answers of base and teacher."""
    outputs = next(
        (
            p
            for p in (folder / "LIMA-OE" / "outputs", folder / "outputs", folder)
            if any(p.glob("*/samples.jsonl"))
        ),
        None,
    )
    files = {p.parent.name: p for p in sorted(outputs.glob("*/samples.jsonl"))} if outputs else {}
    for needed in (BASE, teacher):
        if needed not in files:
            found = ", ".join(files) or "none"
            raise InputError(
                f"{folder} holds no answers of {needed}; expected outputs/{needed}/samples.jsonl, "
                f"found {found}"
            )
    responses = {name: path for name, path in files.items() if name != teacher}
    scores = (
        sorted((outputs.parent / "bertscore" / "outputs").glob(f"{teacher}--*.json"))
        if outputs
        else []
    )
    return Layout(
        (teacher, files[teacher]),
        responses,
        BASE,
        _peers(responses),
        [n for n in responses if _oracle(n)],
        scores,
    )


def _peers(names: Iterable[str]) -> list[str]:
    """Aligned models: neither the base nor the base in context."""
    return [n for n in names if n != BASE and not n.startswith(f"{BASE.removesuffix('-base')}-icl")]


def _oracle(name: str) -> bool:
    """Nearest by the teacher's answer, or with a summary of it; an own summary (cot)
    has seen nothing."""
    return "icl" in name and (
        "output_similar" in name
        or "response" in name
        or ("summary" in name and not name.endswith("-cot"))
    )
