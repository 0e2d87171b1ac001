"""What a study is: four members. `veneer.studies.runner` does all the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from veneer.foundation.results import Measurement

if TYPE_CHECKING:
    from veneer.studies.runner import Run


class Study(Protocol):
    """A study measures something and gives rows of results; docs/extending.md shows a whole one.

    The runner calls `settings`, then `check`, then `measure`, and skips the last two where the
    folder holds the finished results of the same settings.
    """

    @property
    def name(self) -> str:
        """The name in run.json; the command's name."""
        ...

    def settings(self) -> dict[str, Any]:
        """What decides the results, as JSON: models, prompts, hashes, numbers. A second run into
        the same folder must give the same."""
        ...

    def check(self) -> None:
        """Raise InputError for bad input. Nothing is written yet, and no model is loaded."""
        ...

    def measure(self, run: Run) -> Iterable[Measurement]:
        """Do the work in `run.out` and give the rows. A killed run calls this again in the same
        folder: each expensive step keeps its files there and skips what exists."""
        ...
