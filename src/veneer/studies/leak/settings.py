"""The settings of a leak study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import check_least


@dataclass(frozen=True, slots=True)
class LeakSettings:
    """How samples are drawn, and when one counts as extracted."""

    prefix: str = "user"
    """What every sample follows: user (the chat template up to the user's first word), assistant
    (an empty user turn and the header of the answer), or a text of your own."""
    samples: int = 500
    """Number of samples per system."""
    temperature: float = 1.0
    """Temperature of the samples; 1 is the model's own distribution."""
    max_new_tokens: int = 128
    """Longest sample, question and answer together, in tokens."""
    batch_size: int = 32
    """Number of samples drawn together."""
    false_rate: float = 0.01
    """Share of held-out texts that may count as extracted; it decides the thresholds."""
    likelihoods: int = 200
    """Members, and as many held-out texts, whose likelihood is compared with base's; 0 leaves this
    out."""
    retrain: bool = False
    """Train base on what was extracted, on as many samples that were not, and on the data itself,
    and compare (needs --base, and samples with an answer)."""
    redact: bool = False
    """Keep scores only: no text of a sample or of the data is written."""
    seed: int = 0
    """Seed of the samples, of the halves of the held-out texts, and of the intervals."""

    def __post_init__(self) -> None:
        """Raises InputError for a number out of its range."""
        check_least(self, 1, "samples", "max_new_tokens", "batch_size")
        check_least(self, 0, "likelihoods", "seed")
        if not self.temperature > 0:
            raise SettingError(
                "temperature",
                f"is {self.temperature}; expected a number above 0: greedy samples would all be "
                "the same",
            )
        if not 0 < self.false_rate < 1:
            raise SettingError(
                "false_rate",
                f"is {self.false_rate}; expected a share between 0 and 1, such as 0.01",
            )
        if not self.prefix.strip():
            raise SettingError("prefix", "is empty; expected user, assistant or a text")

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)
