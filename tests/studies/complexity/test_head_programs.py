"""Planted truths of head programs: a staircase at the planted rank, and nothing where nothing was
planted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import log2

import numpy as np
import torch

from pairs import plain_pair, small_capture
from veneer.head.config import ExtractConfig
from veneer.head.extract import extract, split_of
from veneer.studies.complexity.head_programs import HeadCoding, front_of
from veneer.studies.complexity.program.decoders import head as decoder

RANK = 4


def planted(tmp_path):
    """A pair whose aligned head differs on 24 rows by integer factors of rank 4, and its
    capture."""
    pair = plain_pair()
    draw = np.random.default_rng(3)
    weight = pair.aligned.model.get_output_embeddings().weight
    rows = torch.arange(20, 20 + 24)
    A, B = draw.integers(-3, 4, (24, RANK)), draw.integers(-3, 4, (RANK, weight.shape[1]))
    with torch.no_grad():
        weight[rows] += torch.from_numpy(A @ B).float() / 11
    return pair, small_capture(tmp_path / "capture", pair, n=60, k=400)


def test_a_staircase_at_the_planted_rank(tmp_path):
    _, capture = planted(tmp_path)
    config = ExtractConfig(stop="optimum", ridge=1e-6, max_evaluations=150, row_threshold=0.0)
    split = split_of(capture, 0)
    coding = HeadCoding(capture, split, config)
    dense = extract(capture, config).veneer
    kl = {}
    for rank in (RANK - 1, RANK):
        veneer = extract(capture, replace(config, rank=rank), start=dense).veneer
        programs = list(coding.candidates(veneer, [-5], [0.0]))
        kl[rank] = programs[0].select_kl
    assert kl[RANK] < 1e-3 < kl[RANK - 1]
    assert len(programs[0].payload) <= 1.02 * adaptive_bits(programs[0].numbers) / 8 + 40


def adaptive_bits(numbers):
    """Bits of the factors by a coder that learns each alphabet as it reads (Krichevsky & Trofimov
    1981), given the alphabet: one for the gaps, one per column of A, one for the rest."""
    gaps = np.diff(numbers.rows, prepend=-1)
    streams = [gaps, numbers.B.T.reshape(-1), numbers.shifts, numbers.exponents, *numbers.A.T]
    total = 0.0
    for stream in streams:
        symbols = sorted(set(stream.tolist()))
        seen: Counter[int] = Counter()
        for value in stream.tolist():
            total -= log2((seen[value] + 0.5) / (seen.total() + len(symbols) / 2))
            seen[value] += 1
        # the alphabet itself: a bit for each number up to the largest
        total += max(map(abs, symbols)) * 2 + 1
    return total


def test_nothing_is_coded_where_nothing_was_planted(tmp_path):
    capture = small_capture(tmp_path / "capture", plain_pair(), n=12)
    extraction = extract(capture, ExtractConfig(rank=1))
    coding = HeadCoding(capture, extraction.split, ExtractConfig())
    assert list(coding.candidates(extraction.veneer, [0, -3], [0.0])) == []


def test_a_program_is_its_measured_change(tmp_path):
    """The select KL of a candidate is that of what its decoder makes of the payload."""
    _, capture = planted(tmp_path)
    extraction = extract(capture, ExtractConfig(rank=2))
    coding = HeadCoding(capture, extraction.split, ExtractConfig())
    candidates = list(coding.candidates(extraction.veneer, [0, -2], [0.0, 1e-4]))
    for c in candidates:
        coder = decoder.Coder(c.payload)
        vocabulary, width, rank, count, biased = decoder.sizes(coder)
        assert (vocabulary, width, rank, biased) == (capture.head.rows, capture.head.width, 2, 0)
        rows, A = np.zeros(count, np.int64), np.zeros((count, rank), np.int64)
        B, shifts = np.zeros((rank, width), np.int64), np.zeros(rank, np.int64)
        exponents = np.zeros(1 + width, np.int64)
        decoder.numbers(coder, rows, A, B, shifts, exponents, np.zeros(0, np.int64))
        change = torch.zeros(len(coding.rows), width)
        place = {int(row): i for i, row in enumerate(coding.rows)}
        change[[place[int(r)] for r in rows]] = torch.from_numpy(
            decoder.change(A, B, shifts, exponents)
        )
        assert abs(coding.select.loss(change) - c.select_kl) < 1e-6
    kept = front_of(candidates, 2)
    assert len(kept) <= 2
    assert [len(c.payload) for c in kept] == sorted(len(c.payload) for c in kept)
