"""The training runs of a curve study: how each is trained, and base after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veneer.foundation.files import json_lines, sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.system_id import SystemId
from veneer.models.formats import Format
from veneer.models.language_model import LanguageModel
from veneer.studies.curve.lessons import Lesson, shuffled
from veneer.studies.curve.names import EPOCHS, SHUFFLED, STEPS, tuned
from veneer.studies.curve.settings import RATES, CurveSettings
from veneer.systems.answer_ids import answer_ids
from veneer.systems.full_tuning import fully_tuned
from veneer.systems.lora import LoraConfig
from veneer.systems.lora import tuned as adapted


@dataclass(frozen=True)
class Plan:
    """One training run. how: epochs, or a control (steps, shuffled)."""

    examples: int
    seed: int
    how: str
    epochs: int
    batch: int

    @property
    def identity(self) -> SystemId:
        return tuned(self.examples, self.how)

    @property
    def folder(self) -> str:
        return f"{self.identity.name}.seed-{self.seed}"

    @property
    def steps(self) -> int:
        return self.epochs * -(-self.examples // self.batch) if self.examples else 0


def plans(settings: CurveSettings, first_seed: int) -> Iterator[Plan]:
    """All training runs, the smallest first; those of size 0 have nothing to train and are one."""
    seeds = range(first_seed, first_seed + settings.seeds)
    largest = settings.largest
    for size in settings.sizes:
        batch = settings.batch_of(size)
        for seed in seeds if size else (first_seed,):
            yield Plan(size, seed, EPOCHS, settings.epochs if size else 0, batch)
    if settings.budget == STEPS:
        batch = settings.batch_of(largest)
        for size in (s for s in settings.sizes if 0 < s < largest):
            whole = settings.steps_of(largest) / -(-size // batch)
            for seed in seeds:
                yield Plan(size, seed, STEPS, max(1, round(whole)), batch)
    if settings.shuffled:
        for seed in seeds:
            yield Plan(largest, seed, SHUFFLED, settings.epochs, settings.batch_of(largest))


def trained(
    base: LanguageModel,
    format: Format,
    lessons: Sequence[Lesson],
    plan: Plan,
    settings: CurveSettings,
    out: Path,
    progress: Progress | None,
) -> LanguageModel:
    """Base after a training run, which is read from `out` if it exists. lessons: those of the
    run."""
    if not plan.examples:
        return base
    taught = shuffled(lessons) if plan.how == SHUFFLED else lessons
    texts = [(one.prompt, one.answer or "") for one in taught]
    config = LoraConfig(
        examples=plan.examples,
        rank=settings.rank,
        alpha=2 * settings.rank,
        rate=settings.rate or RATES[settings.method],
        epochs=plan.epochs,
        batch=plan.batch,
        seed=plan.seed,
    )
    stamp: dict[str, Any] = {
        "config": asdict(config),
        "method": settings.method,
        "from_layer": settings.from_layer,
        "base": base.fingerprint(),
        "format": format.facts(),
        "examples": sha256_text(json_lines([list(p.messages), a] for p, a in texts)),
    }
    examples = answer_ids(base, texts, format, ends=True)
    train = fully_tuned if settings.method == "full" else adapted
    return train(
        base, examples, config, out, stamp, from_layer=settings.from_layer, progress=progress
    )
