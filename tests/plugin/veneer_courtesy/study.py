"""The study `wordiness`: the words of stored answers. `veneer wordiness FILE --out FOLDER`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from veneer import Measurement, Room
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.settings import Option
from veneer.report.section import Section

STUDY = "wordiness"


@dataclass(frozen=True, kw_only=True)
class Wordiness:
    """Count the words of stored answers."""

    responses: Annotated[Path, Option(positional=True, metavar="FILE")]
    """Answers, as `veneer generate` writes them."""
    out: Path
    """Folder for the results and the report."""

    @property
    def name(self):
        return STUDY

    def settings(self):
        if not self.responses.is_file():
            raise InputError(f"there is no file {self.responses}; expected stored answers")
        return {"responses": sha256_file(self.responses)}

    def check(self):
        pass

    def measure(self, run):
        from veneer.statistics.intervals import mean
        from veneer.systems.responses import read_responses

        answers = read_responses(self.responses)
        for system in dict.fromkeys(a.system for a in answers):
            words = [len(a.text.split()) for a in answers if a.system == system]
            yield Measurement.estimated(mean(words), STUDY, answers[0].task, "words", system)

    def run(self):
        from veneer import run_study

        for row in run_study(self, self.out):
            print(f"{row.system}: {row.value:.1f} words")


SECTION = Section(
    key="wordiness",
    title="How wordy the answers are",
    menu="Wordiness",
    applies=lambda page: bool(page.of(STUDY)),
    render=lambda page: page.pivot(page.of(STUDY), "Mean words per answer"),
    studies=(STUDY,),
)
ROOM = Room(
    commands={"wordiness": "veneer_courtesy.study:Wordiness"},
    sections=("veneer_courtesy.study:SECTION",),
)
