"""The command line: one file per command; parse, call, print. No logic."""

from veneer.cli.main import entry, main

__all__ = ["entry", "main"]
