"""Systems: anything that answers prompts. Every study compares systems and knows no model."""

from typing import TYPE_CHECKING

from veneer.foundation.lazy import lazy_exports

if TYPE_CHECKING:
    from veneer.systems.responses import Response, read_responses, write_responses
    from veneer.systems.system import System

__all__ = ["Response", "System", "read_responses", "write_responses"]
__getattr__ = lazy_exports(
    __name__,
    {
        "Response": "veneer.systems.responses",
        "System": "veneer.systems.system",
        "read_responses": "veneer.systems.responses",
        "write_responses": "veneer.systems.responses",
    },
)
