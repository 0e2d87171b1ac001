"""The settings of an extraction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.settings import Option, check_least, refuse_unused


@dataclass(frozen=True, slots=True)
class PaperRecipe:
    """The published recipe (arXiv 2502.04602): Adam, learning rate 1e-5, batches of 1,000 tokens,
    500 to 1,000 epochs, dense, no tail.

    One difference: dW starts at zero, not at the framework's random numbers, which rows and
    directions that the data do not reach would keep for ever.
    """

    learning_rate: Annotated[float, Option(hidden=True)] = 1e-5
    """Learning rate of Adam."""
    batch: Annotated[int, Option(hidden=True)] = 1000
    """Tokens of one batch."""
    epochs: int = 500
    """Epochs of --solver paper."""

    def __post_init__(self) -> None:
        check_least(self, 1, "epochs")


@dataclass(frozen=True, slots=True)
class ExtractConfig:
    """How a veneer is extracted from a capture."""

    output: Literal["logit", "hidden", "bias"] = "logit"
    """What is learned: dW itself, M with dW = W M (h becomes h + M h), or a constant vector in
    place of dW h."""
    direct: bool = False
    """Shrink W + dW towards zero, not dW (the published "direct" variants)."""
    rank: int | None = None
    """Rank of the veneer. Default: dense."""
    ridge: float | None = None
    """Prior precision of dW, in units of the mean square of a hidden state's entries, divided by
    the number of train tokens. Default: chosen on the select part."""
    ridges: Annotated[tuple[float, ...], Option(hidden=True)] = (1.0, 0.1)
    """Values of `ridge` to choose among."""
    row_threshold: float = 1e-3
    """Vocabulary rows that neither model ever gives more than this probability stay as they are; 0
    lets all change."""
    stop: Literal["select", "optimum"] = "select"
    """End when the select part gains no more, or at the optimum of the objective."""
    max_evaluations: Annotated[int, Option(hidden=True)] = 120
    """Most evaluations of the objective."""
    patience: Annotated[int, Option(hidden=True)] = 4
    """Evaluations without a gain on the select part before the solver ends."""
    dtype: Annotated[Literal["float32", "float64"], Option(hidden=True)] = "float32"
    """Number type of the computation."""
    solver: Literal["lbfgs", "paper"] = "lbfgs"
    """lbfgs, or the published recipe (Adam, 1e-5, batches of 1,000 tokens) for comparison."""
    recipe: PaperRecipe = field(default_factory=PaperRecipe)
    tasks: Annotated[tuple[str, ...] | None, Option(commas=True)] = None
    """Use only the prompts of these tasks, separated by commas. Default: all prompts."""
    shuffled: bool = False
    """Fit the head-capacity control: hidden states shuffled within a response position."""
    seed: int = 0
    """Seed of the split into train, select and report prompts."""

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise SettingError(
                "rank", f"is {self.rank}; expected 1 or more, or none for a dense veneer"
            )
        check_least(self, 0, "ridge", "seed")
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
        if self.solver == "paper":
            names = ("output", "direct", "ridge", "row_threshold", "stop")
            refuse_unused(self, "with --solver paper", *names)
        else:
            refuse_unused(self.recipe, "without --solver paper")
        if self.output == "hidden":
            refuse_unused(self, "with --output hidden", "row_threshold")
        if not 0 <= self.row_threshold < 1:
            raise SettingError(
                "row_threshold",
                f"is {self.row_threshold}; expected a probability, from 0 to below 1",
            )

    def facts(self) -> dict[str, Any]:
        return asdict(self)
