"""veneer overton: which of people's viewpoints a system's responses cover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from veneer.terminal.options import JudgeOptions, progress


@dataclass(frozen=True, kw_only=True)
class Overton(JudgeOptions):
    """OvertonScore (arXiv 2512.01351): the share of people's viewpoints on a question that a
    response covers, for viewpoint files of your own and stored responses. A judge model decides
    what is covered; without one, an embedding threshold stands in for it."""

    viewpoints: str
    """JSON lines {"question", "viewpoints": [{"id", "statement", "weight"?}]}; "example" is a small
    file written by hand."""
    responses: tuple[str, ...]
    """Stored responses: NAME=FILE, as many as there are."""
    out: str
    """Folder for the results and the report."""
    embedding_threshold: float | None = None
    """Decide by embeddings, from this cosine on: a stand-in for a judge."""
    embedder: str | None = None
    """Embedding model of the stand-in. Default: minilm."""
    rating: float = 4.0
    """The judge's rating, of 1 to 5, from which a viewpoint is covered."""
    seed: int = 0
    """Of the intervals."""

    def run(self) -> None:
        from veneer.studies.overton.study import overton
        from veneer.studies.overton.viewpoints import example_viewpoints, read_viewpoints
        from veneer.terminal.pairs import named
        from veneer.terminal.show import figure

        questions = (
            example_viewpoints()
            if self.viewpoints == "example"
            else read_viewpoints(Path(self.viewpoints))
        )
        files = {
            name: Path(file)
            for name, file in named(self.responses, "--responses", "NAME=FILE").items()
        }
        with progress() as say:
            results = overton(
                questions, files, self.out, self._coverage(), seed=self.seed, progress=say
            )
        for row in results:
            if row.metric in ("overton_score", "overton_score_weighted"):
                print(
                    f"{row.system}: {row.metric.replace('_', ' ')} {figure(row)} over "
                    f"{row.n} questions"
                )
        note = next((row.note for row in results if row.note), None)
        print(
            f"\n{note}\nreport: {Path(self.out) / 'report.html'}"
            if note
            else f"\nreport: {Path(self.out) / 'report.html'}"
        )

    def _coverage(self):
        from dataclasses import replace

        from veneer.embed import load_embedder
        from veneer.foundation.errors import InputError
        from veneer.judges.asker import asker_of
        from veneer.studies.overton.coverage import EmbeddingCoverage, JudgeCoverage

        config = self.judges()
        judged = any((config.url, config.model, config.local))
        if self.embedding_threshold is not None:
            if judged:
                raise InputError(
                    "a judge model and an embedding threshold are both given; one decides: leave "
                    "the other out"
                )
            return EmbeddingCoverage(load_embedder(self.embedder), self.embedding_threshold)
        if not judged:
            raise InputError(
                "nobody decides what a response covers; give a judge model (--judge-url and "
                "--judge-model, or --judge-local), or --embedding-threshold, a stand-in"
            )
        return JudgeCoverage(
            asker_of(replace(config, cache=config.cache or Path(self.out) / "verdicts")),
            self.rating,
        )
