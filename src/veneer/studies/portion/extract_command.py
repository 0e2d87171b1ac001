"""veneer extract: from a capture to a veneer, with its held-out figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from veneer.foundation.settings import Option
from veneer.terminal.options import WorkerOptions, progress
from veneer.terminal.show import show

if TYPE_CHECKING:
    from veneer.head.config import ExtractConfig
    from veneer.head.token_sources import TokenSource


@dataclass(frozen=True, kw_only=True)
class Extract(WorkerOptions):
    """Extract the veneer dW from a capture as a convex problem, and measure it on the
    capture's report part."""

    capture: Annotated[str, Option(positional=True, metavar="CAPTURE")]
    """Folder that `veneer capture` wrote, or a URL such as s3://bucket/folder."""
    out: str
    """Folder for the veneer, its results and its report."""
    rank: int | None = None
    """Rank of the veneer. Default: dense."""
    output: Literal["logit", "hidden", "bias"] = "logit"
    """What is learned: dW itself, M with dW = W M (h becomes h + M h), or a constant
    in place of dW h."""
    direct: bool = False
    """Shrink W + dW towards zero, not dW (the paper's "direct" variants)."""
    ridge: float | None = None
    """Prior precision of dW, in units of a hidden state's mean square. Default: chosen on
    the select part."""
    row_threshold: float = 1e-3
    """Vocabulary rows that neither model ever gives more than this probability stay as they are; 0
    lets all change."""
    stop: Literal["select", "optimum"] = "select"
    """End when the select part gains no more, or at the optimum of the objective."""
    solver: Literal["lbfgs", "paper"] = "lbfgs"
    """lbfgs, or the published recipe (Adam, 1e-5, batches of 1,000 tokens) for comparison."""
    epochs: int = 500
    """Of --solver paper."""
    tasks: str | None = None
    """Only the prompts of these tasks, separated by commas."""
    shuffled: bool = False
    """Fit the head-capacity control: hidden states shuffled within a response position."""
    partial: bool = False
    """Accept a capture that is not finished."""
    device: str = "auto"
    """Where to compute: auto (a GPU if there is one), cpu, cuda, ..."""
    engine: Literal["local", "torchrun", "ray"] = "local"
    """Who holds the tokens: this process, the processes that torchrun started (then this need not
    be said), or workers on Ray."""
    seed: int = 0
    """Of the split."""

    def run(self) -> None:
        from veneer.head.config import ExtractConfig, PaperRecipe
        from veneer.scale.extraction import chosen_engine, holders

        config = ExtractConfig(
            output=self.output,
            direct=self.direct,
            rank=self.rank,
            ridge=self.ridge,
            row_threshold=self.row_threshold,
            stop=self.stop,
            solver=self.solver,
            recipe=PaperRecipe(epochs=self.epochs),
            shuffled=self.shuffled,
            seed=self.seed,
            tasks=tuple(self.tasks.split(",")) if self.tasks else None,
        )
        ray = self.ray()
        with holders(
            chosen_engine(self.engine), self.capture, config, device=self.device, ray=ray
        ) as held:
            if held.leads:
                self._lead(config, held.parts)

    def _lead(self, config: ExtractConfig, parts: TokenSource | None) -> None:
        """What one process does, whoever holds the tokens."""
        from veneer.foundation.files import folder_lock
        from veneer.foundation.results import Results
        from veneer.foundation.run_record import RunRecord
        from veneer.measures.extraction import extract_to, joint_rows, solver_progress, write_tables
        from veneer.models.load import resolve_device
        from veneer.report import write_report
        from veneer.scale.remote import open_capture
        from veneer.scale.storage import is_url, without_secrets

        out, device = Path(self.out), resolve_device(self.device)
        taken = open_capture(self.capture, partial=self.partial)
        place = (
            without_secrets(self.capture)
            if is_url(self.capture)
            else str(Path(self.capture).resolve())
        )
        said = {"capture": place, "device": self.device, "settings": config.facts()}
        with folder_lock(out), progress() as say:
            record = RunRecord(
                out,
                "extract",
                {
                    **said,
                    "prompts_sha256": taken.manifest["prompts_sha256"],
                    "tokens": taken.tokens,
                },
            )
            if not record.finished:
                with record.stage("extract"):
                    veneer = extract_to(
                        taken, config, out, device=device, log=solver_progress(say), parts=parts
                    )
                with record.stage("held-out"):
                    found, rows = joint_rows(taken, veneer, config, device=device)
                    Results(rows).write(out / "results.jsonl")
                    write_tables(found, taken, out)
                write_report([out], out / "report.html")
                record.finish()
                write_report([out], out / "report.html")  # once more, with all its seconds
        show(Results.read(out / "results.jsonl"))
        print(f"\nveneer: {out}")
