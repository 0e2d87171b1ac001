"""What a command prints: --json, --markdown, --quiet, each warning once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from command_fixtures import PAIR
from veneer.cli.main import COMMANDS
from veneer.terminal.tables import markdown

# a warning: refusals are learned alone
WARNED = ("run", *PAIR, "--tasks", "lab-requests", "--limit", "5", "--dry-run")


@pytest.fixture(scope="module")
def lines(extracted) -> list[dict]:
    return [json.loads(line) for line in (extracted / "results.jsonl").read_text().splitlines()]


def test_json_is_the_rows_of_the_results_and_nothing_else(captured, extracted, lines, veneer):
    result = veneer("extract", captured, "--out", extracted, "--json")
    shown = json.loads(result.out)
    assert result.code == 0 and shown["rows"] == lines and shown["out"] == str(extracted)
    assert shown["report"] == str(extracted / "report.html")


def test_markdown_is_a_table_of_the_same_cells(captured, extracted, veneer):
    plain = veneer("extract", captured, "--out", extracted).out
    shown = veneer("extract", captured, "--out", extracted, "--markdown").out
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert rows[0].startswith("| task | metric | n |") and set(rows[1]) <= set("|-: ")
    cells = {cell.strip() for row in rows[2:] for cell in row.strip("|").split("|")} - {""}
    assert len(rows) > 3 and all(cell in plain for cell in cells)
    assert f"\nveneer: {extracted}" in shown


def test_markdown_escapes_what_would_end_a_cell():
    table = Table()
    table.add_column("a|b")
    table.add_column("n\nm", justify="right")
    table.add_row("x|y\\", "1")
    assert markdown(table) == "| a\\|b | n m |\n| --- | ---: |\n| x\\|y\\\\ | 1 |\n"


def test_quiet_leaves_the_result_and_the_errors(veneer, tmp_path):
    out = ("--out", tmp_path / "o")
    loud, quiet = veneer(*WARNED, *out), veneer(*WARNED, *out, "--quiet")
    assert loud.out == quiet.out and quiet.err == ""
    assert loud.err.count("may refuse everything") == 1
    bad = veneer(*WARNED, *out, "--quiet", "--tasks", "lab-sum")
    assert bad.code == 2 and bad.err.startswith("veneer: error: ") and bad.err.count("\n") == 1


def test_quiet_hides_progress(captured, extracted, veneer, tmp_path):
    result = veneer("extract", captured, "--out", tmp_path / "v", "--quiet")
    assert result.code == 0 and result.err == "" and "KL" in result.out
    recorded = json.loads((tmp_path / "v" / "run.json").read_text())["options"]
    assert "quiet" not in recorded and recorded["out"] == str(tmp_path / "v")


@pytest.mark.parametrize("pair", [("--json", "--markdown"), ("--quiet", "--verbose")])
def test_options_that_exclude_each_other(pair, veneer, tmp_path):
    result = veneer(*WARNED, "--out", tmp_path / "o", *pair)
    assert (
        result.code == 2 and f"found both {pair[0]} and {pair[1]}; give one of them" in result.err
    )


SAY = """
import logging, sys, warnings
from veneer.terminal.messages import messages
with messages(verbose=sys.argv[1] == "verbose", quiet=sys.argv[1] == "quiet"):
    for _ in range(2):
        logging.getLogger("veneer").warning("veneer: left out")
        logging.getLogger("library").warning("a note of a library")
        warnings.warn("a warning of a library", FutureWarning)
"""


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("quiet", set()),
        ("usual", {"veneer: left out"}),
        ("verbose", {"veneer: left out", "a note of a library", "a warning of a library"}),
    ],
)
def test_each_warning_is_printed_once_and_libraries_are_silent(mode, wanted):
    done = subprocess.run([sys.executable, "-c", SAY, mode], capture_output=True, text=True)
    assert done.stderr.count("veneer: left out") == ("veneer: left out" in wanted)
    for text in ("veneer: left out", "a note of a library", "a warning of a library"):
        assert (text in done.stderr) == (text in wanted)


def test_a_run_says_each_line_of_stderr_once(runner, tmp_path):
    done = runner.run(*WARNED[:-1], "--no-controls", "--out", tmp_path / "o")
    lines = [line for line in done.err.splitlines() if line]
    assert done.status == 0 and len(lines) == len(set(lines))
    assert all(line.startswith("veneer: ") or line[0].isdecimal() for line in lines), done.err
    assert lines[1].startswith("1/7 load")


def test_completion_in_bash_knows_commands_options_and_values(tmp_path, veneer):
    script = tmp_path / "veneer.bash"
    result = veneer("completion", "bash")
    script.write_text(result.out)
    python = Path(sys.executable).parent
    ask = 'source "$1"; shift; COMP_WORDS=(veneer "$@"); COMP_CWORD=$#; _tyro_veneer; '
    ask += 'echo "${COMPREPLY[*]}"'

    def completed(*words: str) -> set[str]:
        done = subprocess.run(
            ["bash", "-c", ask, "bash", str(script), *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": f"{python}:{os.environ['PATH']}"},
        )
        assert done.stderr == ""
        return set(done.stdout.split())

    assert set(COMMANDS) <= completed("")
    assert completed("de") == {"demo", "depth"}
    assert completed("run", "--dr") == {"--dry-run"}
    assert completed("run", "--engine", "") == {"local", "ray"}
    assert "complete -o default -F _tyro_veneer veneer" in result.out
