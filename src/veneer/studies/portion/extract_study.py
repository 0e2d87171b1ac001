"""Extract a veneer from a capture, and measure it on the capture's report part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veneer.capture.artefact import Capture
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.foundation.stages import Stage
from veneer.head.config import ExtractConfig
from veneer.head.events import solver_progress
from veneer.head.token_sources import TokenSource
from veneer.measures.extraction import extract_to, joint_rows, write_tables
from veneer.models.device import resolve_device
from veneer.studies.runner import run_study
from veneer.studies.study import Run


def extract_veneer(
    capture: Capture,
    out: str | Path,
    config: ExtractConfig | None = None,
    *,
    device: str = "auto",
    source: TokenSource | None = None,
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Extract a veneer into the folder `out`, with its held-out rows and report.

    source: holds the capture's tokens where other processes do (scale/). settings: more of what a
    second run must share, for run.json (the capture's address). Raises InputError where `out` holds
    another configuration.
    """
    study = ExtractStudy(capture, config or ExtractConfig(), device, source, settings or {})
    return run_study(study, out, progress=progress)


class ExtractStudy:
    """A veneer and its held-out rows. See `extract_veneer` for the arguments."""

    name = "extract"

    def __init__(
        self,
        capture: Capture,
        config: ExtractConfig,
        device: str,
        source: TokenSource | None,
        settings: dict[str, Any],
    ):
        self.capture = capture
        self.config = config
        self.device = device
        self.source = source
        self.more_settings = settings

    def settings(self) -> dict[str, Any]:
        return {
            **self.more_settings,
            "device": self.device,
            "settings": self.config.facts(),
            "prompts_sha256": self.capture.manifest["prompts_sha256"],
            "tokens": self.capture.tokens,
        }

    def check(self) -> None:
        self.torch_device = resolve_device(self.device)

    def stages(self) -> tuple[Stage, ...]:
        return (Stage("extract", writes=("veneer.json", "veneer.safetensors")), Stage("held-out"))

    def measure(self, run: Run) -> Iterator[Measurement]:
        with run.stage("extract"):
            veneer = extract_to(
                self.capture,
                self.config,
                run.out,
                device=self.torch_device,
                log=solver_progress(run.progress),
                source=self.source,
            )
        with run.stage("held-out"):
            held_out, rows = joint_rows(self.capture, veneer, self.config, device=self.torch_device)
            write_tables(held_out, self.capture, run.out)
        yield from rows
