"""The settings of a study of judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option, check_least


@dataclass(frozen=True, kw_only=True)
class JudgingSettings:
    """Which judges read the answers, and which two are compared."""

    judge: Annotated[tuple[str, ...], Option(commas=True)] = ()
    """Judges: refusal, toxicity; with a judge model harm, strongreject, truth, quality, stance; or
    one of the published classifiers wildguard, harmbench, harmbench-mistral, llama-guard and
    strongreject-finetuned, with its model as --judge-local."""
    compare: Annotated[tuple[str, str] | None, Option(metavar="A B")] = None
    """Two judges by name, two files of verdicts, or a file of people's labels (CSV or JSON lines)
    and one of verdicts; each with :METRIC behind it where they do not share one."""
    seed: int = 0
    """Seed for the intervals."""

    def __post_init__(self) -> None:
        check_least(self, 0, "seed")
        if len(set(self.judge)) < len(self.judge):
            raise InputError(f"--judge {','.join(self.judge)} names a judge twice; name each once")
