"""The command line: a file a command; parse, call, print. No logic."""

from veneer.cli.main import entry, main

__all__ = ["entry", "main"]
