"""The settings of a complexity study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option
from veneer.measures.config import StudyConfig

VIEWS = ("head", "text", "lora", "data")
GIVEN = ("base", "aligned")
TEXTS = ("system-prompt", "urial")


@dataclass(frozen=True, kw_only=True)
class ProgramSettings:
    """Which programs are made, and which scores their bits are reported for."""

    programs: Annotated[tuple[str, ...], Option(commas=True)] = VIEWS
    """Kinds of programs: head (a low-rank change of the LM head), text (a prompt), lora (an
    adapter), data (examples that the decoder trains on)."""
    given: Annotated[tuple[str, ...], Option(commas=True)] = ("base",)
    """Models that a program may call: base, and with `aligned` also the aligned model, for which
    the empty program is measured."""
    levels: Annotated[tuple[float, ...], Option(commas=True)] = (0.5, 0.9)
    """Scores whose complexity is reported."""
    ranks: Annotated[tuple[int, ...], Option(commas=True)] = (1, 2, 4, 8, 16)
    """Ranks of head programs."""
    steps: Annotated[tuple[int, ...], Option(hidden=True)] = (0, -1, -2, -3)
    """Rounding steps of head programs in logits, as powers of two."""
    prices: Annotated[tuple[float, ...], Option(hidden=True)] = (0.0, 3e-6, 3e-5)
    """Gains in nats per token and bit that a row of a head program must have."""
    keep: int = 6
    """Head programs that are measured: those nearest to the front on the select part."""
    texts: Annotated[tuple[str, ...], Option(commas=True)] = TEXTS
    """Prompts of text programs: system-prompt (URIAL's instructions), urial (with its three
    examples)."""
    text_examples: Annotated[tuple[int, ...], Option(commas=True)] = (2, 8)
    """Numbers of prompts and answers in text programs."""
    data_examples: Annotated[tuple[int, ...], Option(commas=True)] = (8, 32)
    """Numbers of prompts and answers in data programs. The train part bounds them."""
    lora_ranks: Annotated[tuple[int, ...], Option(commas=True)] = (1, 4)
    """Ranks of LoRA programs."""
    lora_steps: Annotated[tuple[float, ...], Option(hidden=True)] = (1.0, 0.25)
    """Rounding steps of LoRA programs, in root mean squares of a matrix."""
    epochs: int = 4
    """Passes over the examples of LoRA and data programs. Training takes most of the time."""
    batch: Annotated[int, Option(hidden=True)] = 4
    """Examples of one step of LoRA and data programs."""
    rates: Annotated[tuple[float, ...], Option(commas=True)] = (4e-3, 2e-2)
    """Learning rates of LoRA and data programs, among which the select part chooses; each is one
    more training."""
    over_refusal: bool = True
    """Over-refusal beside refusal: xstest beside advbench, lab-harmless beside lab-requests.
    --no-over-refusal leaves it out."""

    def __post_init__(self) -> None:
        for name, known in (("programs", VIEWS), ("given", GIVEN), ("texts", TEXTS)):
            for word in getattr(self, name):
                if word not in known:
                    raise InputError(
                        f"--{name} names {word!r}; expected some of {', '.join(known)}"
                    )
        if not self.programs:
            raise InputError(f"--programs is empty; expected some of {', '.join(VIEWS)}")
        if "base" not in self.given:
            raise InputError("--given lacks base, whose programs are measured; add it")
        if not self.levels or any(not 0 < level <= 1 for level in self.levels):
            raise InputError(
                f"--levels is {', '.join(map(str, self.levels)) or 'empty'}; expected scores above "
                "0 and up to 1"
            )
        if not self.rates or any(not 0 < rate < math.inf for rate in self.rates):
            raise InputError(
                f"--rates is {', '.join(map(str, self.rates)) or 'empty'}; expected learning rates "
                "above 0"
            )
        for name in (
            "ranks",
            "text_examples",
            "data_examples",
            "lora_ranks",
            "keep",
            "epochs",
            "batch",
        ):
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers or min(numbers) < 1:
                shown = ", ".join(map(str, numbers)) or "empty"
                option = name.replace("_", "-")
                raise InputError(f"--{option} is {shown}; expected whole numbers from 1 on")


@dataclass(frozen=True, kw_only=True)
class ComplexityConfig(StudyConfig):
    """How prompts are captured, and how answers are drawn and compared."""

    samples: Annotated[int, Option(hidden=True)] = 1
    temperature: Annotated[float, Option(hidden=True)] = 0.0
    baselines: Annotated[str, Option(hidden=True)] = ""
    own: Annotated[bool, Option(hidden=True)] = False
    controls: bool = True
    """Controls beside the head programs: shuffled and bias, coded alike. --no-controls leaves them
    out."""
