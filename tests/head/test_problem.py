"""The objective, its gradient and its optimum, against independent computations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pairs import chat_pair, plain_pair, small_capture
from veneer.capture.distributions import log_masses, top_k
from veneer.head.config import ExtractConfig
from veneer.head.extract import extract
from veneer.head.objective import Objective
from veneer.head.parametrisation import Dense
from veneer.head.solve import solve
from veneer.head.token_blocks import Tokens
from veneer.models.head import Head

CPU = torch.device("cpu")


def toy(
    n=40, width=4, rows=9, k=3, seed=0, dtype=torch.float64, softcap=None, scale=1.0, bias=False
):
    """A random problem: tokens, head, and the full targets (n, V), the tail
    spread as base's own."""
    draw = torch.Generator().manual_seed(seed)
    make = {"generator": draw, "dtype": torch.float64}
    head = Head(
        torch.randn(rows, width, **make),
        torch.randn(rows, **make) if bias else None,
        scale,
        softcap,
    )
    hidden = torch.randn(n, width, **make)
    aligned = top_k(2 * torch.randn(n, rows, **make), k)
    base = head.logits(hidden)
    own = top_k(base, k)
    inside, outside = log_masses(base, aligned.ids)
    block = {
        "hidden": hidden,
        "position": torch.arange(n),
        "aligned_ids": aligned.ids,
        "aligned_logprobs": aligned.logprobs,
        "aligned_tail": aligned.tail,
        "base_ids": own.ids,
        "base_logprobs": own.logprobs,
        "base_at_aligned": inside,
        "base_outside": outside,
        "base_logz": own.logz,
    }
    tail = base.log_softmax(-1).scatter(1, aligned.ids.long(), -torch.inf)
    targets = (tail - tail.logsumexp(-1, keepdim=True) + aligned.tail[:, None]).exp()
    targets = targets.scatter(1, aligned.ids.long(), aligned.logprobs.exp())
    cuts = [slice(0, n // 3), slice(n // 3, n)]

    def blocks():
        for cut in cuts:
            yield {name: value[cut] for name, value in block.items()}

    return Tokens(blocks, dtype, CPU), head, hidden, targets


def written_out(change, head, hidden, targets, ridge):
    """KL(target || softmax(cap(scale (W + dW) h + b))) + ridge/2 |scale dW|^2, by autograd,
    every row at once."""
    logits = hidden @ (head.weight * head.scale + change).t()
    if head.bias is not None:
        logits = logits + head.bias * head.scale
    if head.softcap is not None:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    kl = (torch.special.xlogy(targets, targets) - targets * logits.log_softmax(-1)).sum(-1).mean()
    return kl + 0.5 * ridge * change.square().sum(), kl


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 6),
    st.integers(5, 12),
    st.integers(1, 5),
    st.sampled_from([None, 3.0]),
    st.sampled_from([1.0, 0.25]),
    st.booleans(),
)
def test_value_and_gradient_equal_the_formula(seed, width, rows, k, softcap, scale, bias):
    tokens, head, hidden, targets = toy(
        24, width, rows, k, seed, softcap=softcap, scale=scale, bias=bias
    )
    problem = Objective(tokens, head, torch.arange(rows))
    change = torch.randn(
        rows, width, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64
    ).requires_grad_()
    objective, kl = written_out(change, head, hidden, targets, 0.03)
    objective.backward()
    evaluation = problem.evaluate(change.detach(), 0.03)
    assert evaluation.kl == pytest.approx(float(kl.detach()), rel=1e-9, abs=1e-9)
    assert evaluation.objective == pytest.approx(float(objective.detach()), rel=1e-9, abs=1e-9)
    torch.testing.assert_close(evaluation.gradient, change.grad, rtol=1e-8, atol=1e-9)
    assert problem.base_kl == pytest.approx(
        float(written_out(torch.zeros(rows, width), head, hidden, targets, 0)[1]), abs=1e-9
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_fixed_rows_are_a_constant(seed, kept):
    """A problem over some rows equals the whole one with zeros at the others: value, and
    gradient on those rows."""
    tokens, head, _, _ = toy(30, 4, 9, 3, seed)
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(9, generator=draw)[:kept].sort().values
    part, whole = Objective(tokens, head, rows), Objective(tokens, head, torch.arange(9))
    change = torch.randn(kept, 4, generator=draw, dtype=torch.float64)
    full = torch.zeros(9, 4, dtype=torch.float64)
    full[rows] = change
    a, b = part.evaluate(change), whole.evaluate(full)
    assert a.kl == pytest.approx(b.kl, rel=1e-8, abs=1e-8)
    torch.testing.assert_close(a.gradient, b.gradient[rows], rtol=1e-6, atol=1e-8)


def test_gradient_by_finite_differences():
    tokens, head, _, _ = toy()
    problem = Objective(tokens, head, torch.arange(9))
    at = torch.randn(9, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    gradient = problem.evaluate(at, 0.1).gradient
    for row, column in [(0, 0), (3, 2), (8, 3)]:
        step = torch.zeros(9, 4, dtype=torch.float64)
        step[row, column] = 1e-5
        slope = (
            problem.evaluate(at + step, 0.1).objective - problem.evaluate(at - step, 0.1).objective
        ) / 2e-5
        assert slope == pytest.approx(float(gradient[row, column]), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("bias", [False, True])
def test_optimum_equals_scipys(bias):
    tokens, head, hidden, targets = toy(60, 4, 9, 3, bias=bias)
    problem = Objective(tokens, head, torch.arange(9))
    ridge = 0.05

    def function(flat):
        change = torch.tensor(flat.reshape(9, 4), requires_grad=True)
        objective, _ = written_out(change, head, hidden, targets, ridge)
        objective.backward()
        return float(objective), change.grad.numpy().ravel()

    expected = minimize(
        function,
        np.zeros(36),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-11, "maxiter": 5000},
    )
    dense = Dense.of(problem)
    start = torch.zeros(9, 4, dtype=torch.float64)
    how = {"ridge": ridge, "max_evaluations": 500, "patience": None, "gradient_tolerance": 1e-10}
    solution = solve(problem, problem, dense, start, **how)
    assert solution.objective == pytest.approx(expected.fun, abs=1e-9)
    np.testing.assert_allclose(
        dense.to_change(solution.x).numpy(), expected.x.reshape(9, 4), atol=1e-6
    )


@pytest.mark.parametrize("stop", ["select", "optimum"])
def test_the_recorded_objective_and_gradient_are_those_of_the_stored_veneer(tmp_path, stop):
    """The search goes a few steps beyond the best one: their values are not the veneer's."""
    capture = small_capture(tmp_path / "c", plain_pair(change=0.4), n=40)
    extraction = extract(capture, ExtractConfig(stop=stop))
    facts, split = extraction.veneer.facts["extraction"], extraction.split
    rows = extraction.veneer.changed_rows()
    tokens = Tokens.of_capture(capture, split.train, torch.float64, CPU)
    problem = Objective(tokens, capture.head, rows)
    recomputed = problem.evaluate(extraction.veneer.dense()[rows].double(), facts["ridge"])
    assert facts["objective"] == pytest.approx(recomputed.objective, rel=1e-4)
    assert facts["gradient_norm"] == pytest.approx(float(recomputed.gradient.norm()), rel=0.02)
    assert (facts["gradient_norm"] <= 1e-4) == (stop == "optimum")


def test_chunks_and_threads_change_nothing_beyond_rounding(monkeypatch):
    values = []
    threads = torch.get_num_threads()
    try:
        for elements, count in ((1 << 24, 1), (16 * 9, 1), (1 << 24, 2)):
            monkeypatch.setattr("veneer.head.token_sums.CHUNK_ELEMENTS", elements)
            torch.set_num_threads(count)
            tokens, head, _, _ = toy(200, 6, 9, 3)
            evaluation = Objective(tokens, head, torch.arange(9)).evaluate(
                torch.ones(9, 6, dtype=torch.float64), 0.1
            )
            values.append((evaluation.kl, evaluation.gradient))
    finally:
        torch.set_num_threads(threads)
    for kl, gradient in values[1:]:
        assert kl == pytest.approx(values[0][0], rel=1e-12)
        torch.testing.assert_close(gradient, values[0][1], rtol=1e-10, atol=1e-12)


def test_blocks_beyond_the_cache_are_read_again(tmp_path):
    """Streaming from disk gives the same result as holding everything in memory."""
    capture = small_capture(tmp_path / "c", n=40)
    numbers = capture.prompt_numbers
    evaluations = []
    for room in (1 << 30, 0, 30_000):
        tokens = Tokens.of_capture(capture, numbers, torch.float32, CPU, cache_bytes=room)
        problem = Objective(tokens, capture.head, torch.arange(capture.head.rows))
        evaluations.append(problem.evaluate(torch.full_like(problem.W, 0.01)))
        assert problem.n == capture.tokens
    assert evaluations[0].kl == evaluations[1].kl == evaluations[2].kl
    assert torch.equal(evaluations[0].gradient, evaluations[1].gradient)


def test_soft_cap_is_warm_started_and_claims_no_optimum(tmp_path):
    capture = small_capture(tmp_path / "c", chat_pair("gemma2"), n=40)
    extraction = extract(capture, ExtractConfig())
    facts = extraction.veneer.facts["extraction"]
    assert facts["convex"] is False and facts["gradient_norm"] >= 0
    assert any(getattr(event, "stage", None) == "uncapped" for event in extraction.log)
    assert facts["select_kl"] < facts["select_kl_base"]


def test_rows_that_stay_fixed_cost_nothing_held_out(tmp_path):
    """The same capture with every row free: the select KL is no better by more than a hundredth."""
    capture = small_capture(tmp_path / "c", plain_pair(change=0.4), n=60)
    some, every = (
        extract(capture, ExtractConfig(row_threshold=t)).veneer.facts["extraction"]["select_kl"]
        for t in (1e-3, 0.0)
    )
    assert some < every * 1.05 + 1e-3
