"""The stages of a run, as its progress hears them: in order, with as many answers as planned."""

from __future__ import annotations

from functools import partial

from veneer.foundation.progress import ProgressLine
from veneer.models.pair import Pair
from veneer.studies.portion.study import StudyConfig, study
from veneer.tasks.registry import chosen_tasks


class Record(ProgressLine):
    """Notes the stages, and the last progress of each activity with its stage."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []
        self.activities: dict[tuple[str, str], tuple[int, int]] = {}

    def show(self, done: int, total: int, what: str) -> None:
        assert self.course.stage is not None
        self.activities[self.course.stage.name, what] = (done, total)

    def at_stage(self, before: str, seconds: float) -> None:
        self.places.append(self.course.where)


def test_a_run_passes_its_stages_and_answers_what_it_planned(tmp_path):
    record = Record()
    study(
        partial(Pair.load, "lab:base", "lab:aligned"),
        chosen_tasks("lab-requests,lab-sums", None),
        tmp_path / "out",
        StudyConfig(train_prompts=5, test_prompts=4, max_new_tokens=8),
        progress=record,
    )
    names = ["load", "capture", "extract", "measure", "discernment", "tokens", "report"]
    assert record.places == [f"{i}/7 {name}" for i, name in enumerate(names, 1)]
    planned = {stage.name: stage for stage in record.course.stages}
    assert record.activities["capture", "capture"] == (10, 10)
    answers = {
        what: count
        for (stage, what), count in record.activities.items()
        if stage == "measure" and " on " in what
    }
    systems = planned["measure"].systems
    assert set(answers) == {f"{s} on {t}" for s in systems for t in ("lab-requests", "lab-sums")}
    assert set(answers.values()) == {(4, 4)} and planned["measure"].answers == 4 * len(answers)
