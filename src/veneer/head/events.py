"""What an extraction logs: the steps of its searches, and remarks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from veneer.foundation.progress import Progress


@dataclass(frozen=True)
class SearchStep:
    """A step of the solver.

    stage: "ridge" (the choice of the ridge), "uncapped" (a warm start without the soft cap),
    "full", or "rank R". strength: the ridge tried, in units of `ExtractConfig.ridge` (stage "ridge"
    alone). ridge: the same in the objective. evaluation: passes over the data so far. select_kl: KL
    on the select part, in nats per token. seconds: since the stage began.
    """

    stage: str
    ridge: float
    evaluation: int
    objective: float
    gradient_norm: float
    select_kl: float
    seconds: float
    strength: float | None = None

    def to_json(self) -> dict[str, Any]:
        """One line of extract.log."""
        return {
            "stage": self.stage,
            **({} if self.strength is None else {"strength": self.strength}),
            "ridge": self.ridge,
            "evaluation": self.evaluation,
            "objective": self.objective,
            "gradient_norm": self.gradient_norm,
            "select_kl": self.select_kl,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class RecipeStep:
    """An epoch of the published recipe. seconds: without those spent on the select part."""

    learning_rate: float
    epoch: int
    select_kl: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """One line of extract.log."""
        return {
            "solver": "paper",
            "learning_rate": self.learning_rate,
            "epoch": self.epoch,
            "select_kl": self.select_kl,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Remark:
    """A sentence for whoever extracts."""

    kind: Literal["warning", "note"]
    text: str

    def to_json(self) -> dict[str, Any]:
        """One line of extract.log."""
        return {self.kind: self.text}


Event = SearchStep | RecipeStep | Remark
Log = Callable[[Event], None]


def solver_progress(progress: Progress | None) -> Log:
    """The solver's log as a progress line; its warnings go to the log."""

    def log(event: Event) -> None:
        if isinstance(event, Remark):
            logging.getLogger("veneer").warning("veneer: %s", event.text)
        elif progress and isinstance(event, SearchStep):
            what = f"extract: held-out {event.select_kl:.3f} nats per token"
            progress(event.evaluation, 0, what)

    return log
