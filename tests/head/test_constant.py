"""The bias-only veneer: a planted shift of the logits is recovered, it is a lower
bound, and its files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from pairs import plain_pair, prompts, small_capture
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file, write_json
from veneer.head import ExtractConfig, Veneer
from veneer.head.constant import Constant, wider, with_ones
from veneer.head.events import Event, SearchStep
from veneer.head.extract import extract
from veneer.head.merge import merge
from veneer.head.objective import Objective
from veneer.head.token_blocks import Tokens
from veneer.measures.held_out import held_out
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.systems.system import System

BIAS = ExtractConfig(output="bias")


def shifted_pair(kind: str = "llama", spread: float = 1.0) -> tuple[Pair, torch.Tensor]:
    """Base and aligned := base with a constant vector added to W h, and that vector."""
    base, aligned = tiny(kind, scale=1.5), tiny(kind, scale=1.5)
    layer = aligned.model.get_output_embeddings()
    shift = spread * torch.randn(layer.weight.shape[0], generator=torch.Generator().manual_seed(3))
    layer.bias = nn.Parameter(shift if layer.bias is None else layer.bias + shift)
    return Pair(
        base,
        LanguageModel("shifted", aligned.model, aligned.tokenizer),
        PlainFormat(),
        PlainFormat(),
    ), shift


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    pair, shift = shifted_pair()
    return pair, shift, small_capture(tmp_path_factory.mktemp("bias") / "c", pair, n=120, k=400)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """aligned := base with a random change of its head, which no constant carries."""
    return small_capture(tmp_path_factory.mktemp("turned") / "c", plain_pair(change=0.4), n=120)


def kls(capture, extraction):
    seen = held_out(capture, extraction.veneer, extraction.split.report)
    return seen.kl_base.mean(), seen.kl_veneer.mean()


def test_a_planted_bias_is_recovered(planted):
    _, shift, capture = planted
    how = ExtractConfig(
        output="bias",
        stop="optimum",
        ridge=1e-6,
        row_threshold=0,
        dtype="float64",
        max_evaluations=400,
    )
    extraction = extract(capture, how)
    base, veneer = kls(capture, extraction)
    assert base > 0.1 and veneer < 1e-5
    error = extraction.veneer.bias - shift
    error = (error - error.median()).abs()  # a constant on all logits changes nothing
    assert float(error.max()) < 0.05
    assert extraction.veneer.facts["extraction"]["convex"]


def test_the_default_recovers_it_nearly(planted):
    base, veneer = kls(planted[2], extract(planted[2], BIAS))
    assert veneer < 0.03 * base


def test_it_is_a_lower_bound_of_a_veneer(turned):
    base, bias = kls(turned, extract(turned, BIAS))
    _, dense = kls(turned, extract(turned))
    assert dense < bias < base


def test_no_difference_gives_no_change(tmp_path):
    extraction = extract(small_capture(tmp_path / "c", plain_pair(change=0.0), n=40), BIAS)
    assert (
        extraction.veneer.facts["zero"] is True
        and float(extraction.veneer.dense().abs().max()) == 0
    )


def test_the_gradient_is_that_of_differences(turned):
    tokens = Tokens(
        lambda: with_ones(Tokens.of_capture(turned, range(20), torch.float64, torch.device("cpu"))),
        torch.float64,
        torch.device("cpu"),
    )
    problem = Objective(tokens, wider(turned.head), torch.arange(turned.head.rows))
    shape = Constant.of(problem)
    draw = torch.Generator().manual_seed(1)
    x, step = (torch.randn(turned.head.rows, generator=draw, dtype=torch.float64) for _ in range(2))
    slope = float(shape.pull_back(x, problem.evaluate(shape.to_change(x)).gradient) @ step)
    ahead, behind = (problem.loss(shape.to_change(x + e * step)) for e in (1e-4, -1e-4))
    assert slope == pytest.approx((ahead - behind) / 2e-4, rel=1e-4)
    assert torch.equal(shape.start(shape.to_change(x), direct=False), x)


def test_a_system_with_the_planted_bias_answers_as_the_aligned_model(planted):
    from veneer.models.decode import Sampling
    from veneer.systems.respond import respond

    pair, shift, capture = planted
    veneer = Veneer.of_bias(capture.head.hash(), pair.base.head.width, shift)
    questions = prompts(6)
    shifted = System.of_model(pair.base, veneer)
    one, other = (
        [r.token_ids for r in respond(s, questions, Sampling(max_new_tokens=6))]
        for s in (shifted, System.of_model(pair.aligned))
    )
    assert one == other
    assert (
        shifted.facts()["head_bias"]
        != System.of_model(pair.base, veneer.scaled(0.5)).facts()["head_bias"]
    )


def test_files(planted, tmp_path):
    fitted = extract(planted[2], BIAS).veneer
    back = Veneer.load(fitted.save(tmp_path / "v"))
    assert torch.equal(back.bias, fitted.bias) and back.rank == 0 and back.width == fitted.width
    assert back.identity() == fitted.identity() != back.scaled(2.0).identity()
    assert json.loads((tmp_path / "v" / "veneer.json").read_text())["schema"] == 2
    plain = Veneer("x", 3, torch.ones(3, 2)).save(tmp_path / "plain")
    assert (
        json.loads((plain / "veneer.json").read_text())["schema"] == 1
        and Veneer.load(plain).bias is None
    )
    write_json(
        plain / "veneer.json", {**json.loads((plain / "veneer.json").read_text()), "schema": 3}
    )
    with pytest.raises(InputError, match="schema 1 or 2"):
        Veneer.load(plain)
    assert sha256_file(plain / "veneer.safetensors")


def test_merging_needs_a_head_that_holds_it(planted, tmp_path):
    pair, _, capture = planted
    veneer = extract(capture, BIAS).veneer
    with pytest.raises(InputError, match="has no bias that could hold it"):
        merge(veneer, pair.base, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [{"direct": True}, {"solver": "paper"}, {"rank": 2}])
def test_options_that_do_not_go_with_it(more):
    with pytest.raises(InputError, match="leave the other options out"):
        ExtractConfig(output="bias", **more)


@pytest.mark.parametrize("bias", [torch.zeros(2), torch.full((3,), torch.nan)])
def test_a_bias_that_does_not_fit(bias):
    with pytest.raises(InputError):
        Veneer("x", 3, torch.ones(3, 2), bias=bias)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_low_rank_veneer_may_start_from_the_dense_one(turned, dtype):
    """It then solves the dense problem no second time, and ends where it would have. The veneer is
    in float32 whatever solved it."""
    dense = extract(turned, ExtractConfig(dtype=dtype)).veneer
    low = ExtractConfig(rank=3, dtype=dtype)
    events: list[Event] = []
    from_start = extract(turned, low, start=dense, log=events.append)
    alone = extract(turned, low)
    assert {x.stage for x in events if isinstance(x, SearchStep)} == {"rank 3"}
    one, other = from_start.veneer.dense(), alone.veneer.dense()
    assert float((one - other).norm() / other.norm()) < 1e-2
    another = replace(low, ridge=0.3)
    stages = {
        x.stage for x in extract(turned, another, start=dense).log if isinstance(x, SearchStep)
    }
    assert "full" in stages
