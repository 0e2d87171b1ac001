"""`veneer COMMAND | head`: the reader leaves, and the command ends its work with exit code 0."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

VENEER = f"{shlex.quote(sys.executable)} -m veneer"
RUN = "run --base lab:base --aligned lab:aligned --tasks lab-sums --limit 6 --no-controls --out out"


def piped(line: str, folder) -> subprocess.CompletedProcess[str]:
    """The line in bash; the last line on stdout is the exit code of its first command."""
    command = f"{VENEER} {line}; echo ${{PIPESTATUS[0]}}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("line", ["tasks | head -n 1", "tasks show lab-sums | head -c 5"])
def test_a_table_that_is_not_read_to_its_end(line, tmp_path):
    """rich ends the process with exit code 1 where a pipe is broken."""
    done = piped(line, tmp_path)
    assert done.stderr == "" and done.stdout.endswith("0\n"), done


def test_a_run_whose_progress_nobody_reads_is_finished(tmp_path):
    """It ended behind the capture with exit code 0: the first line of progress met the broken
    pipe."""
    done = piped(f"{RUN} 2>&1 | head -c 5", tmp_path)
    assert done.stdout.endswith("0\n"), done
    assert (tmp_path / "out" / "results.jsonl").is_file()
