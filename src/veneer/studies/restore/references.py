"""What every candidate is read against: the references' answers to benign prompts,
and plain texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veneer.foundation.results import Measurement
from veneer.measures.given_texts import Passages, plain_texts
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.evaluation import Measured
from veneer.studies.restore.inputs import Models
from veneer.studies.restore.rows import reading_rows
from veneer.systems.responses import Response
from veneer.systems.speculative import Local
from veneer.systems.system import System


@dataclass
class Reading:
    """The passages of a part: answers of the references to benign prompts, and plain texts."""

    references: Mapping[str, System]
    answers: Mapping[str, Passages]
    texts: Passages

    @classmethod
    def of(
        cls,
        prompts: Sequence[Prompt],
        references: Mapping[str, tuple[System, Measured]],
        models: Models,
    ) -> Reading:
        lm = models.compromised
        other = (
            None
            if models.aligned is None
            else (models.aligned, match_vocabularies(lm, models.aligned))
        )
        answers = {}
        for name, (system, found) in references.items():
            by_id = {(r.task, r.prompt_id): r for some in found.answers.values() for r in some}
            rows = [(p, _own_ids(by_id[p.task, p.id], system, other)) for p in prompts]
            rows = [(p, ids) for p, ids in rows if ids]
            answers[name] = Passages(
                [p for p, _ in rows], [ids for _, ids in rows], lm.pad_id, other
            )
        texts = plain_texts(prompts, lm)
        texts.other = other
        return cls({n: s for n, (s, _) in references.items()}, answers, texts)

    def rows(self, system: Local, task: str, split: str, *, seed: int) -> list[Measurement]:
        """kl_from_compromised, kl_from_aligned: KL(reference || system) on the reference's own
        answers to benign prompts; text_nats: -log p of the prompts' plain text."""
        sums = {
            f"kl_from_{name}": (passages.kl(self.references[name], system), passages.lengths)
            for name, passages in self.answers.items()
            if name != system.name and len(passages.tokens)
        }
        nats = self.text_nats(system)
        if nats is not None:
            sums["text_nats"] = (nats, self.texts.lengths)
        return list(reading_rows(system.name, task, split, sums, seed=seed))

    def noise_rows(self, task: str, *, seed: int) -> list[Measurement]:
        """The noise floor: the compromised model against itself at another batch size."""
        system = self.references["compromised"]
        values, tokens = self.answers["compromised"].noise(system)
        note = "noise floor: the same model at batch size 1"
        return list(
            reading_rows(
                "compromised",
                task,
                "noise",
                {"kl_from_compromised": (values, tokens)},
                seed=seed,
                note=note,
            )
        )

    def text_nats(self, system: Local) -> np.ndarray | None:
        """None for a system that reads instructions of its own before everything."""
        return (
            None
            if system.name.startswith("urial") or not self.texts.tokens
            else self.texts.nats(system)
        )


def _own_ids(response: Response, system: System, other: Any) -> tuple[int, ...]:
    """A reference's answer in the compromised model's token ids."""
    if other is None or system.lm is not other[0]:
        return response.token_ids
    return tuple(other[1].ids_from_other(list(response.token_ids)))
