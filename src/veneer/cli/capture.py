"""veneer capture: the aligned model's answers and base's reading of them, in shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from veneer.cli.common import PairOptions, data_folder, progress


@dataclass(frozen=True, kw_only=True)
class Capture(PairOptions):
    """Let the aligned model answer prompts, keep its top-k log-probabilities, and let base read the answers. Killed and run again, it
    goes on where it was and ends with the same bytes."""

    prompts: str
    """A task's name, or a file: JSONL ({"prompt"} or {"messages"}), text (a prompt a line), CSV or Parquet (with --column), or
    hf://OWNER/NAME for a hub data set."""
    out: str
    """Folder for the capture."""
    column: str | None = None
    """Column that holds the prompt, of a CSV or Parquet file or a hub data set."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    split: Literal["train", "test"] = "train"
    """Part of a task's prompts."""
    limit: int | None = None
    """At most so many prompts. Default: all."""
    k: int = 64
    """Log-probabilities kept a token; the rest of the mass is kept as one number."""
    hidden_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the stored hidden states."""
    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    """Mass of the most likely tokens that sampling keeps."""
    batch_size: int = 32
    """Prompts answered together; halved where memory runs out."""
    seed: int = 0
    """Of sampling."""
    dry_run: bool = False
    """Only state the tokens, disk and memory that the capture would use."""

    def run(self) -> None:
        import time
        from pathlib import Path

        from veneer.capture import CaptureConfig, capture
        from veneer.capture.estimate import estimate
        from veneer.capture.teachers import AlignedModel
        from veneer.models.decode import Sampling
        from veneer.studies.stages import RunRecord
        from veneer.tasks.source import load_prompts

        found = load_prompts(self.prompts, data=data_folder(self.data), column=self.column, limit=self.limit, split=self.split)
        sampling = Sampling(self.max_new_tokens, self.temperature, self.top_p, self.seed)
        config = CaptureConfig(self.k, self.hidden_dtype, self.batch_size, sampling=sampling)
        pair = self.pair()
        if self.dry_run:
            print("\n".join(estimate(pair.base, AlignedModel(pair), found, config, base_format=pair.base_format).lines()))
            return
        started = time.perf_counter()
        with progress() as say:
            taken = capture(pair, found, self.out, config, say)
        if not (Path(self.out) / "run.json").is_file():
            record = RunRecord(
                Path(self.out),
                "capture",
                {**self.said(), "prompts": self.prompts, "limit": self.limit, **config.facts()},
                fresh=False,
            )
            record.note(
                pair=pair.facts(),
                seeds={"sampling": self.seed},
                seconds={"capture": round(time.perf_counter() - started, 2)},
                finished=True,
            )
        print(f"{taken.tokens:,} response tokens of {len(found)} prompts in {self.out}")
