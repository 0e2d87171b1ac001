"""Prompts: the object, the files they are read from, and the templates around them."""

from typing import TYPE_CHECKING

from veneer.foundation.lazy import lazy_exports

if TYPE_CHECKING:
    from veneer.prompts.prompt import Prompt

__all__ = ["Prompt"]
__getattr__ = lazy_exports(
    __name__,
    {
        "Prompt": "veneer.prompts.prompt",
    },
)
