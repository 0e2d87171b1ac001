"""Capture: the aligned model's answers and distributions, and base's hidden states on them."""

from typing import TYPE_CHECKING

from veneer.foundation.lazy import lazy_exports

if TYPE_CHECKING:
    from veneer.capture.artefact import Capture
    from veneer.capture.config import CaptureConfig
    from veneer.capture.run import capture

__all__ = ["Capture", "CaptureConfig", "capture"]
__getattr__ = lazy_exports(
    __name__,
    {
        "Capture": "veneer.capture.artefact",
        "CaptureConfig": "veneer.capture.config",
        "capture": "veneer.capture.run",
    },
)
