"""How many digits a column on stdout has."""

from __future__ import annotations

import io

import pytest
from rich.table import Table

from veneer.foundation.results import Measurement
from veneer.terminal.show import figure
from veneer.terminal.tables import cell, digits, plain_console, print_table


def row(low: float, high: float) -> Measurement:
    return Measurement("recovery", "t", "embedding_similarity", "s", low, 6, low, high)


@pytest.mark.parametrize(
    ("ends", "places"),
    [
        ([(0.1, 0.4)], 2),
        ([(0.1, 0.4), (0.100, 0.104)], 4),
        ([(0.04, 0.16), (0.9999999, 1.0)], 2),  # the ceiling: a cosine of 1, but for rounding
        ([(1.0, 1.0)], 2),
    ],
)
def test_the_narrowest_interval_decides_and_rounding_is_none(ends, places):
    assert digits([row(*pair) for pair in ends]) == places


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "longest"), [(Terminal, 40), (io.StringIO, 99)])
def test_a_terminal_wraps_sentences_between_words_and_a_pipe_keeps_them_whole(
    monkeypatch, stream, longest
):
    """Also after a table that is wider than the terminal, which keeps one line per row."""
    stdout = stream()
    monkeypatch.setattr("sys.stdout", stdout)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    console, table = plain_console(), Table("head " * 12, box=None)
    table.add_row("word " * 12)
    print_table(console, table)
    console.print("ab " * 33)
    rows, sentence = stdout.getvalue().splitlines()[:2], stdout.getvalue().splitlines()[2:]
    assert rows[1].split() == ["word"] * 12
    assert max(map(len, sentence)) <= longest and (len(sentence) == 1) is (longest == 99)
    assert all(set(line.split()) == {"ab"} for line in sentence)


def test_a_huge_limit_from_two_prompts_takes_no_fourteen_digits():
    row = Measurement("extract", "joint", "kl", "veneer", 0.41, 2, 0.0, 30612807521674.71)
    assert cell(row, 2) == figure(row) == "0.41 [0.00, 3e+13]"
