"""veneer report: one offline HTML file from study folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write report.html from one or more study folders (each with results.jsonl)."""

    folders: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Study folders."""
    out: str | None = None
    """The HTML file. Default: report.html in the first folder."""

    def run(self) -> None:
        from pathlib import Path

        from veneer.errors import InputError
        from veneer.report import write_report

        if not self.folders:
            raise InputError("found no folder; give at least one study folder (a folder with results.jsonl)")
        folders = [Path(f) for f in self.folders]
        out = Path(self.out) if self.out else folders[0] / "report.html"
        write_report(folders, out)
        print(f"report: {out}")
