"""Writes docs/models.md: what Veneer makes of a small model of every causal architecture that transformers lists.

python benchmarks/models_page.py                       # all of them, in a few minutes on one core
python benchmarks/models_page.py llama gpt_neo mamba   # these rows anew, the others as the page has them
"""

from __future__ import annotations

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
    wanted = sys.argv[1:] or KINDS
    rows = read_page(PAGE) if PAGE.is_file() else {}
    for kind in wanted:
        with tempfile.TemporaryDirectory() as folder:
            rows[kind] = examine(kind, Path(folder))
        print(f"{kind}: {rows[kind].result} {rows[kind].note[:160]}", flush=True)
    write([rows[k] for k in KINDS if k in rows])


def write(rows: list[Outcome]) -> None:
    """The page: its words, the counts, and the table."""
    PAGE.write_text(WORDS.read_text(encoding="utf-8").rstrip() + "\n\n" + table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
