"""What stderr gets beside progress and errors: each warning of Veneer once, and no word of the
libraries unless asked."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator

# Bars and advice of libraries, which read these when they are imported
LIBRARIES = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}


class OnceHandler(logging.Handler):
    """Prints on stderr, each warning once, whichever part of a run says it again. What a server
    logs ("veneer.serve") are events, and errors are printed each time."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        once = record.name == "veneer" and record.levelno < logging.ERROR
        if not once or text not in self._printed:
            print(text, file=sys.stderr, flush=True)
        if once:
            self._printed.add(text)


@contextlib.contextmanager
def messages(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Within the block, warnings of Veneer are printed once each, and errors alone with `quiet`.
    Python's warnings and what other loggers say below an error are printed with `verbose` only."""
    if not verbose:
        for name, value in LIBRARIES.items():
            os.environ.setdefault(name, value)
    handler = OnceHandler(logging.ERROR if quiet else logging.WARNING)
    log, last = logging.getLogger("veneer"), logging.lastResort  # of loggers without a handler
    assert last is not None
    level = last.level
    log.addHandler(handler)
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore")
                last.setLevel(logging.ERROR)
            yield
    finally:
        last.setLevel(level)
        log.removeHandler(handler)
