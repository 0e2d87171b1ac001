"""The range coder and program files: exact, short, and refused where they are damaged."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veneer.foundation.errors import InputError
from veneer.studies.complexity.program import files
from veneer.studies.complexity.program.decoders.coder import Coder, payload_of
from veneer.studies.complexity.program.encoder import Encoder, write_program

BASE = bytes.fromhex("01234567")


def coded(values, context="x"):
    encoder = Encoder()
    for value in values:
        encoder.integer(context, value)
    return encoder.finish()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), max_size=60), st.integers(1, 3))
def test_any_integers_come_back(values, contexts):
    encoder = Encoder()
    for i, value in enumerate(values):
        encoder.integer(i % contexts, value)
    decoder = Coder(encoder.finish())
    assert [decoder.integer(i % contexts) for i in range(len(values))] == values


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.data())
def test_symbols_of_tables_come_back(symbols, data):
    """Tables of every shape: shares of 1 beside shares of 2^32."""
    shares = st.lists(st.sampled_from([1, 2, 255, 1 << 20, 1 << 32]), min_size=5, max_size=5)
    tables = []
    for _ in symbols:
        table = [0]
        for share in data.draw(shares):
            table.append(table[-1] + share)
        tables.append(table)
    encoder = Encoder()
    for table, symbol in zip(tables, symbols, strict=True):
        encoder.pick(table, symbol)
    decoder = Coder(encoder.finish())
    assert [decoder.pick(table) for table in tables] == symbols


def test_a_carry_runs_through_full_bytes():
    """The last symbol of a table, time and again, makes bytes of 255 that a carry must pass."""
    table = (0, 1, (1 << 32) + 1)
    symbols = [1] * 400 + [0] * 3 + [1] * 400
    encoder = Encoder()
    for symbol in symbols:
        encoder.pick(table, symbol)
    decoder = Coder(encoder.finish())
    assert [decoder.pick(table) for _ in symbols] == symbols


@pytest.mark.parametrize("most", [1, 15, 511, 2**40 - 1])
def test_incompressible_integers_hardly_grow(most):
    draw = random.Random(most)
    values = [draw.randint(-most, most) for _ in range(4000)]
    ideal = 4000 * math.log2(2 * most + 1) / 8
    assert len(coded(values)) <= 1.01 * ideal + 16


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
def test_a_skewed_bit_costs_its_entropy(share):
    draw = random.Random(1)
    values = [int(draw.random() < share) for _ in range(8000)]
    ones = sum(values) / 8000
    entropy = -ones * math.log2(ones) - (1 - ones) * math.log2(1 - ones)
    # each 1 has a sign and a length as well, which cost next to nothing after the first few
    assert len(coded(values)) <= 1.01 * 8000 * entropy / 8 + 16


def test_a_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "a.vnp"
    assert write_program(path, "head", BASE, coded(range(40))) == path.stat().st_size
    whole = path.read_bytes()
    decoder = Coder(payload_of(whole, "head", BASE))
    assert [decoder.integer("x") for _ in range(40)] == list(range(40))
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError):
            payload_of(bytes(damaged), "head", BASE)


def test_another_base_and_another_kind_are_refused(tmp_path):
    write_program(tmp_path / "a.vnp", "head", BASE, b"x")
    data = (tmp_path / "a.vnp").read_bytes()
    with pytest.raises(ValueError, match="another base"):
        payload_of(data, "head", b"abcd")
    with pytest.raises(ValueError, match="not of the kind text"):
        payload_of(data, "text", BASE)
    assert files.kind_of(tmp_path / "a.vnp") == "head"
    (tmp_path / "b.vnp").write_bytes(b"something else")
    with pytest.raises(InputError, match="no program file"):
        files.kind_of(tmp_path / "b.vnp")
    with pytest.raises(InputError, match="there is no file"):
        files.kind_of(tmp_path / "c.vnp")
