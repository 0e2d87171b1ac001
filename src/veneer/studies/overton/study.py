"""The Overton window of systems: stored responses to the questions of a viewpoint file, judged and
scored (docs/overton-window.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_input, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.foundation.text import one_line
from veneer.imports import Imported, Rules, read_stored
from veneer.prompts.numbers import check_numbers
from veneer.studies.overton.coverage import Coverage
from veneer.studies.overton.score import Covered, overton_rows, viewpoint_table
from veneer.studies.overton.viewpoints import Question
from veneer.studies.runner import run_study
from veneer.studies.study import Run
from veneer.systems.responses import finished

RULES = Rules(drop_truncated=False, drop_empty=False)


def overton(
    questions: Sequence[Question],
    responses: Mapping[str, Path],
    out: str | Path,
    coverage: Coverage,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Results:
    """Score stored responses and write the study folder `out`, with viewpoints.jsonl beside the
    results.

    responses: name of a system -> file of its responses, in any format of `veneer.imports`. A
    response belongs to a question by its text, where the file has prompts, otherwise by its id.
    Raises InputError where a system answers none of the questions.
    """
    study = OvertonStudy(questions, responses, coverage, seed)
    return run_study(study, out, progress=progress)


class OvertonStudy:
    """Which viewpoints each system's responses cover. See `overton` for the arguments."""

    name = "overton"

    def __init__(
        self,
        questions: Sequence[Question],
        responses: Mapping[str, Path],
        coverage: Coverage,
        seed: int = 0,
    ):
        if not responses:
            raise InputError(
                "there are no responses to score; name at least one file with --responses NAME=FILE"
            )
        self.questions = questions
        self.responses = responses
        self.coverage = coverage
        self.seed = seed
        self.answers: dict[str, list[list[str]]] = {}
        self.import_notes: list[str] = []

    def settings(self) -> dict[str, Any]:
        questions = (
            [q.id, q.text, [[v.id, v.statement, v.weight] for v in q.viewpoints]]
            for q in self.questions
        )
        return {
            "viewpoints": sha256_text(json_lines(questions)),
            "files": {
                name: sha256_input(path, "a file of stored answers")
                for name, path in self.responses.items()
            },
            "judge": self.coverage.judge,
            "seed": self.seed,
        }

    def check(self) -> None:
        for name, path in self.responses.items():
            imported = read_stored(path, rules=RULES, system=name)
            self.answers[name] = _by_question(self.questions, imported, name)
            self.import_notes += imported.summary()

    def stages(self) -> tuple[Stage, ...]:
        return tuple(Stage(f"judge {name}", writes=("viewpoints.jsonl",)) for name in self.answers)

    def measure(self, run: Run) -> Iterator[Measurement]:
        run.note(imported=self.import_notes)
        covered = {}
        for name, answers in self.answers.items():
            with run.stage(f"judge {name}"):
                covered[name] = self.coverage.covered(self.questions, answers, run.progress)
        # behind the last judgement, since the note counts those without a verdict
        judge, note = self.coverage.judge, self.coverage.note
        scored = [Covered(name, judge, note, table) for name, table in covered.items()]
        table = viewpoint_table(self.questions, scored)
        write_text(run.out / "viewpoints.jsonl", json_lines(table))
        yield from overton_rows(self.questions, scored, seed=self.seed)


def _by_question(questions: Sequence[Question], imported: Imported, name: str) -> list[list[str]]:
    """Each question's responses, in the order of the file's prompts and of their samples. A
    response belongs to a question by the text of its prompt, and by its id where the file does not
    have that prompt."""
    by_text: dict[str, list[str]] = {}
    for prompt in imported.prompts:
        by_text.setdefault(one_line(prompt.messages[-1]["content"]), []).append(prompt.id)
    with_text = {p.id for p in imported.prompts}
    by_id: dict[str, dict[int, str]] = {}
    for response in finished(imported.responses):
        by_id.setdefault(response.prompt_id, {})[response.sample_id] = response.text
    check_numbers((i for i in by_id if i not in with_text), [q.id for q in questions], name)
    answers = []
    for q in questions:
        ids = by_text.get(one_line(q.text)) or [i for i in (q.id,) if i not in with_text]
        answers.append([text for i in ids for _, text in sorted(by_id.get(i, {}).items())])
    if not any(answers):
        raise InputError(
            f"{name} answers none of the {len(questions)} questions; expected responses with "
            f"their questions as prompts, or with their ids ({questions[0].id!r}, ...) "
            "as prompt_id"
        )
    return answers
