"""What a restoration is asked to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from veneer.capture import CaptureConfig
from veneer.foundation.errors import InputError
from veneer.head.config import ExtractConfig
from veneer.judges.config import JudgeConfig
from veneer.models.decode import Sampling
from veneer.studies.restore.selection import Weights
from veneer.systems.alpha import Alpha
from veneer.systems.attack import AttackConfig

WAYS = {
    "head": "the veneer of base and aligned model added to the compromised model's head",
    "shifted": "the compromised model's logits shifted by base and its veneer, which reads along",
    "own": (
        "a veneer extracted for the compromised model itself from the aligned model's answers and "
        "distributions"
    ),
    "own-responses": "the same from stored answers alone",
    "urial": "the compromised model behind URIAL's instructions and examples; nothing is changed",
}
DEFAULT_WAYS = ("head", "shifted", "own", "urial")
DEFAULT_ALPHAS = ("0.5", "1", "1.5", "2", "3")
DEFAULT_SCHEDULES = ("2@10", "2>0.5@10")
DEFAULT_RANKS = (4, 16, 64)


@dataclass(frozen=True, slots=True)
class RestoreConfig:
    """ways: of WAYS. alphas: how much of the veneer is added, for every way; schedules: over the
    answer's positions, for the shifted one alone, which is the only one that can. ranks: tried at
    the best alpha of the dense veneer, for the ways that change the head.

    train: prompts of each task for extraction; validation: prompts of each measured task for
    choosing; test: for the report (None: all). validation_tokens, max_new_tokens: longest answers
    there. weights: of the choice. merge: write the restored checkpoints. reattack: what the best
    restored checkpoint is fine-tuned on again (guard.attack_examples), with `attack`."""

    ways: tuple[str, ...] = DEFAULT_WAYS
    alphas: tuple[str, ...] = DEFAULT_ALPHAS
    schedules: tuple[str, ...] = DEFAULT_SCHEDULES
    ranks: tuple[int, ...] = DEFAULT_RANKS
    weights: Weights = field(default_factory=Weights)
    train: int = 100
    validation: int = 32
    test: int | None = None
    validation_tokens: int = 64
    max_new_tokens: int = 128
    batch_size: int = 32
    k: int = 64
    merge: bool = True
    reattack: str | None = None
    attack: AttackConfig = field(default_factory=AttackConfig)
    seed: int = 0
    extraction: ExtractConfig = field(default_factory=ExtractConfig)
    judges: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        unknown = [w for w in self.ways if w not in WAYS]
        if unknown or not self.ways:
            raise InputError(
                f"there is no way {unknown[0] if unknown else ''!r} to restore; expected some of "
                f"{', '.join(WAYS)}"
            )
        for name in (
            "train",
            "validation",
            "test",
            "validation_tokens",
            "max_new_tokens",
            "batch_size",
            "k",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected 1 or more")
        if any(r < 1 for r in self.ranks):
            raise InputError(
                f"the ranks are {', '.join(map(str, self.ranks))}; expected numbers of 1 or more"
            )
        if not self.alphas:
            raise InputError("there is no alpha to try; give at least one, such as --alphas 1")
        for text in self.alphas:
            if Alpha.parse(text).constant is None:
                raise InputError(
                    f"--alphas has {text}, which changes over the answer; a head cannot: give it "
                    "with --schedules"
                )
        for text in self.schedules:
            Alpha.parse(text)

    def tries(self, way: str) -> bool:
        """Whether a way has an alpha to choose."""
        return way != "urial"

    def tried_alphas(self, way: str) -> list[Alpha]:
        """In the order given, each once."""
        texts = (*self.alphas, *self.schedules) if way == "shifted" else self.alphas
        return list({str(a): a for a in map(Alpha.parse, texts)}.values())

    def capture_config(self) -> CaptureConfig:
        return CaptureConfig(
            self.k,
            batch_size=self.batch_size,
            sampling=Sampling(self.max_new_tokens, seed=self.seed),
        )

    def sampling(self, longest: int, *, validation: bool) -> Sampling:
        """Greedy. longest: of the task."""
        most = min(longest, self.validation_tokens if validation else self.max_new_tokens)
        return Sampling(most, seed=self.seed)

    def facts(self) -> dict[str, Any]:
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **named,
            "weights": asdict(self.weights),
            "extraction": asdict(self.extraction),
            "attack": asdict(self.attack),
            "judges": self.judges.facts(),
        }
