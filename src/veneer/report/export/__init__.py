"""Export a study folder for a paper: tables as CSV, Parquet and LaTeX, plots as PNG and SVG."""

from veneer.report.export.plots import need_matplotlib, write_plots
from veneer.report.export.tables import write_tables

__all__ = ["need_matplotlib", "write_plots", "write_tables"]
