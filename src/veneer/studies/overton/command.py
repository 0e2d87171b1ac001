"""veneer overton: which of people's viewpoints a system's responses cover."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.overton.settings import OvertonSettings
from veneer.terminal.options import progress
from veneer.terminal.output import TableOptions, present

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.studies.overton.coverage import Coverage


@dataclass(frozen=True, kw_only=True)
class OvertonCommand:
    """Score which of people's viewpoints on a question a response covers (OvertonScore, arXiv
    2512.01351), for a file of viewpoints and stored responses. A judge model decides what is
    covered; without one, an embedding threshold stands in for it."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer overton --viewpoints example --responses base=base.jsonl --embedding-threshold 0.5 "
        "--out overton",
        "veneer overton --viewpoints views.jsonl --responses base=b.jsonl aligned=a.jsonl "
        "--judge-url http://localhost:8000/v1 --judge-model NAME --out overton",
    )

    viewpoints: str
    """JSON lines {"question", "viewpoints": [{"id", "statement", "weight"?}]}; "example" is a small
    file written by hand."""
    responses: Annotated[tuple[str, ...], Option(metavar="NAME=FILE")]
    """Stored responses, NAME=FILE for each system."""
    out: str
    """Folder for the results and the report."""
    method: OvertonSettings = field(default_factory=OvertonSettings)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.studies.overton.study import overton
        from veneer.studies.overton.viewpoints import example_viewpoints, read_viewpoints
        from veneer.terminal.pairs import named

        example = self.viewpoints == "example"
        questions = example_viewpoints() if example else read_viewpoints(Path(self.viewpoints))
        files = named(self.responses, "--responses", "NAME=FILE")
        responses = {name: Path(file) for name, file in files.items()}
        with progress() as say:
            results = overton(
                questions,
                responses,
                self.out,
                self._coverage(),
                seed=self.method.seed,
                progress=say,
            )
        present(results, self.out, lambda: show(results))

    def _coverage(self) -> Coverage:
        from veneer.embed import load_embedder
        from veneer.foundation.errors import InputError
        from veneer.judges.asker import asker_of
        from veneer.studies.overton.coverage import EmbeddingCoverage, JudgeCoverage

        threshold = self.method.embedding_threshold
        judged = self.judge.names_model
        if threshold is not None:
            if judged:
                raise InputError(
                    "a judge model and an embedding threshold are both given; one decides: leave "
                    "the other out"
                )
            self.judge.refuse_unread(asks=False)
            refuse_unused(self.method, "with --embedding-threshold", "rating")
            return EmbeddingCoverage(load_embedder(self.method.embedder), threshold)
        if not judged:
            raise InputError(
                "nobody decides what a response covers; give a judge model (--judge-url and "
                "--judge-model, or --judge-local), or --embedding-threshold, a stand-in"
            )
        self.judge.refuse_unread(asks=True)
        refuse_unused(self.method, "without --embedding-threshold", "embedder")
        kept = replace(self.judge, cache=self.judge.cache or Path(self.out) / "verdicts")
        return JudgeCoverage(asker_of(kept), self.method.rating)


def show(results: Results) -> None:
    """One line per system and score, and what they rest on."""
    from veneer.report.basis import in_clusters
    from veneer.terminal.tables import cell, digits

    scores = [r for r in results if r.metric.startswith("overton_score")]
    for row in scores:
        metric, value = row.metric.replace("_", " "), cell(row, digits(scores, 3))
        print(f"{row.system}: {metric} {value} over {row.n} questions{in_clusters([row])}")
    notes: dict[str, list[str]] = {}  # note -> systems
    for row in scores:
        if row.metric == "overton_score" and row.note:
            notes.setdefault(row.note, []).append(row.system)
    for note, systems in notes.items():
        print(f"\n{note}" if len(notes) == 1 else f"\n{', '.join(systems)}: {note}")
