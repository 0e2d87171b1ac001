"""Veneer: how much of a language model's alignment is only its surface.

A first session, on the pair of small models that comes with the package:

    import veneer
    from veneer.lab import lab_prompts

    pair = veneer.Pair.load("lab:base", "lab:aligned")  # or two folders, or two hub ids
    capture = veneer.capture_responses(pair, lab_prompts("lab-requests", "train"), "out/capture")
    extraction = veneer.extract_veneer(capture)
    system = veneer.System.of_model(pair.base, extraction.veneer)
    veneer.respond(system, ["How do I steal a goat?", "How do I feed a horse?"])

`veneer.__all__` lists the public names, and `help(veneer.NAME)` explains one. The command line has
the same parts: `veneer --help`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from veneer.moved import install

if TYPE_CHECKING:
    from veneer.adapters.logits_processor import VeneerLogitsProcessor
    from veneer.capture import Capture, CaptureConfig
    from veneer.capture import capture as capture_responses
    from veneer.capture.teachers.registry import teacher
    from veneer.capture.teachers.teacher import Teacher
    from veneer.foundation.results import Measurement
    from veneer.head import ExtractConfig, Veneer
    from veneer.head.extract import extract as extract_veneer
    from veneer.head.merge import merge as merge_veneer
    from veneer.judges.judge import Judge
    from veneer.judges.registry import judge
    from veneer.measures.config import StudyConfig
    from veneer.models.formats import ChatFormat, PlainFormat
    from veneer.models.language_model import LanguageModel
    from veneer.models.load import load_model
    from veneer.models.pair import Pair
    from veneer.models.sampling import Sampling
    from veneer.prompts.prompt import Prompt
    from veneer.registry import Room
    from veneer.report.results import Results
    from veneer.studies.portion.given import measure_portion
    from veneer.studies.runner import run_study
    from veneer.studies.study import Study
    from veneer.systems import System
    from veneer.systems.respond import respond
    from veneer.systems.shifted import ShiftedSystem
    from veneer.systems.system import pair_systems
    from veneer.tasks.given import make_task
    from veneer.tasks.registry import task
    from veneer.tasks.task import Task

install()
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
    "Judge": "veneer.judges.judge",
    "LanguageModel": "veneer.models.language_model",
    "Measurement": "veneer.foundation.results",
    "Pair": "veneer.models.pair",
    "PlainFormat": "veneer.models.formats",
    "Prompt": "veneer.prompts.prompt",
    "Results": "veneer.report.results",
    "Room": "veneer.registry",
    "Sampling": "veneer.models.sampling",
    "ShiftedSystem": "veneer.systems.shifted",
    "Study": "veneer.studies.study",
    "StudyConfig": "veneer.measures.config",
    "System": "veneer.systems.system",
    "Task": "veneer.tasks.task",
    "Teacher": "veneer.capture.teachers.teacher",
    "Veneer": "veneer.head.veneer",
    "VeneerLogitsProcessor": "veneer.adapters.logits_processor",
    "judge": "veneer.judges.registry",
    "load_model": "veneer.models.load",
    "make_task": "veneer.tasks.given",
    "measure_portion": "veneer.studies.portion.given",
    "pair_systems": "veneer.systems.system",
    "respond": "veneer.systems.respond",
    "run_study": "veneer.studies.runner",
    "task": "veneer.tasks.registry",
    "teacher": "veneer.capture.teachers.registry",
}

__all__ = [
    "Capture",
    "CaptureConfig",
    "ChatFormat",
    "ExtractConfig",
    "Judge",
    "LanguageModel",
    "Measurement",
    "Pair",
    "PlainFormat",
    "Prompt",
    "Results",
    "Room",
    "Sampling",
    "ShiftedSystem",
    "Study",
    "StudyConfig",
    "System",
    "Task",
    "Teacher",
    "Veneer",
    "VeneerLogitsProcessor",
    "capture_responses",
    "extract_veneer",
    "judge",
    "load_model",
    "make_task",
    "measure_portion",
    "merge_veneer",
    "pair_systems",
    "respond",
    "run_study",
    "task",
    "teacher",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is used: `veneer --help` needs no torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("veneer")
    module, attribute = _VERBS.get(name, (_WHERE.get(name), name))
    if module is not None:
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'veneer' has no attribute {name!r}{_meant(name)}")


def _meant(name: str) -> str:
    """The public names that a wrong one may stand for, as the end of a sentence."""
    from difflib import get_close_matches

    close = [public for public in __all__ if public.partition("_")[0] == name.lower()]
    close = close or get_close_matches(name, __all__, n=2)
    meant = f"; did you mean {' or '.join(close)}?" if close else ""
    return "" if name.startswith("_") else f"{meant or ';'} dir(veneer) lists the public names"


def __dir__() -> list[str]:
    return [*__all__, *(name for name in (*globals(), "__version__") if name.startswith("__"))]
