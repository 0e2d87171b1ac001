"""Writes docs/models.md: what Veneer makes of a small model of every causal architecture that
transformers lists.

python benchmarks/models_page.py                       # the types that the page lacks: a run
                                                       that was cut goes on
python benchmarks/models_page.py --anew                # all of them, in some minutes on one core
python benchmarks/models_page.py llama gpt_neo mamba   # these rows anew, the others as
                                                       the page has them

The page is written after each row.
"""

from __future__ import annotations

import fcntl
import logging
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "models")]

import torch  # noqa: E402
import transformers  # noqa: E402
from survey import KINDS, Outcome, examine, read_page, table  # noqa: E402

PAGE = ROOT / "docs" / "models.md"
WORDS = Path(__file__).with_name("models_words.md")


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("veneer").setLevel(logging.ERROR)
    named = [a for a in sys.argv[1:] if a != "--anew"]
    if named != sys.argv[1:]:
        PAGE.unlink(missing_ok=True)
    for kind in named or [k for k in KINDS if k not in rows()]:
        with tempfile.TemporaryDirectory() as folder:
            row = examine(kind, Path(folder))
        with WORDS.open() as lock:  # two runs may share the work
            fcntl.flock(lock, fcntl.LOCK_EX)
            whole = {**rows(), kind: row}
            write([whole[k] for k in KINDS if k in whole])
        print(f"{kind}: {row.result} {row.note[:160]}", flush=True)


def rows() -> dict[str, Outcome]:
    """The rows that the page has."""
    return read_page(PAGE) if PAGE.is_file() else {}


def write(rows: list[Outcome]) -> None:
    """The page: its words, the counts, and the table."""
    PAGE.write_text(
        WORDS.read_text(encoding="utf-8").rstrip() + "\n\n" + table(rows), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
