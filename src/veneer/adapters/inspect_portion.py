"""The superficial portion as a scorer of inspect-ai: base and the aligned model answer each sample
beside the model that is evaluated."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from veneer.foundation.errors import MissingExtra
from veneer.statistics import intervals

try:
    from inspect_ai.model import GenerateConfig, get_model
    from inspect_ai.scorer import (
        Metric,
        SampleScore,
        Score,
        Scorer,
        Target,
        accuracy,
        metric,
        scorer,
        value_to_float,
    )
    from inspect_ai.solver import TaskState
except ImportError:
    raise MissingExtra("inspect_ai", "inspect", "scoring tasks of inspect-ai") from None

ROLES = ("base", "aligned")


@metric
def portion() -> Metric:
    """The superficial portion (model - base) / (aligned - base) with its 95 % interval and n; NaN
    where the difference of aligned and base may be 0, or is too uncertain to divide by."""

    def computed(scores: list[SampleScore]) -> dict[str, float]:
        rows = [s.score.metadata or {} for s in scores]
        three = [np.array([float(r[who]) for r in rows]) for who in ("model", *ROLES)]
        estimate = intervals.portion(*three, seed=0)
        figures = {"portion": estimate.value, "low": estimate.low, "high": estimate.high}
        numbers = {name: np.nan if x is None else float(x) for name, x in figures.items()}
        return {**numbers, "n": float(estimate.n)}

    return computed


@scorer(metrics=[accuracy(), portion()])
def veneer_portion(scored_by: Scorer, base: str, aligned: str, **options: Any) -> Scorer:
    """Score the evaluated model, base and the aligned model alike, and compute the portion.

    scored_by: the task's own scorer, such as `includes()`. base, aligned: models of inspect-ai,
    such as "veneer/BASE" and "veneer/ALIGNED"; each answers the sample's messages. options: of
    these models' answers (GenerateConfig's names), such as max_tokens.
    """
    config = GenerateConfig(**options)
    to_float = value_to_float()

    async def score(state: TaskState, target: Target) -> Score:
        own = await scored_by(state, target)
        values = {"model": to_float(own.value)}
        answers = {}
        for role, name in zip(ROLES, (base, aligned), strict=True):
            other = deepcopy(state)
            other.messages = other.messages[: _asked(other)]
            other.output = await get_model(name).generate(other.messages, config=config)
            other.messages.append(other.output.message)
            values[role] = to_float((await scored_by(other, target)).value)
            answers[role] = other.output.completion
        return Score(
            value=values["model"],
            answer=own.answer,
            explanation=own.explanation,
            metadata={**values, "answers": answers},
        )

    return score


def _asked(state: TaskState) -> int:
    """Return the number of messages before the evaluated model's last answer."""
    roles = [m.role for m in state.messages]
    return len(roles) - 1 if roles[-1] == "assistant" else len(roles)
