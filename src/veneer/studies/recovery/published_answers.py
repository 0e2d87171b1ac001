"""The published folder of answers (LIMA-OE/outputs of arXiv 2406.17692): which file
is which system."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from veneer.foundation.errors import InputError

BASE = "llama-2-base"
TEACHER = "llama-2-chat"
FENCED = ("# Query:", "# Instructions:")  # how a base model's prompt begins, alone or in context


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


def paper_layout(folder: Path, teacher: str = TEACHER, base: str = BASE) -> Layout:
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
    for needed in (base, teacher):
        if needed not in files:
            names = ", ".join(files) or "none"
            raise InputError(
                f"{folder} holds no answers of {needed}; expected outputs/{needed}/samples.jsonl, "
                f"found {names}"
            )
    if base == teacher:
        raise InputError(
            f"{base} is both base and teacher; expected two systems: give another --teacher or "
            "--base-name"
        )
    responses = {name: path for name, path in files.items() if name != teacher}
    scores = (
        sorted((outputs.parent / "bertscore" / "outputs").glob(f"{teacher}--*.json"))
        if outputs
        else []
    )
    oracles = [n for n in responses if _oracle(n)]
    peers = [n for n in responses if n not in (base, *oracles) and _aligned(n, responses[n])]
    return Layout((teacher, files[teacher]), responses, base, peers, oracles, scores)


def _aligned(name: str, path: Path) -> bool:
    """Whether the system is a model that was tuned to answer: it read a chat template or an API's
    messages. A base model, alone or in context, read the fenced form, which the file shows; a name
    decides where the file holds no prompts."""
    if "-icl" in name or name.endswith("-base"):
        return False
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                return True  # the reader of the answers says what is wrong with it
            prompt = row.get("prompt") if isinstance(row, dict) else None
            if isinstance(prompt, str):
                return not prompt.lstrip().startswith(FENCED)
    return True


def _oracle(name: str) -> bool:
    """Whether the system has seen a test answer: its examples are nearest by the teacher's answer,
    or it was shown a summary of that answer. An own summary (cot) has seen nothing."""
    seen = "output_similar" in name or "response_similar" in name or "knn-response" in name
    return seen or ("summary" in name and not name.endswith("-cot"))
