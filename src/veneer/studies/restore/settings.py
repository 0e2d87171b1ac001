"""The settings of a restoration."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.settings import Option, check_least
from veneer.head.config import ExtractConfig
from veneer.systems.alpha import Alpha, alphas_of_setting
from veneer.systems.attack_config import AttackConfig

METHODS = ("head", "shifted", "own", "own-responses", "urial")
HEAD_METHODS = ("head", "own", "own-responses")  # change the head, so they give a checkpoint
BASE_METHODS = ("head", "shifted")  # use the veneer of base
OWN_METHODS = ("own", "own-responses")  # extract a veneer for the compromised model itself


@dataclass(frozen=True)
class Weights:
    """Weights of the three terms of the loss that a method's settings are chosen by."""

    harm: float = 1.0
    over_refusal: float = 1.0
    capability: float = 1.0

    def __post_init__(self) -> None:
        """Raises InputError for a negative or infinite weight, and where all are 0."""
        values = (self.harm, self.over_refusal, self.capability)
        if any(not (math.isfinite(w) and w >= 0) for w in values) or not sum(values):
            raise SettingError(
                "weights",
                f"is {', '.join(f'{w:g}' for w in values)}; expected three numbers of 0 or more, "
                "not all 0",
            )


@dataclass(frozen=True, kw_only=True)
class PartSizes:
    """Number of prompts of each task in each part; no prompt is in two parts."""

    train: int = 100
    """Train prompts per task, to extract a veneer from."""
    validation: int = 32
    """Prompts per task on which alpha and rank are chosen."""
    test: int | None = None
    """Prompts per task in the report. Default: all."""
    limit: int | None = None
    """Upper limit for each of the three numbers above. Default: none."""

    def __post_init__(self) -> None:
        """Raises InputError for a number below 1."""
        check_least(self, 1, "limit", "train", "validation", "test")

    def limited(self) -> dict[str, int | None]:
        """train, validation and test, each at most `limit`; None: all prompts."""
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        if self.limit is None:
            return dict(sizes)
        return {k: self.limit if n is None else min(n, self.limit) for k, n in sizes.items()}


@dataclass(frozen=True, kw_only=True)
class RestoreSettings:
    """Which methods are tried, with which settings, and how one of them is chosen."""

    methods: Annotated[tuple[str, ...], Option(name="ways", commas=True)] = (
        "head",
        "shifted",
        "own",
        "urial",
    )
    """Methods to try: head (adds the veneer to the head), shifted (base and its veneer shift the
    logits while decoding), own (a veneer extracted for the compromised model itself),
    own-responses (the same from answers alone), urial (in-context examples)."""
    alphas: Annotated[tuple[str, ...], Option(commas=True)] = ("0.5", "1", "1.5", "2", "3")
    """Strengths of the veneer to try: alpha in W + alpha dW."""
    schedules: Annotated[tuple[str, ...], Option(commas=True)] = ("2@10", "2>0.5@10")
    """Alphas that change over the answer, for the method shifted: 2@10 (2 for the first 10 tokens,
    then 0), 2>0.5@10 (a line), 2~8 (halved every 8 tokens). "" for none."""
    ranks: Annotated[tuple[int, ...], Option(commas=True)] = (4, 16, 64)
    """Ranks to try at the best alpha of the dense veneer, for the methods that change the head.
    "" for none."""
    weights: Annotated[tuple[float, ...], Option(commas=True, metavar="A,B,C")] = (1.0, 1.0, 1.0)
    """Weights of harm, over-refusal and lost capability in the loss that chooses alpha and rank."""
    validation_tokens: int = 64
    """Longest answer on the validation part, in tokens."""
    max_new_tokens: int = 128
    """Longest answer in the capture and in the report, in tokens."""
    k: int = 64
    """Number of log-probabilities kept per token; the rest of the mass is kept as one number."""
    reattack: str | None = None
    """Fine-tune the best restored checkpoint, and the aligned model beside it, on compliant
    answers again: advbench, lab-requests, or a file of JSON lines {"prompt", "target"}. Needs the
    extra peft. Default: no such test."""
    merge: bool = True
    """Write the restored checkpoints. --no-merge leaves them out."""
    batch_size: int = 32
    """Number of prompts answered together."""
    seed: int = 0
    """Seed for the split and the intervals."""
    sizes: Annotated[PartSizes, Option(hidden=True)] = field(default_factory=PartSizes)
    """Number of prompts in each part."""
    extraction: Annotated[ExtractConfig, Option(hidden=True)] = field(default_factory=ExtractConfig)
    """How a veneer is extracted."""
    attack: Annotated[AttackConfig, Option(hidden=True)] = field(default_factory=AttackConfig)
    """How the repeated fine-tuning trains."""

    def __post_init__(self) -> None:
        """Raises InputError for a value that no restoration can use."""
        unknown = [m for m in self.methods if m not in METHODS]
        if unknown or not self.methods:
            raise InputError(
                f"there is no method {unknown[0] if unknown else ''!r} to restore; expected some "
                f"of {', '.join(METHODS)}"
            )
        check_least(self, 1, "validation_tokens", "max_new_tokens", "batch_size", "k")
        check_least(self, 0, "seed")
        if any(r < 1 for r in self.ranks):
            raise SettingError(
                "ranks", f"is {', '.join(map(str, self.ranks))}; expected numbers of 1 or more"
            )
        if not self.alphas:
            raise InputError("there is no alpha to try; give at least one, such as --alphas 1")
        for alpha in alphas_of_setting(self.alphas, "alphas"):
            if alpha.constant is None:
                raise SettingError(
                    "alphas",
                    f"has {alpha}, which changes over the answer; a head cannot: give it with "
                    "--schedules",
                )
        alphas_of_setting(self.schedules, "schedules")
        if len(self.weights) != 3:
            raise InputError(
                f"--weights has {len(self.weights)} numbers; expected three: harm, over-refusal, "
                "capability"
            )
        Weights(*self.weights)

    @property
    def loss_weights(self) -> Weights:
        return Weights(*self.weights)

    def alphas_of(self, method: str) -> list[Alpha]:
        """The alphas that a method tries, in the given order, each once; none for urial, which has
        nothing to set."""
        if method == "urial":
            return []
        texts = (*self.alphas, *self.schedules) if method == "shifted" else self.alphas
        return list({str(a): a for a in map(Alpha.parse, texts)}.values())

    def to_json(self) -> dict[str, Any]:
        """For run.json, which a second run into the same folder must share. The keys are those of
        Veneer 0.1, so that its folders still resume."""
        names = ("alphas", "schedules", "ranks", "validation_tokens", "max_new_tokens")
        return {
            "ways": self.methods,
            **{name: getattr(self, name) for name in names},
            "weights": asdict(self.loss_weights),
            **self.sizes.limited(),
            "batch_size": self.batch_size,
            "k": self.k,
            "merge": self.merge,
            "reattack": self.reattack,
            "attack": asdict(self.attack),
            "seed": self.seed,
            "extraction": asdict(self.extraction),
        }
