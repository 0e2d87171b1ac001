"""The report: study folders in, one offline HTML file out."""

from veneer.report.render import render, write_report

__all__ = ["render", "write_report"]
