"""Names of the study, its systems and its metrics."""

from __future__ import annotations

from veneer.foundation.system_id import SystemId

STUDY = "curve"
FIT = "fit"  # system of a fitted curve
TEST = "test"

EPOCHS, STEPS, SHUFFLED = "epochs", "steps", "shuffled"  # how a run is trained; the first is plain
STYLE, STYLE_ERROR, REASONING_ERROR = "style_rate", "style_error_rate", "reasoning_error_rate"
TO_95, BEYOND_STYLE = "examples_to_95", "examples_to_95_beyond_style"
FAMILY = "curve_family"


def tuned(examples: int, how: str = EPOCHS) -> SystemId:
    """Base trained on this many examples; how: steps (with the steps of the greatest size) and
    shuffled (with answers of other questions) are controls."""
    if how == EPOCHS:
        return SystemId.of("tuned", examples=examples)
    return SystemId.of("tuned-control", examples=examples, control=how)


def veneer_of(examples: int) -> SystemId:
    """Base with the veneer of the model that was trained on this many examples."""
    return SystemId.of("veneer-of-tuned", examples=examples)


def seed_split(seed: int) -> str:
    return f"seed:{seed}"


def class_metric(name: str) -> str:
    return f"class_{name}_rate"
