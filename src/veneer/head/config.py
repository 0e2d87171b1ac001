"""The settings of an extraction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from veneer.foundation.errors import InputError


@dataclass(frozen=True, slots=True)
class PaperRecipe:
    """arXiv 2502.04602: Adam, learning rate 1e-5, batches of 1,000 tokens, 500 to 1,000
    epochs, dense, no tail.

    One difference: dW starts at zero, not at the framework's random numbers, which rows and
    directions that the data do not reach would keep for ever.
    """

    learning_rate: float = 1e-5
    batch: int = 1000
    epochs: int = 500

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"epochs is {self.epochs}; expected 1 or more")


@dataclass(frozen=True, slots=True)
class ExtractConfig:
    """output: "logit" learns dW itself, "hidden" learns M with dW = W M (h -> h + M h), "bias"
    learns a constant vector in place of dW h. direct: shrink W + dW, not dW, towards zero (the
    published "direct" variants). rank: of a low-rank dW, None for a dense one.

    ridge: prior precision of dW in units of the mean square of a hidden state's entries, divided by
    the number of train tokens in the objective; None chooses among `ridges` on the select part.
    row_threshold: rows that neither model ever gives more than this probability stay fixed; 0 lets
    every row change. stop: "select" ends when the select part no longer gains, "optimum" goes on to
    the optimum of the objective. solver: "lbfgs", or "paper" for the published recipe. tasks: only
    these tasks' prompts. shuffled: fit the head-capacity control (hidden states shuffled within a
    response position).
    """

    output: Literal["logit", "hidden", "bias"] = "logit"
    direct: bool = False
    rank: int | None = None
    ridge: float | None = None
    ridges: tuple[float, ...] = (1.0, 0.1)
    row_threshold: float = 1e-3
    stop: Literal["select", "optimum"] = "select"
    max_evaluations: int = 120
    patience: int = 4
    dtype: Literal["float32", "float64"] = "float32"
    solver: Literal["lbfgs", "paper"] = "lbfgs"
    recipe: PaperRecipe = field(default_factory=PaperRecipe)
    tasks: tuple[str, ...] | None = None
    shuffled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise InputError(f"rank is {self.rank}; expected 1 or more, or none for a dense veneer")
        if self.rank is not None and (
            self.output != "logit" or self.direct or self.solver != "lbfgs"
        ):
            raise InputError(
                "a low-rank veneer is extracted with output 'logit', residual, by lbfgs; leave "
                "the other options out"
            )
        if self.output == "bias" and (self.direct or self.solver != "lbfgs"):
            raise InputError(
                "a bias-only veneer is extracted residual and by lbfgs; leave the other options out"
            )
        if self.ridge is not None and not self.ridge >= 0:
            raise InputError(f"ridge is {self.ridge}; expected 0 or more")
        if not 0 <= self.row_threshold < 1:
            raise InputError(f"row_threshold is {self.row_threshold}; expected a probability")

    def facts(self) -> dict[str, Any]:
        return asdict(self)
