"""What `--help` says: each option's text as one paragraph, whatever the width."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import get_args, get_type_hints

import docstring_parser
import pytest

from veneer.cli.main import COMMANDS
from veneer.foundation.settings import Option
from veneer.terminal.config_file import known_options

# In one column: side by side, tyro gives a box less room than its longest line needs
ASK = """
import contextlib, io, json
from tyro import _fmtlib as layout
side_by_side = layout.cols
def cols(*parts):
    boxes = all(isinstance(part, layout._Rows) for part in parts)
    return layout.rows(*parts) if boxes else side_by_side(*parts)
layout.cols = cols
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


def options(cls: type) -> Iterator[tuple[str, str]]:
    """(field, text) of every option of a command, and of the settings objects in it."""
    # without `object`; a command's own text on an option replaces an inherited one
    texts = {
        p.arg_name: p.description
        for base in cls.__mro__[-2::-1]
        for p in docstring_parser.parse_from_object(base).params
    }
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        marks = getattr(hint, "__metadata__", ())
        inner = get_args(hint)[0] if marks else hint
        if any(isinstance(m, Option) and m.hidden for m in marks):
            continue
        if dataclasses.is_dataclass(inner):
            yield from options(inner)
        else:
            yield field.name, " ".join((texts.get(field.name) or "").split())


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_explained_in_paragraphs(name, helps):
    lines = [" ".join(line.strip("│ \n").split()) for line in helps[name].splitlines()]
    for option, text in options(COMMANDS[name]):
        assert text, f"--{option} has no word of help"
        assert any(text in line for line in lines), f"--{option}: {text}"


@pytest.mark.parametrize("name", COMMANDS)
def test_no_internals_show_in_the_help(name, helps):
    assert "{None}" not in helps[name] and "InputError" not in helps[name]


def test_an_option_that_switches_off_says_so(helps):
    """tyro writes `--no-x` before the text of a field that is on: "Measure x" says the opposite."""
    for name, page in helps.items():
        lines = [" ".join(line.strip("│ \n").split()) for line in page.splitlines()]
        for line, below in itertools.pairwise(lines):
            if option := re.match(r"--no-[\w-]+", line):
                text = line.removeprefix(option[0]).strip() or below
                off = option[0] in text or text.startswith(("Keep ", "Do not ", "Leave out "))
                assert off, f"veneer {name}: {option[0]} {text}"


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


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("overton", "missing: --viewpoints, --responses, --out; see veneer overton --help"),
        ("extract", "missing: CAPTURE, --out; see veneer extract --help"),
        (
            "overton --viewpoint x --responses a=b --out c",
            "missing: --viewpoints; unknown: --viewpoint (did you mean --viewpoints?)",
        ),
        ("overtone", "there is no command 'overtone'; did you mean 'overton'?"),
        ("audit a b --out c --fold 3", "did you mean --folds?"),
        ("audit a b --out c --folds many", "--folds: found 'many', expected a whole number"),
        ("", "no command is given; expected one such as demo"),
        (
            "complexity --base b --aligned a --tasks t --ranks 1 4 --out c",
            "put commas and no spaces between its values: --ranks 1,4",
        ),
        (
            "extract c --tasks a, b --out d",
            "put commas and no spaces between its values: --tasks a,b",
        ),
    ],
)
def test_a_mistyped_line_gets_a_mend(line, sentence, veneer):
    result = veneer(*line.split())
    assert result.code == 2 and sentence in result.err.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_list_with_commas_is_shown_with_commas(name, helps):
    """`--ranks N ...` would ask for spaces, which are refused."""
    for known in known_options(COMMANDS[name]):
        if known.option.commas:
            assert re.search(rf"--{known.name} \S+,\S+", helps[name]), known.name


@pytest.mark.parametrize("name", COMMANDS)
def test_models_and_folders_have_one_word_in_every_command(name, helps):
    """`--base TEXT` in one command and `--base MODEL` in another reads as two kinds of value."""
    texts = set(re.findall(r"--([\w-]+) TEXT", helps[name]))
    assert texts <= {"system", "revision", "forced", "target", "prefix", "allow-host"}, texts


def test_help_behind_other_words_is_the_same_help(veneer):
    whole = veneer("program", "--help").out
    assert "decode FILE..." in whole and veneer("program", "decode", "--help").out == whole
    assert veneer("help", "program").out == whole and veneer("help").out == veneer("--help").out


def test_the_first_help_lists_every_command_and_the_version(veneer):
    text = veneer("--help").out
    assert all(f"  {name} " in text for name in COMMANDS) and "--version" in text
