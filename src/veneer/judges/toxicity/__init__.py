"""The toxicity judges: a named classifier, or the built-in stand-in (docs/judges.md)."""

from typing import TYPE_CHECKING

from veneer.foundation.lazy import lazy_exports

if TYPE_CHECKING:
    from veneer.judges.toxicity.judge import toxicity_judge

__all__ = ["toxicity_judge"]
__getattr__ = lazy_exports(
    __name__,
    {
        "toxicity_judge": "veneer.judges.toxicity.judge",
    },
)
