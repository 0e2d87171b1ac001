"""What strangers' texts may not do to a terminal."""

from __future__ import annotations

import io

import pytest

from veneer.terminal.guarded import guard


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n", "plain\n"),
        ("a\u202egnp.exe\n", "a⟨U+202E⟩gnp.exe\n"),
        ("\x1b]0;title\x07", "⟨U+001B⟩]0;title⟨U+0007⟩"),
        ("漢字 é\r\n", "漢字 é\r\n"),
        ("\x9b2J\u200b\ud800", "⟨U+009B⟩2J⟨U+200B⟩⟨U+D800⟩"),
    ],
)
def test_controls_are_spelled_out(text, shown):
    for stream in (io.StringIO(newline=""), Terminal(newline="")):
        guard(stream)
        print(text, end="", file=stream)
        assert stream.getvalue() == shown


def test_colours_and_bars_reach_a_terminal_and_no_file():
    for stream, shown in (
        (Terminal(), "\x1b[?25l\x1b[1mname\x1b[0m\x1b[A\x1b[?25h"),
        (io.StringIO(), "⟨U+001B⟩[?25l⟨U+001B⟩[1mname⟨U+001B⟩[0m⟨U+001B⟩[A⟨U+001B⟩[?25h"),
    ):
        guard(stream)
        stream.write("\x1b[?25l\x1b[1mname\x1b[0m\x1b[A\x1b[?25h")
        assert stream.getvalue() == shown


def test_a_character_that_the_streams_encoding_has_not_is_spelled_out():
    """A stream to a file or a pipe may be ASCII, Latin-1 or cp1252."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1", newline="")
    guard(stream)
    print("é ✓ \x07", end="", file=stream)
    stream.flush()
    assert raw.getvalue() == b"\xe9 \\u2713 \\u27e8U+0007\\u27e9"
