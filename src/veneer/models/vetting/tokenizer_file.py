"""tokenizer.json before it is used: expressions that backtrack for ever, and steps that let a text
grow without bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.vetting.patterns import is_risky, least_width, splits_in_time

GROWTH = 64.0  # characters that one character of a text may become
PREPENDED = 10_000  # characters that may be put in front of a text
STEPS = 200  # of one pipeline
PADDED = 2**24  # tokens that a text may be padded to
MEND = "expected a tokenizer.json as a trainer wrote it: fetch the model again from its author"


def vet_tokenizer(path: Path, content: Any) -> None:
    """Raise InputError where using the tokenizer would take time or memory without bound. content:
    of tokenizer.json; what is of a wrong type is left for the library to refuse."""
    if not isinstance(content, dict):
        raise InputError(f"{path} is no JSON object; {MEND}")
    for stage in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        steps = list(_steps(content.get(stage)))
        if len(steps) > STEPS:
            raise InputError(
                f"{path} has {len(steps):,} steps in its {stage}, more than {STEPS}; {MEND}"
            )
        _check_growth(path, stage, steps)
        for step in steps:
            for pattern in _patterns(step):
                if is_risky(pattern) and not splits_in_time(pattern):
                    raise InputError(
                        f"{path} splits texts by the regular expression {_short(pattern)!r}, which "
                        f"runs without end or fails on some texts; {MEND}"
                    )
    padding = content.get("padding")
    strategy = padding.get("strategy") if isinstance(padding, dict) else None
    sizes = [strategy.get("Fixed") if isinstance(strategy, dict) else None]
    sizes.append(padding.get("pad_to_multiple_of") if isinstance(padding, dict) else None)
    if any(isinstance(size, int) and size > PADDED for size in sizes):
        raise InputError(f"{path} pads each text to more than {PADDED:,} tokens; {MEND}")


def _steps(stage: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The steps of a pipeline, those within sequences too."""
    if not isinstance(stage, dict) or depth > 50:
        return
    yield stage
    for name in ("normalizers", "pretokenizers", "processors", "decoders"):
        inner = stage.get(name)
        for step in inner if isinstance(inner, list) else ():
            yield from _steps(step, depth + 1)


def _patterns(step: dict[str, Any]) -> Iterator[str]:
    pattern = step.get("pattern")
    if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        yield pattern["Regex"]


def _check_growth(path: Path, stage: str, steps: list[dict[str, Any]]) -> None:
    growth, prepended = 1.0, 0
    for step in steps:
        kind, content = step.get("type"), step.get("content")
        if kind == "Replace" and isinstance(content, str):
            growth *= max(1.0, _growth(step.get("pattern"), content))
        elif kind == "Prepend" and isinstance(step.get("prepend"), str):
            prepended += len(step["prepend"])
    if growth > GROWTH or prepended > PREPENDED:
        what = (
            f"makes up to {growth:,.0f} characters of one"
            if growth > GROWTH
            else f"puts {prepended:,} characters in front of each text"
        )
        raise InputError(f"the {stage} in {path} {what}; {MEND}")


def _growth(pattern: Any, content: str) -> float:
    """How many characters replace one."""
    if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        least = least_width(pattern["Regex"])
    elif isinstance(pattern, dict) and isinstance(pattern.get("String"), str):
        least = len(pattern["String"])
    else:
        return 1.0
    return len(content) / least if least else 1.0 + len(content)


def _short(pattern: str) -> str:
    return pattern if len(pattern) <= 80 else f"{pattern[:80]}..."
