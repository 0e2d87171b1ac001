"""Is what was extracted worth anything? Base trained on it, and on what it must be compared with.

Barbero et al. train a base model on extracted samples and find it comparable with the original on
benchmarks. Any text of the same kind may do as much (Magpie, Xu et al. 2024, arXiv 2406.08464), so
base is trained here on four sets, and measured by how well it predicts answers that nobody trained
on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.files import json_lines, sha256_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.statistics.intervals import mean, portion
from veneer.studies.leak.examples import Example
from veneer.studies.leak.exposure import ids_of, nats
from veneer.studies.leak.names import ANSWER, BASE_CHAT, STUDY
from veneer.studies.leak.sampler import Sampler
from veneer.systems.lora import LoraConfig, tuned
from veneer.systems.system import System

EXTRACTED, OTHERS, SHUFFLED, DATA = (
    f"retrained-{name}" for name in ("extracted", "others", "shuffled", "data")
)
LEAST = 8  # samples that a set needs


@dataclass(frozen=True)
class Retraining:
    """The sets that base is trained on, by the name of the system that comes of it, and the
    held-out examples on whose answers it is measured. base: base in the chat template."""

    base: Sampler
    sets: Mapping[str, Sequence[Example]]
    held_out: Sequence[Example]
    seed: int
    batch_size: int

    def rows(self, task: str, out: Path, progress: Progress | None) -> Iterator[Measurement]:
        """Nats per token on held-out answers, and each set's share of the gain of the true data.
        out: folder of the adapters."""
        nll = {BASE_CHAT: self._nats(self.base.system)}
        for name, examples in self.sets.items():
            nll[name] = self._nats(self._trained(name, examples, out / name, progress))
        words: dict[str, Any] = {"of": ANSWER, "split": "held-out"}
        for name, values in nll.items():
            facts = {"examples": len(self.sets[name])} if name in self.sets else None
            estimate = mean(values, seed=self.seed)
            yield Measurement.estimated(
                estimate, STUDY, task, "nll", name, unit="nats/token", facts=facts, **words
            )
        for name in self.sets:
            if name != DATA:
                share = portion(
                    nll[name], nll[BASE_CHAT], nll[DATA], seed=self.seed, names=(DATA, BASE_CHAT)
                )
                yield Measurement.estimated(share, STUDY, task, "portion", name, **words)

    def _trained(
        self, name: str, examples: Sequence[Example], out: Path, progress: Progress | None
    ) -> System:
        lm, turns = self.base.lm, self.base.turns
        assert turns is not None
        config = LoraConfig(examples=len(examples), seed=self.seed)
        stamp = {
            "config": asdict(config),
            "base": lm.fingerprint(),
            "examples": sha256_text(json_lines([e.question, e.answer] for e in examples)),
        }
        stops = (lm.turn.id,) if lm.turn.id is not None else ()
        pairs = [ids_of(self.base.system, turns, e, ANSWER) for e in examples]
        learned = [(context, [*answer, *stops]) for context, answer in pairs if answer]
        model = tuned(lm, learned, config, out, stamp, progress=progress)
        system = self.base.system
        return System(name, model, system.format, system.stop_ids)

    def _nats(self, system: System) -> np.ndarray:
        """Nats per token of each held-out answer, (n,)."""
        assert self.base.turns is not None
        total, tokens = nats(system, self.base.turns, self.held_out, ANSWER, self.batch_size)
        kept = tokens > 0
        return total[kept] / tokens[kept]


def training_sets(
    samples: Sequence[tuple[str, str]],
    extracted: np.ndarray,
    members: Sequence[Example],
    seed: int,
) -> dict[str, list[Example]]:
    """What base is trained on: extracted samples, as many that are not, the extracted questions
    with each other's answers, and the true data; empty where one of them has under `LEAST`
    examples.

    samples: question and answer of each. extracted: (n,) whether its pair is extracted.
    """
    whole = [Example(q, a) if q and a else None for q, a in samples]
    hits, others = (
        list(dict.fromkeys(e for e, hit in zip(whole, extracted, strict=True) if e and hit == want))
        for want in (True, False)
    )
    true = list(dict.fromkeys(e for e in members if e.answer))
    draw = random.Random(f"{seed} retrain")
    count = min(len(hits), len(others))
    if min(count, len(true)) < LEAST:
        return {}
    hits, others = draw.sample(hits, count), draw.sample(others, count)
    answers = [e.answer for e in hits]
    turned = answers[1:] + answers[:1]  # no question keeps its answer, unless two are equal
    shuffled = [Example(e.question, a) for e, a in zip(hits, turned, strict=True)]
    return {EXTRACTED: hits, OTHERS: others, SHUFFLED: shuffled, DATA: true}
