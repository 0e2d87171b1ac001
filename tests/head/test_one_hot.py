"""One-hot targets: the objective is the negative log-likelihood of the tokens, with a ridge."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairs import chat_pair, prompts, small_capture
from veneer.capture import CaptureConfig
from veneer.capture.batch import filled
from veneer.capture.distributions import TopK, kl_lumped, log_masses, top_k
from veneer.capture.run import capture_from
from veneer.capture.teachers.stored import StoredAnswer, StoredTeacher, one_hot
from veneer.head import ExtractConfig
from veneer.head.config import PaperRecipe
from veneer.head.extract import extract
from veneer.head.objective import Objective
from veneer.head.token_blocks import Tokens
from veneer.measures.held_out import held_out
from veneer.models.head import Head


def problem_of(
    seed: int, *, width=4, vocabulary=9, n=24, k=1, softcap=None, rows=None, dtype=torch.float64
):
    """(problem, head, hidden, ids): random states and tokens; k > 1 puts the tokens among k - 1
    others of probability 0."""
    draw = torch.Generator().manual_seed(seed)
    make = {"generator": draw, "dtype": torch.float64}
    head = Head(
        torch.randn(vocabulary, width, **make), torch.randn(vocabulary, **make), 0.5, softcap
    )
    hidden = torch.randn(n, width, **make)
    ids = torch.randint(vocabulary, (n,), generator=draw)
    target = one_hot(ids.tolist())
    if k > 1:
        top = TopK(
            torch.full((n, k), -1, dtype=torch.int32),
            torch.full((n, k), -torch.inf),
            target.tail,
            target.logz,
        )
        top.ids[:, 0], top.logprobs[:, 0] = ids.int(), 0.0
        target = filled(top, head, hidden)
    base = head.logits(hidden)
    own = top_k(base, 3)
    inside, outside = log_masses(base, target.ids)
    block = {
        "hidden": hidden,
        "position": torch.arange(n),
        "aligned_ids": target.ids,
        "aligned_logprobs": target.logprobs.double(),
        "aligned_tail": target.tail.double(),
        "base_ids": own.ids,
        "base_logprobs": own.logprobs,
        "base_at_aligned": inside,
        "base_outside": outside,
        "base_logz": own.logz,
    }
    tokens = Tokens(lambda: iter([block]), dtype, torch.device("cpu"))
    return (
        Objective(tokens, head, torch.arange(vocabulary) if rows is None else rows),
        head,
        hidden,
        ids,
    )


def nll(change, head, hidden, ids, ridge):
    """mean -log softmax(cap(scale (W + dW) h + b))[ids] + ridge/2 |scale dW|^2, by autograd."""
    logits = hidden @ (head.weight * head.scale + change).t() + head.bias * head.scale
    if head.softcap is not None:
        logits = head.softcap * torch.tanh(logits / head.softcap)
    return torch.nn.functional.cross_entropy(logits, ids) + 0.5 * ridge * change.square().sum()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 6),
    st.integers(5, 12),
    st.integers(1, 4),
    st.sampled_from([None, 3.0]),
)
def test_objective_and_gradient_are_those_of_the_likelihood(seed, width, vocabulary, k, softcap):
    problem, head, hidden, ids = problem_of(
        seed, width=width, vocabulary=vocabulary, k=k, softcap=softcap
    )
    draw = torch.Generator().manual_seed(seed + 1)
    change = torch.randn(vocabulary, width, generator=draw, dtype=torch.float64).requires_grad_()
    wanted = nll(change, head, hidden, ids, 0.03)
    wanted.backward()
    evaluation = problem.evaluate(change.detach(), 0.03)
    assert evaluation.objective == pytest.approx(float(wanted.detach()), rel=1e-9, abs=1e-9)
    torch.testing.assert_close(evaluation.gradient, change.grad, rtol=1e-8, atol=1e-9)
    assert problem.base_kl == pytest.approx(
        float(nll(torch.zeros(vocabulary, width), head, hidden, ids, 0)), abs=1e-9
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_the_gradient_is_the_slope_of_the_value(seed, kept):
    """Finite differences along random directions, with some rows fixed."""
    rows = torch.randperm(9, generator=torch.Generator().manual_seed(seed))[:kept].sort().values
    problem, *_ = problem_of(seed, rows=rows)
    draw = torch.Generator().manual_seed(seed + 1)
    at, along = (torch.randn(kept, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    step = 1e-5
    slope = (problem.loss(at + step * along) - problem.loss(at - step * along)) / (2 * step)
    assert slope == pytest.approx(
        float((problem.evaluate(at).gradient * along).sum()), rel=1e-5, abs=1e-7
    )


def test_float32_stays_finite_where_base_is_sure_of_the_token_or_of_another():
    """Base's probability of what was said is 1 - 1e-20, or 1e-20: no NaN from a tail of -inf."""
    head = Head(torch.eye(4) * 46.0)
    hidden = torch.eye(4)[[0, 1, 2]]
    target = one_hot([0, 1, 3])
    base = head.logits(hidden)
    own, (inside, outside) = top_k(base, 2), log_masses(base, target.ids)
    kl = kl_lumped(target.logprobs, target.tail, inside, outside)
    torch.testing.assert_close(
        kl, torch.tensor([0.0, 0.0, 46.0], dtype=torch.float64), rtol=1e-6, atol=1e-6
    )
    block = {
        "hidden": hidden,
        "position": torch.arange(3),
        "aligned_ids": target.ids,
        "aligned_logprobs": target.logprobs,
        "aligned_tail": target.tail,
        "base_ids": own.ids,
        "base_logprobs": own.logprobs,
        "base_at_aligned": inside,
        "base_outside": outside,
        "base_logz": own.logz,
    }
    problem = Objective(
        Tokens(lambda: iter([block]), torch.float32, torch.device("cpu")), head, torch.arange(4)
    )
    evaluation = problem.evaluate(torch.zeros(4, 4))
    assert (
        evaluation.kl == pytest.approx(46 / 3, rel=1e-5)
        and torch.isfinite(evaluation.gradient).all()
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.floats(0.0, 1.0))
def test_filling_what_is_not_told_changes_no_distribution(seed, known_places, tail):
    """The filled entries and the smaller tail make up the distribution that the objective makes of
    the tail: base's own shape."""
    draw = torch.Generator().manual_seed(seed)
    head, hidden = Head(torch.randn(11, 3, generator=draw)), torch.randn(4, 3, generator=draw)
    ids = torch.stack([torch.randperm(11, generator=draw)[:6] for _ in range(4)]).int()
    ids[:, known_places:] = -1
    logprobs = torch.full((4, 6), -torch.inf)
    known = torch.rand(4, known_places, generator=draw) + 0.01
    logprobs[:, :known_places] = (known / known.sum(1, keepdim=True) * (1 - tail)).log()
    before = TopK(
        ids, logprobs, torch.full((4,), math.log(tail) if tail else -torch.inf), torch.zeros(4)
    )
    after = filled(before, head, hidden)
    assert (after.ids >= 0).all() and all(len(set(row)) == 6 for row in after.ids.tolist())
    assert not after.logprobs.isnan().any() and not after.tail.isnan().any()
    torch.testing.assert_close(
        spread(after, head, hidden), spread(before, head, hidden), rtol=1e-4, atol=1e-6
    )
    q = log_masses(head.logits(hidden), after.ids)
    whole = kl_lumped(after.logprobs, after.tail, *q)
    for row in range(4):
        part = TopK(
            *(t[row : row + 1, :known_places] if t.ndim == 2 else t[row : row + 1] for t in before)
        )
        lumped = kl_lumped(
            part.logprobs, part.tail, *log_masses(head.logits(hidden[row : row + 1]), part.ids)
        )
        assert float(lumped) == pytest.approx(float(whole[row]), rel=1e-4, abs=1e-5)


@pytest.fixture(scope="module")
def answers_alone(tmp_path_factory):
    """A capture of the responses of another model, taken as stored answers."""
    pair, folder = chat_pair(), tmp_path_factory.mktemp("answers")
    rows = small_capture(folder / "pair", pair, n=20).responses()
    answers = {
        (r["task"], r["prompt_id"]): StoredAnswer(r["text"], tuple(r["token_ids"])) for r in rows
    }
    return capture_from(
        pair.base,
        StoredTeacher(pair.base, answers, "stored"),
        prompts(20),
        folder / "alone",
        CaptureConfig(8),
    )


@pytest.mark.parametrize(
    "how",
    [
        {"rank": 2},
        {"output": "bias"},
        {"output": "hidden"},
        {"direct": True},
        {"shuffled": True},
        {"stop": "optimum", "dtype": "float64", "ridge": 1.0},
        {"solver": "paper", "recipe": PaperRecipe(epochs=3, learning_rate=1e-3)},
    ],
    ids=lambda how: "-".join(map(str, how)),
)
def test_every_kind_of_veneer_learns_from_answers_alone(answers_alone, how):
    extraction = extract(answers_alone, ExtractConfig(**how))
    assert (
        not extraction.veneer.facts.get("zero")
        and extraction.veneer.facts["teacher"]["targets"] == "one-hot"
    )
    table = held_out(answers_alone, extraction.veneer, extraction.split.select)
    assert 0 < table.kl_veneer.mean() < table.kl_base.mean()
    (block,) = answers_alone.blocks(("token", "hidden"), [extraction.split.select[0]])
    nll = (
        -answers_alone.head.logits(block["hidden"])
        .log_softmax(-1)
        .gather(1, block["token"].long()[:, None])[:, 0]
    )
    own = table.kl_base[table.prompt == extraction.split.select[0]]
    torch.testing.assert_close(torch.tensor(own, dtype=torch.float32), nll, rtol=1e-4, atol=1e-4)


def spread(kept: TopK, head: Head, hidden: torch.Tensor) -> torch.Tensor:
    """The whole distribution (n, V): the told entries, and the tail in base's own shape."""
    logits = head.logits(hidden)
    out = torch.zeros_like(logits)
    for row in range(len(out)):
        ids = kept.ids[row][kept.ids[row] >= 0].long()
        rest = logits[row].clone()
        rest[ids] = -torch.inf
        out[row] = kept.tail[row].exp() * rest.softmax(0)
        out[row, ids] = kept.logprobs[row][kept.ids[row] >= 0].exp()
    return out
