"""veneer label: a page on which a person labels stored answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option, refuse_unused
from veneer.studies.judging.command import AnsweredPrompts
from veneer.terminal.output import MessageOptions


@dataclass(frozen=True, kw_only=True)
class LabelCommand:
    """Write an offline page on which a person labels answers as refusals or not. The file that it
    saves is what `veneer judge --compare` reads."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer label base.jsonl aligned.jsonl --task advbench --sample 100 --out labels.html",
        "veneer judge --compare labels.jsonl judged/verdicts.jsonl",
    )

    responses: Annotated[tuple[str, ...], Option(positional=True, metavar="RESPONSES")]
    """Files of answers, JSON lines."""
    out: Annotated[str, Option(metavar="FILE")]
    """The page."""
    sample: Annotated[int | None, Option(metavar="N")] = None
    """Number of answers, drawn at random. Default: all."""
    seed: int = 0
    """Seed of the order and of the sample."""
    answered: AnsweredPrompts = field(default_factory=AnsweredPrompts)
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        from veneer.studies.judging.label_page import write_label_page
        from veneer.studies.judging.study import matched
        from veneer.systems.responses import read_responses

        if not self.responses:
            raise InputError("no file of answers is given; give at least one, as JSON lines")
        if self.sample is not None and self.sample < 1:
            raise InputError(f"--sample is {self.sample}; expected 1 or more")
        if Path(self.out).is_dir():
            raise InputError(f"--out {self.out} is a folder; expected the path of a page, .html")
        files = [Path(f) for f in self.responses]
        questions = None
        if self.answered.task is None and self.answered.prompts is None:
            if self.answered.limit is not None:
                raise InputError(
                    "found --limit without --task or --prompts, whose first prompts it chooses; "
                    "give one of them, or --sample to draw answers"
                )
            refuse_unused(self.answered, "without --task or --prompts")
            answers = [r for f in files for r in read_responses(f)]
        else:
            prompts = self.answered.load()
            pairs = matched(files, prompts, partly=self.answered.limit is not None)
            answers = [r for _, r in pairs]
            questions = {p.id: p.messages[-1]["content"] for p, _ in pairs}
        shown = write_label_page(
            answers, Path(self.out), questions=questions, sample=self.sample, seed=self.seed
        )
        empty = sum(not r.text.strip() for r in answers)
        without = f"; {empty} answers have no text" if empty else ""
        print(f"{self.out}: {shown} of {len(answers)} answers to label{without}")
