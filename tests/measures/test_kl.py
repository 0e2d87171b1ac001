"""Held-out figures against sums by hand."""

import numpy as np
import pytest
import torch

from made_up import held_out
from pairs import plain_pair, small_capture
from veneer.capture import Capture
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.measures import held_out as held_out_module
from veneer.measures.kl import BINS, early_share_rows, kl_rows, noise_rows, position_rows


def one(rows, **fields):
    (row,) = Results(rows).where(**fields)
    return row


def test_kl_is_the_sum_over_tokens_divided_by_their_number():
    rows = list(kl_rows(held_out()))
    assert one(rows, metric="kl", system="base").value == pytest.approx(12 / 7)
    assert one(rows, metric="kl", system="veneer").value == pytest.approx(3 / 7)
    assert one(rows, metric="kl_recovered").value == pytest.approx(1 - 3 / 12)
    assert one(rows, metric="top1_agreement", system="base").value == pytest.approx(2 / 7)
    assert one(rows, metric="top1_agreement", system="veneer").value == pytest.approx(4 / 7)
    for r in rows:
        assert r.n == 3 and r.split == "report" and r.task == "joint" and r.study == "extract"
        assert r.low <= r.value <= r.high


def test_kl_of_one_task():
    rows = list(kl_rows(held_out(), task="a", system="veneer-joint"))
    assert one(rows, metric="kl", system="base").value == pytest.approx(7 / 5)
    assert one(rows, metric="kl", system="veneer-joint").value == pytest.approx(2 / 5)
    assert one(rows, metric="kl_recovered").value == pytest.approx(1 - 2 / 7)
    assert one(rows, metric="kl_recovered").n == 2
    assert list(kl_rows(held_out(), task="c")) == []
    assert {r.system for r in kl_rows(held_out(), with_base=False)} == {"veneer"}


def test_a_veneer_that_makes_it_worse_recovers_less_than_nothing():
    rows = list(kl_rows(held_out(kl_veneer=held_out().kl_base * 2)))
    assert one(rows, metric="kl_recovered").value == pytest.approx(-1)


def test_nothing_to_recover_is_null_with_a_note():
    row = one(kl_rows(held_out(kl_base=np.zeros(7), kl_veneer=np.zeros(7))), metric="kl_recovered")
    assert row.value is row.low is row.high is None and "nothing to recover" in row.note


def test_positions_in_bins():
    rows = Results(position_rows(held_out()))
    assert {r.position for r in rows} == {(1, 1), (2, 2), (3, 3)}
    values = {(r.position[0], r.system): (r.value, r.n) for r in rows}
    assert values[1, "base"] == (pytest.approx(9 / 3), 3)
    assert values[2, "veneer"] == (pytest.approx(0.75 / 3), 3)
    assert values[3, "base"] == (pytest.approx(0.5), 1)
    later = held_out(position=np.array([10, 11, 20, 21, 40, 41, 400]))
    by_position = {r.position: r.value for r in position_rows(later) if r.system == "base"}
    assert by_position == {
        (10, 10): 3.0,
        (11, 20): 0.75,
        (21, 40): 1.25,
        (41, 80): 4.0,
        (321, 400): 1.0,
    }


def test_the_bins_leave_no_position_out():
    assert [b[0] for b in BINS[1:]] == [b[1] + 1 for b in BINS[:-1]] and BINS[0][0] == 1


def test_early_share():
    later = held_out(position=np.array([1, 10, 11, 10, 11, 1, 12]))
    row = one(early_share_rows(later, ["a"]), task="joint")
    assert row.value == pytest.approx((3 + 1 + 2 + 4) / 12) and row.position == (1, 10)
    assert one(early_share_rows(later, ["a"]), task="a").value == pytest.approx(6 / 7)


def test_held_out_figures_equal_a_sum_over_the_whole_vocabulary(tmp_path):
    """With as many log-probabilities kept as there are tokens nothing is lumped: KL
    from the definition."""
    pair = plain_pair(change=0.3)
    rows = pair.base.head.rows
    capture: Capture = small_capture(tmp_path / "c", pair, n=6, k=rows)
    draw = torch.Generator().manual_seed(1)
    veneer = Veneer(
        capture.head.hash(), rows, 0.1 * torch.randn(rows, capture.head.width, generator=draw)
    )
    table = held_out_module.held_out(capture, veneer, [1, 4])
    assert sorted(set(table.prompt.tolist())) == [1, 4]
    kl_base, kl_veneer, tops = [], [], []
    for n in (1, 4):
        (block,) = capture.blocks(("hidden", "token"), [n])
        # aligned is base with another head
        p = pair.aligned.head.logits(block["hidden"]).double().log_softmax(-1)
        for out, head in ((kl_base, capture.head), (kl_veneer, veneer.apply(capture.head))):
            q = head.logits(block["hidden"]).double().log_softmax(-1)
            out += (p.exp() * (p - q)).sum(-1).tolist()
        tops += veneer.apply(capture.head).logits(block["hidden"]).argmax(-1).tolist()
    order = np.argsort(table.prompt, kind="stable")
    np.testing.assert_allclose(table.kl_base[order], kl_base, atol=2e-4)
    np.testing.assert_allclose(table.kl_veneer[order], kl_veneer, atol=2e-4)
    assert table.veneer_top[order].tolist() == tops
    floor = noise_rows(capture, study="extract")
    assert (
        {r.system for r in floor} == {"aligned"} and floor[0].n == 3 and abs(floor[0].value) < 1e-4
    )
