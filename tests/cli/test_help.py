"""What `--help` says: each option's text as one paragraph, whatever the width."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import docstring_parser
import pytest

from veneer.cli.main import COMMANDS

ASK = """
import contextlib, io, json
from veneer.cli.main import COMMANDS, main
said = {}
for name in COMMANDS:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([name, "--help"]) == 0
    said[name] = out.getvalue()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """In a process of its own, since what was parsed before is remembered."""
    wide = {**os.environ, "COLUMNS": "4000"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=wide, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_told_in_paragraphs(name, helps):
    lines = [" ".join(line.strip("│ \n").split()) for line in helps[name].splitlines()]
    # without `object`; a command's own word on an option replaces an inherited one
    nearest_last = COMMANDS[name].__mro__[-2::-1]
    told = {
        p.arg_name: p.description
        for cls in nearest_last
        for p in docstring_parser.parse_from_object(cls).params
    }
    for field in dataclasses.fields(COMMANDS[name]):
        text = " ".join((told.get(field.name) or "").split())
        assert text, f"--{field.name} has no word of help"
        assert any(text in line for line in lines), f"--{field.name}: {text}"


def test_a_reader_that_leaves_is_no_error():
    """`veneer transfer --help | head -1`: the help does not fit into the pipe at once."""
    command = (
        f"{sys.executable} -c 'from veneer.cli.main import entry; entry()' transfer --help | head "
        f"-c 10; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "4000"},
    )
    assert done.stderr == "" and done.stdout.splitlines()[-1].endswith("0"), done
