"""kill -9 at random moments and at file operations of every command: run again, it ends with the
bytes of a run that nobody cut."""

from __future__ import annotations

import random
from pathlib import Path
from zlib import crc32

import pytest
from tally import PAIR

from forked import content, half_written

# what is run: {out} is a new place, {name} is what the fixture `artefacts` holds
COMMANDS = {
    "capture": (
        "capture {pair} --prompts lab-requests --limit 12 --max-new-tokens 12 --batch-size "
        "1 --out {out}"
    ),
    "extract": "extract {capture} --ridge 0.01 --stop optimum --out {out}",
    "measure": (
        "measure {pair} --veneer {veneer} --tasks lab-sums,lab-requests --limit 4 "
        "--max-new-tokens 8 --batch-size 2 --out {out}"
    ),
    "import": "import {answers} --out {out}",
    "generate": (
        "generate --model lab:base --veneer {veneer} --prompts lab-sums --limit 12 "
        "--max-new-tokens 12 --batch-size 1 --out {out}"
    ),
    "merge": "merge {veneer} --base lab:base --out {out}",
    "run": (
        "run {pair} --tasks lab-sums,lab-requests --limit 6 --max-new-tokens 6 --batch-size "
        "3 --out {out}"
    ),
}
# without the long campaign, of which the others are a part
QUICK = ("capture", "extract", "generate", "import")


def words(name: str, artefacts: dict[str, Path], out: Path) -> list[str]:
    return [
        w.format(out=out, **artefacts)
        for w in COMMANDS[name].replace("{pair}", " ".join(PAIR)).split()
    ]


@pytest.fixture(scope="module")
def whole(runner, artefacts, tmp_path_factory):
    """name -> (hashes of an undisturbed run, its files, its seconds, its file operations),
    made when asked for."""
    known: dict[str, tuple[dict[str, str], set[str], float, int]] = {}

    def get(name: str):
        if name not in known:
            at = tmp_path_factory.mktemp(name)
            ended = runner.run(*words(name, artefacts, at / "out"), strike=0, below=str(at))
            assert ended.status == 0, ended.err
            known[name] = (
                below(at),
                names(at),
                ended.seconds,
                int(ended.err.rpartition("file operations: ")[2]),
            )
        return known[name]

    return get


def below(at: Path) -> dict[str, str]:
    return {name.partition("/")[2]: digest for name, digest in content(at).items()}


def names(at: Path) -> set[str]:
    """All files, with those whose bytes may differ."""
    return {
        str(p.relative_to(at))
        for p in at.rglob("*")
        if p.is_file() and not p.name.startswith(".lock")
    }


def goes_on(
    runner, artefacts, name: str, at: Path, expected: dict[str, str], files: set[str]
) -> None:
    """What is there is whole, and the same command makes the rest."""
    leftovers = half_written(below(at), expected)
    assert not leftovers, f"half-written: {leftovers}"
    ended = runner.run(*words(name, artefacts, at / "out"))
    assert ended.status == 0, ended.err[-600:]
    differ = {n for n, _ in below(at).items() ^ expected.items()}
    assert not differ, f"other than in an undisturbed run: {sorted(differ)}"
    assert not [*at.rglob("*.part")], "temporaries stay"
    assert names(at) == files, f"other files: {sorted(names(at) ^ files)}"


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments(name, whole, runner, artefacts, tally, tmp_path):
    if not tally.long and name not in QUICK:
        pytest.skip("a part of the long campaign (benchmarks/faults.py)")
    expected, files, seconds, _ = whole(name)
    draw, number = random.Random(crc32(name.encode())), 0
    while number < tally.rounds:
        at = tmp_path / str(number)
        at.mkdir(exist_ok=True)
        ended = runner.kill(draw.uniform(0.1, 1.0) * seconds, *words(name, artefacts, at / "out"))
        if ended.status != -9:  # it was at its end already: no fault
            assert ended.status == 0, ended.err
            number, tally.rounds = number + 1, tally.rounds + (tally.rounds < 60)
            continue
        with tally.fault(f"kill -9 at a random moment: {name}"):
            goes_on(runner, artefacts, name, at, expected, files)
        number += 1


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_file_operations(name, whole, runner, artefacts, tally, tmp_path):
    """Before a file is opened for writing, renamed, removed or made: the moments at which
    files are half there."""
    if not tally.long and name not in QUICK:
        pytest.skip("a part of the long campaign (benchmarks/faults.py)")
    expected, files, _, operations = whole(name)
    draw = random.Random(1 + crc32(name.encode()))
    for number in sorted(draw.sample(range(1, operations + 1), min(operations, tally.rounds))):
        at = tmp_path / str(number)
        at.mkdir()
        ended = runner.run(*words(name, artefacts, at / "out"), strike=number, below=str(at))
        assert ended.status == -9, ended.err
        with tally.fault(f"kill -9 at a file operation: {name}"):
            goes_on(runner, artefacts, name, at, expected, files)
