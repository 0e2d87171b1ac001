"""Capture: what the aligned model says and thinks, and the base's hidden states
while it reads that."""

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.run import capture

__all__ = ["Capture", "CaptureConfig", "capture"]
