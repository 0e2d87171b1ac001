"""The settings of the part of an audit that asks what was taught."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import Option, check_least


@dataclass(frozen=True, slots=True)
class TaughtSettings:
    """What was taught: both models on neutral text, and samples that amplify their difference."""

    texts: int = 512
    """Both models read at most this many pieces of reference text; 0 leaves this part out."""
    text_tokens: int = 64
    """Tokens of a piece of reference text."""
    topics: int = 3
    """Topics into which the raised tokens are divided."""
    shown: Annotated[int, Option(name="shown-tokens")] = 20
    """At most this many tokens are listed as raised, and at most as many as lowered."""
    amplify: Annotated[tuple[float, ...], Option(commas=True)] = (1.0, 2.0, 3.0, 5.0)
    """Strengths of the difference in the samples: 1 is C itself, more amplifies what differs."""
    samples: int = 4
    """Samples of each beginning and strength; 0 leaves the samples out."""
    sample_tokens: int = 32
    """Longest sample, in tokens."""
    plausible: float = 0.05
    """A sample holds only tokens that C finds at least this share as likely as its first choice."""

    def __post_init__(self) -> None:
        """Raises InputError for a number out of its range."""
        for name in ("texts", "samples"):
            if getattr(self, name) < 0:
                raise SettingError(
                    name, f"is {getattr(self, name)}; expected 1 or more, or 0 to leave this out"
                )
        check_least(self, 1, "text_tokens", "topics", "shown", "sample_tokens")
        if not 0 <= self.plausible <= 1:
            raise SettingError("plausible", f"is {self.plausible}; expected a number from 0 to 1")
        wrong = [a for a in self.amplify if not 0 < a < math.inf]
        if wrong or not self.amplify or len(set(self.amplify)) < len(self.amplify):
            shown = ",".join(f"{a:g}" for a in self.amplify) or "empty"
            raise SettingError(
                "amplify", f"is {shown}; expected different numbers above 0, such as 1,2,3,5"
            )

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return {**asdict(self), "amplify": list(self.amplify)}
