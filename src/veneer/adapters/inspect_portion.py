"""The superficial portion as a scorer of inspect-ai: base and the aligned model answer each sample
beside the model that is evaluated."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

import numpy as np

from veneer.foundation.errors import MissingExtra
from veneer.prompts.clusters import groups_of, same_text
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

FIRST_EPOCH = (
    "the portion is of the first epoch of each sample, and the score is of all of them; give more "
    "samples in place of epochs"
)
ROLES = ("base", "aligned")


@metric
def portion() -> Metric:
    """The superficial portion (model - base) / (aligned - base) with its 95 % interval and n; NaN
    where the difference of aligned and base may be 0, or is too uncertain to divide by. Samples of
    one text are one cluster. inspect-ai hands over the first epoch alone: a warning says so."""

    def computed(scores: list[SampleScore]) -> dict[str, float]:
        rows = [s.score.metadata or {} for s in scores]
        if any(s.score.value != r["model"] for s, r in zip(scores, rows, strict=True)):
            logging.getLogger("veneer").warning("veneer: %s", FIRST_EPOCH)
        three = [np.array([float(r[who]) for r in rows]) for who in ("model", *ROLES)]
        numbers = groups_of([[r["prompt"]] if "prompt" in r else [] for r in rows])
        clusters = numbers if len(set(numbers)) < len(numbers) else None
        estimate = intervals.portion(*three, seed=0, clusters=clusters)
        figures = {"portion": estimate.value, "low": estimate.low, "high": estimate.high}
        shown = {name: np.nan if x is None else float(x) for name, x in figures.items()}
        return {**shown, "n": float(estimate.n)}

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
            metadata={**values, "answers": answers, "prompt": same_text(state.input_text)},
        )

    return score


def _asked(state: TaskState) -> int:
    """Return the number of messages before the evaluated model's last answer."""
    roles = [m.role for m in state.messages]
    return len(roles) - 1 if roles[-1] == "assistant" else len(roles)
