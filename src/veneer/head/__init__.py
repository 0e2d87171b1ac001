"""The veneer: a change of the LM head, extracted from a capture as a convex problem."""

from typing import TYPE_CHECKING

from veneer.foundation.lazy import lazy_exports

if TYPE_CHECKING:
    from veneer.head.config import ExtractConfig
    from veneer.head.veneer import Veneer

__all__ = ["ExtractConfig", "Veneer"]
__getattr__ = lazy_exports(
    __name__,
    {
        "ExtractConfig": "veneer.head.config",
        "Veneer": "veneer.head.veneer",
    },
)
