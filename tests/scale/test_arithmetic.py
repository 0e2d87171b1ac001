"""The formulae of benchmarks/scale_arithmetic.py against what is really written and held."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from pairs import small_capture
from veneer.capture import Capture
from veneer.head.config import ExtractConfig
from veneer.head.extract import extract
from veneer.head.objective import Objective
from veneer.head.token_sources import LocalSource

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from scale_arithmetic import Scale, lines

HEADER = 1200  # bytes that safetensors takes in front of a shard's columns


def of_capture(capture: Capture) -> Scale:
    facts = capture.manifest
    size = {"float32": 4, "bfloat16": 2}[facts["config"]["hidden_dtype"]]
    head, k = facts["head"], facts["config"]["k"]
    return Scale(
        width=head["width"], vocabulary=head["rows"], k=k, hidden_bytes=size, tokens=capture.tokens
    )


def on_disk(capture: Capture) -> int:
    return sum(p.stat().st_size for p in capture.folder.glob("shard-*.safetensors"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bytes_per_token(tmp_path, dtype):
    capture = small_capture(tmp_path / "capture", hidden_dtype=dtype)
    expected = capture.tokens * of_capture(capture).token_bytes()
    assert expected < on_disk(capture) <= expected + HEADER * len(capture.shards)


def test_bytes_per_token_of_a_real_capture():
    """A capture of the real pair: VENEER_CAPTURE names its folder."""
    place = os.environ.get("VENEER_CAPTURE")
    if not place or not (Path(place) / "manifest.json").is_file():
        pytest.skip("needs a capture of the real pair: set VENEER_CAPTURE to its folder")
    capture = Capture.open(place)
    expected = capture.tokens * of_capture(capture).token_bytes()
    assert expected < on_disk(capture) <= 1.001 * expected


def test_products_of_an_evaluation(tmp_path):
    """4 N R d: two products of one size, of which torch's counter sees one (not the product into a
    buffer that is used again)."""
    from torch.utils.flop_counter import FlopCounterMode

    capture = small_capture(tmp_path / "capture")
    source = LocalSource(capture, torch.float32, torch.device("cpu"), None, False)
    rows = torch.arange(capture.head.rows)
    problem = Objective(source.token_sums(capture.prompt_numbers, rows), capture.head, rows)
    with FlopCounterMode(display=False) as count:
        problem.evaluate(torch.zeros_like(problem.W))
    scale = Scale(tokens=capture.tokens / 0.8, rows=len(rows), width=capture.head.width)
    assert 2 * count.get_total_flops() == pytest.approx(scale.evaluation_flops())


def test_size_of_the_change(tmp_path):
    capture = small_capture(tmp_path / "capture")
    veneer = extract(capture, ExtractConfig(row_threshold=0.0)).veneer
    scale = Scale(rows=capture.head.rows, width=capture.head.width)
    assert (
        veneer.values().float().numel() * 4
        == scale.dense()
        == scale.traffic() / 2
        == scale.ray_traffic() / scale.workers
    )


def test_the_page_states_what_the_script_prints():
    page = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    for what, much, how in lines(Scale()):
        assert f"| {what} | {much} | {how} |" in page
