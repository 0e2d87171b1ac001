"""Help and usage errors on a terminal: wrapped at its width, coloured unless NO_COLOR is set, and
no codes of colours in a sentence."""

from __future__ import annotations

import contextlib
import io

import pytest

from veneer.cli.main import main


class Screen(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.delenv("NO_COLOR", raising=False)


def on_screen(*words: str, code: int = 0) -> str:
    with contextlib.redirect_stdout(Screen()) as stream:
        assert main(words) == code
    return stream.getvalue()


def test_the_description_wraps_at_the_width():
    lines = on_screen("serve", "--help").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("Answer OpenAI-compatible"))
    end = next(i for i, line in enumerate(lines) if "exit code 0" in line)
    assert all(len(line) <= 70 for line in lines[begin : end + 1]) and "" in lines[begin:end]


@pytest.mark.parametrize("command", ["push", "report", "program", "judge", "extract"])
def test_usage_and_the_last_line_wrap_at_the_width(command, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    lines = on_screen(command, "--help").splitlines()
    assert all(len(line) <= 70 or line.startswith("  veneer") for line in lines)
    usage = lines[: lines.index("")]
    assert not any(line.endswith(("--license", "--out", "--tables")) for line in usage), usage


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_color_takes_the_colours_away(value, coloured, monkeypatch):
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    assert ("\x1b[" in on_screen("merge", "--help")) is coloured


def test_a_usage_error_is_a_plain_sentence_on_a_terminal(capsys):
    on_screen("merge", "nowhere", "--base", "lab:base", code=2)
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence == "veneer: error: missing: --out; see veneer merge --help"
