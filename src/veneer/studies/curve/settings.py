"""The settings of a curve study."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option
from veneer.measures.config import StudyConfig

SIZES = (0, 16, 64, 256)
RATES = {"lora": 1e-3, "full": 1e-4}


@dataclass(frozen=True, kw_only=True)
class CurveSettings:
    """How base is trained on more and more examples."""

    sizes: Annotated[tuple[int, ...], Option(commas=True)] = SIZES
    """Numbers of examples; 0 is base itself. Where there are fewer than 256 examples, the default
    ends with all of them."""
    seeds: int = 3
    """Training runs per size, each with examples of its own; their spread is part of every
    interval."""
    teach: Literal["reference", "aligned"] = "reference"
    """Whose answers base learns: those of the data (reference), or the aligned model's."""
    method: Literal["lora", "full"] = "lora"
    """What is trained: an adapter on every linear layer but the head (lora), or all weights
    (full)."""
    from_layer: int = 0
    """The lowest layer that is trained, counted from 0."""
    budget: Literal["epochs", "steps"] = "epochs"
    """epochs: the published passes and batches, so that more examples mean more steps. steps: also
    train each size with as many steps as the greatest one takes, as a control."""
    shuffled: bool = False
    """Also train the greatest size on answers of other questions, as a control: style can be
    learned from them, skill cannot."""
    veneers: bool = False
    """Also extract a veneer from every trained model: how much of it is surface, by number of
    examples."""
    over_refusal: bool = True
    """Over-refusal beside refusal: xstest beside advbench, lab-harmless beside lab-requests.
    --no-over-refusal leaves it out."""
    epochs: int = 3
    """Passes over the examples (published: 3)."""
    batch: int | None = None
    """Examples of one step. Default: as published, 2 up to 100 examples, 8 up to 1,000, then 16."""
    rate: float | None = None
    """Learning rate. Default: 0.001 for lora, 0.0001 for full."""
    rank: int = 16
    """Rank of the adapter."""

    def __post_init__(self) -> None:
        """Raises InputError for a number out of range."""
        if not self.sizes or any(s < 0 for s in self.sizes):
            shown = ", ".join(map(str, self.sizes)) or "empty"
            raise InputError(f"--sizes is {shown}; expected whole numbers from 0 on")
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[-1] == 0:
            raise InputError(
                f"--sizes is {', '.join(map(str, self.sizes))}; expected rising numbers, at least "
                "one above 0"
            )
        for name in ("seeds", "epochs", "batch", "rank"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} is {value}; expected 1 or more")
        if self.from_layer < 0:
            raise InputError(f"--from-layer is {self.from_layer}; expected 0 or more")
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise InputError(f"--rate is {self.rate}; expected a learning rate above 0")

    def within(self, examples: int) -> CurveSettings:
        """The same, with the default sizes ending at `examples` where there are fewer than the
        greatest of them. Sizes of a user's own stay as they are."""
        if self.sizes != SIZES or not 0 < examples < SIZES[-1]:
            return self
        return replace(self, sizes=(*(s for s in SIZES if s < examples), examples))

    @property
    def largest(self) -> int:
        return self.sizes[-1]

    def batch_of(self, examples: int) -> int:
        """Examples of one step (Raghavendra et al. 2024: 2, 8 and 16)."""
        if self.batch is not None:
            return self.batch
        return 2 if examples <= 100 else 8 if examples <= 1000 else 16

    def steps_of(self, examples: int) -> int:
        """Steps that a size takes in `epochs` passes."""
        return self.epochs * -(-examples // self.batch_of(examples))

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class CurveConfig(StudyConfig):
    """How answers are drawn and compared."""

    samples: Annotated[int, Option(hidden=True)] = 1
    temperature: Annotated[float, Option(hidden=True)] = 0.0
    baselines: Annotated[str, Option(hidden=True)] = ""
    own: Annotated[bool, Option(hidden=True)] = False
    controls: Annotated[bool, Option(hidden=True)] = False
    train_prompts: Annotated[int | None, Option(name="train")] = 200
    """Train prompts of each task from which a veneer is extracted, with --veneers."""
