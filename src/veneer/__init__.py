"""Veneer: how much of a language model's alignment is only its surface.

from veneer import Pair, Prompt, System, capture_responses, extract_veneer, merge_veneer, respond
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veneer.adapters.logits_processor import VeneerLogitsProcessor
    from veneer.capture import Capture, CaptureConfig
    from veneer.capture import capture as capture_responses
    from veneer.foundation.results import Measurement, Results
    from veneer.head import ExtractConfig, Veneer
    from veneer.head.extract import extract as extract_veneer
    from veneer.head.merge import merge as merge_veneer
    from veneer.models.formats import ChatFormat, PlainFormat
    from veneer.models.load import load_model
    from veneer.models.pair import Pair
    from veneer.models.sampling import Sampling
    from veneer.prompts.prompt import Prompt
    from veneer.systems import System
    from veneer.systems.respond import respond
    from veneer.systems.shifted import ShiftedSystem

_VERBS = {  # public name -> module, name there: `veneer.capture` is the package of that name
    "capture_responses": ("veneer.capture.run", "capture"),
    "extract_veneer": ("veneer.head.extract", "extract"),
    "merge_veneer": ("veneer.head.merge", "merge"),
}
_WHERE = {
    "Capture": "veneer.capture.artefact",
    "CaptureConfig": "veneer.capture.config",
    "ChatFormat": "veneer.models.formats",
    "ExtractConfig": "veneer.head.config",
    "Measurement": "veneer.foundation.results",
    "Pair": "veneer.models.pair",
    "PlainFormat": "veneer.models.formats",
    "Prompt": "veneer.prompts.prompt",
    "Results": "veneer.foundation.results",
    "Sampling": "veneer.models.sampling",
    "ShiftedSystem": "veneer.systems.shifted",
    "System": "veneer.systems.system",
    "Veneer": "veneer.head.veneer",
    "VeneerLogitsProcessor": "veneer.adapters.logits_processor",
    "load_model": "veneer.models.load",
    "respond": "veneer.systems.respond",
}

__all__ = [
    "Capture",
    "CaptureConfig",
    "ChatFormat",
    "ExtractConfig",
    "Measurement",
    "Pair",
    "PlainFormat",
    "Prompt",
    "Results",
    "Sampling",
    "ShiftedSystem",
    "System",
    "Veneer",
    "VeneerLogitsProcessor",
    "capture_responses",
    "extract_veneer",
    "load_model",
    "merge_veneer",
    "respond",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is used: `veneer --help` needs no torch."""
    where, known = _VERBS.get(name, (_WHERE.get(name), name))
    if where is not None:
        return getattr(import_module(where), known)
    raise AttributeError(f"module 'veneer' has no attribute {name!r}")
