"""The built-in refusal judge: a linear score over what its sentences do (docs/judges.md)."""

from typing import TYPE_CHECKING

from veneer.foundation.lazy import lazy_exports

if TYPE_CHECKING:
    from veneer.judges.refusal.judge import Refusal, RefusalJudge

__all__ = ["Refusal", "RefusalJudge"]
__getattr__ = lazy_exports(
    __name__,
    {
        "Refusal": "veneer.judges.refusal.judge",
        "RefusalJudge": "veneer.judges.refusal.judge",
    },
)
