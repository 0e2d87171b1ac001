"""The settings of a depth study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from veneer.foundation.errors import SettingError
from veneer.foundation.settings import Option, check_least
from veneer.studies.depth.names import ALL

Count = int | str  # a number of forced tokens, or ALL
KL_TOKENS = ("0", "1", ALL)
Counts = Annotated[tuple[str, ...], Option(commas=True, metavar="K,K,...")]


@dataclass(frozen=True, slots=True)
class DepthSettings:
    """How many tokens are forced, and how answers continue after them."""

    tokens: Counts = ("0", "1", "2", "5", "10", ALL)
    """Numbers of tokens of the harmful target that are forced, separated by commas; 0 forces
    nothing and is needed, all is the whole target."""
    refusal_tokens: Counts = ("0", "1", "2", "3", "5")
    """Numbers of tokens of the aligned model's refusals that are forced on base; 0 forces
    nothing."""
    kl_tokens: Counts = KL_TOKENS
    """Those of --tokens after which KL and well-formed answers are measured."""
    max_new_tokens: int = 32
    """Longest answer, in tokens after the forced ones."""
    batch_size: int = 32
    """Number of prompts answered together."""
    seed: int = 0
    """Seed of the intervals."""
    shown: Annotated[int, Option(hidden=True)] = 3
    """Prompts whose answers the page shows."""

    def __post_init__(self) -> None:
        """Raises InputError for a number out of its range."""
        check_least(self, 1, "max_new_tokens", "batch_size")
        check_least(self, 0, "seed")
        for name in ("tokens", "refusal_tokens", "kl_tokens"):
            counts(getattr(self, name), name)
        if 0 not in self.harmful_counts:
            raise SettingError(
                "tokens",
                f"is {','.join(self.tokens)}; expected 0 among them: the depth is measured against "
                "the answers without a forced token",
            )
        if len(self.harmful_counts) < 2:
            raise SettingError(
                "tokens", f"is {','.join(self.tokens)}; expected 0 and at least one other number"
            )
        unforced = set(counts(self.kl_tokens, "kl_tokens")) - set(self.harmful_counts)
        if unforced and self.kl_tokens != KL_TOKENS:
            raise SettingError(
                "kl_tokens",
                f"has {', '.join(sorted(map(str, unforced)))}; expected some of the numbers of "
                f"tokens that are forced: {', '.join(map(str, self.harmful_counts))}",
            )

    @property
    def harmful_counts(self) -> tuple[Count, ...]:
        """`tokens` in ascending order, ALL last."""
        return counts(self.tokens, "tokens")

    @property
    def refusal_counts(self) -> tuple[Count, ...]:
        """`refusal_tokens` in ascending order, ALL last."""
        return counts(self.refusal_tokens, "refusal_tokens")

    @property
    def kl_counts(self) -> tuple[Count, ...]:
        """Those of `kl_tokens` that `tokens` has too."""
        wanted = counts(self.kl_tokens, "kl_tokens")
        return tuple(k for k in self.harmful_counts if k in wanted)

    def facts(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)


def counts(words: tuple[str, ...], name: str) -> tuple[Count, ...]:
    """The numbers of tokens that a setting gives, each once, in ascending order, ALL last. Raises
    InputError for anything else."""
    numbers: set[int] = set()
    for word in words:
        if str(word).isdecimal():
            numbers.add(int(word))
        elif word != ALL:
            raise SettingError(
                name,
                f"has {word!r}; expected numbers of tokens from 0 on, or {ALL}, separated by "
                "commas",
            )
    return (*sorted(numbers), *((ALL,) if ALL in words else ()))
