"""veneer report: one offline HTML file from study folders, and tables and plots for papers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from veneer.foundation.settings import Option
from veneer.terminal.output import MessageOptions

PAGES = (".html", ".htm", "")


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write report.html from one or more study folders (each with results.jsonl)."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer report run",
        "veneer report run transfer restore --out report.html --tables tables",
    )

    folders: Annotated[tuple[str, ...], Option(positional=True, metavar="FOLDER")]
    """Study folders, here or on the hub (hf://OWNER/NAME)."""
    out: Annotated[str | None, Option(metavar="FILE")] = None
    """The HTML file. Default: report.html in the first folder."""
    tables: str | None = None
    """A folder for tables: all results, systems by task, portions, cross table as CSV, Parquet and
    LaTeX (booktabs)."""
    plots: str | None = None
    """A folder for plots as PNG and SVG: portions, KL by position, token shifts. Needs
    the extra plots."""
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        from pathlib import Path

        from veneer.foundation.errors import InputError
        from veneer.hub import is_hub, local_place
        from veneer.report import write_report
        from veneer.report.export import need_matplotlib, write_plots, write_tables

        if not self.folders:
            raise InputError(
                "found no folder; give at least one study folder (a folder with results.jsonl)"
            )
        for given, option in ((self.tables, "--tables"), (self.plots, "--plots")):
            if given is not None and Path(given).is_file():
                raise InputError(
                    f"{option} {given} is a file; expected a folder, which is made if need be: "
                    "give another path"
                )
        if self.out is not None and Path(self.out).suffix.lower() not in PAGES:
            raise InputError(
                f"--out {self.out} ends in {Path(self.out).suffix}, but the report is an HTML "
                "page; give a name that ends in .html or .htm (a browser prints it as PDF; "
                "--tables writes CSV, Parquet and LaTeX, --plots PNG and SVG)"
            )
        if self.plots is not None:
            need_matplotlib()
        if is_hub(self.folders[0]) and not self.out:
            raise InputError("the first folder is on the hub; give --out FILE for the page")
        folders = [local_place(f) for f in self.folders]
        out = Path(self.out) if self.out else folders[0] / "report.html"
        write_report(folders, out)
        print(f"report: {out}")
        if self.tables is not None:
            print(f"tables: {self.tables} ({len(write_tables(folders, Path(self.tables)))} files)")
        if self.plots is not None:
            print(f"plots: {self.plots} ({len(write_plots(folders, Path(self.plots)))} files)")
