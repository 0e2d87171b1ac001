"""Any bytes, and any JSON in the place of any field: a value or an InputError (benchmarks/fuzz.py
goes on for longer)."""

from __future__ import annotations

import copy
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsers import SEEDS, TARGETS

NUMBERS = st.sampled_from(
    [
        0,
        -1,
        1,
        2**31,
        2**63,
        -(2**63) - 1,
        10**400,
        1e308,
        -0.0,
        0.5,
        float("nan"),
        float("inf"),
        True,
    ]
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", " ", "\ud800", "\x00", "../../x", "{prompt}", "=1+1", "(((", "a{99999}" * 3, "\u2028"]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda s: st.one_of(st.lists(s, max_size=3), st.dictionaries(TEXTS, s, max_size=3)),
    max_leaves=6,
)
ODD = [
    b"",
    b"\n",
    b"\x00",
    b"\xff\xfe[\x001",
    b"\xef\xbb\xbf{}",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b"9" * 5000,
    b"NaN",
    b"-Infinity",
    b"1e999",
    b'"\\ud800"',
    b'{"a": 1, "a": 2}',
    b'{"prompt": "' + b"a" * (2 * 2**20) + b'"}',
    b"{}\n" * 1000,
    b"\r\n{}\r",
    b'"\x1b[31m"',
    b"PK\x03\x04",
    b"PAR1\x00\x00\x00\x00PAR1",
    b"null",
    b"true",
]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON value, the value itself first."""
    if isinstance(value, dict):
        inner = [p for k, v in value.items() for p in places(v, (*path, k))]
    elif isinstance(value, list):
        inner = [p for i, v in enumerate(value) for p in places(v, (*path, i))]
    else:
        inner = []
    return [path, *inner]


def changed(value: object, path: tuple, new: object) -> object:
    if not path:
        return new
    value = copy.deepcopy(value)
    at = value
    for step in path[:-1]:
        at = at[step]  # type: ignore[index]
    at[path[-1]] = new  # type: ignore[index]
    return value


def rows(seed: bytes) -> list | None:
    try:
        return [json.loads(line) for line in seed.decode().splitlines() if line.strip()]
    except ValueError:
        return None


@pytest.mark.parametrize("name", TARGETS)
def test_bytes(name, tally):
    read = TARGETS[name]
    for data in (*ODD, *SEEDS.get(name, ())):
        with tally.fault("hostile bytes for a parser"):
            started = time.process_time()
            try:
                read(data)
            except Exception as error:
                raise AssertionError(
                    f"{type(error).__name__}: {error} for {data[:60]!r}"
                ) from error
            assert time.process_time() - started < 20

    @given(st.binary(max_size=300))
    @settings(
        max_examples=1000 if tally.long else 10, deadline=None, database=None, derandomize=True
    )
    def any_bytes(data):
        read(data)
        done.append(data)

    done: list[bytes] = []
    any_bytes()
    tally.count("hostile bytes for a parser", len(done), len(done))


@pytest.mark.parametrize("name", [n for n in TARGETS if any(rows(s) for s in SEEDS.get(n, ()))])
def test_any_value_in_the_place_of_any_other(name, tally):
    read, seeds = TARGETS[name], [r for s in SEEDS[name] if (r := rows(s))]

    @given(st.data())
    @settings(
        max_examples=1000 if tally.long else 25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def mutated(data):
        value = copy.deepcopy(data.draw(st.sampled_from(seeds)))
        for _ in range(data.draw(st.integers(1, 2))):
            at = data.draw(st.integers(0, len(value) - 1))
            value[at] = changed(
                value[at], data.draw(st.sampled_from(places(value[at]))), data.draw(VALUES)
            )
        if data.draw(st.booleans()):
            value.append(value[-1])
        read("\n".join(json.dumps(row) for row in value).encode())
        done.append(value)

    done: list[list] = []
    mutated()
    tally.count("hostile JSON for a parser", len(done), len(done))
