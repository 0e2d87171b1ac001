"""Weights packed for decoding steps: the numbers of the plain product, and only in steps."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tiny import tiny
from veneer.models import step_weights
from veneer.models.decode import Row, Sampling, decode_steps, decode_with
from veneer.models.language_model import LanguageModel
from veneer.models.packed import BLOCK, MOST_ROWS, Packed, may_fit
from veneer.models.stepper import AmplifiedStepper, ModelStepper
from veneer.models.vocabulary import match_vocabularies

PROMPTS = [[5, 6, 7, 8], [9, 10, 11], [12, 13, 14, 15, 16]]
GREEDY = Sampling(20)
needs_product = pytest.mark.skipif(
    not may_fit(torch.zeros(2, 2)), reason="this build of torch has no product with packed weights"
)


@pytest.fixture(autouse=True)
def small_matrices_too(monkeypatch):
    monkeypatch.setattr(step_weights, "SMALLEST", 0)


def rounded(kind: str = "llama", **more: object) -> LanguageModel:
    """A tiny model whose weights are those of a bfloat16 checkpoint."""
    lm = tiny(kind, **more)
    with torch.no_grad():
        for p in lm.model.parameters():
            p.copy_(p.bfloat16())
    return LanguageModel(lm.name, lm.model, lm.tokenizer)


def decoded(lm: LanguageModel) -> list[list[int]]:
    with torch.inference_mode():
        answers = decode_with(ModelStepper(lm, PROMPTS), GREEDY, stop_ids=())
    return [list(a.token_ids) for a in answers]


def plain_layers(lm: LanguageModel) -> bool:
    return not any("forward" in vars(m) for m in lm.model.modules())


def packed_layers(lm: LanguageModel) -> int:
    return len(lm.step_weights._forwards)


@needs_product
@given(
    rows=st.integers(1, 70),
    width=st.integers(1, 90),
    count=st.integers(1, MOST_ROWS),
    power=st.integers(-40, 40),
    dtype=st.sampled_from([torch.bfloat16, torch.float16]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_product_is_that_of_the_stored_weights(rows, width, count, power, dtype, bias, seed):
    draw = torch.Generator().manual_seed(seed)
    power = power if dtype is torch.bfloat16 else max(-8, min(8, power))
    weight = (torch.randn(rows, width, generator=draw) * 2.0**power).to(dtype).float()
    b = torch.randn(rows, generator=draw) if bias else None
    packed = Packed.of(weight, b)
    assert packed is not None
    states = torch.randn(count, width, generator=draw)
    out = packed.product(states)
    exact = states.double() @ weight.double().T
    size = states.double().abs() @ weight.double().abs().T  # what rounding is relative to
    if b is not None:
        exact, size = exact + b, size + b.abs()
    assert ((out - exact).abs() <= width * 2.0**-23 * size + 1e-38).all()


@needs_product
def test_a_large_matrix_is_packed_in_parts_and_gives_the_same_bytes_at_any_number_of_threads():
    weight = torch.randn(BLOCK // 64 * 2 + 5, 64).bfloat16().float()
    packed = Packed.of(weight)
    assert packed is not None and len(packed.parts) == 3
    states = torch.randn(7, 64)
    before = torch.get_num_threads()
    try:
        outs = [torch.set_num_threads(n) or packed.product(states) for n in (1, 2, 3)]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(outs[0], outs[1]) and torch.equal(outs[0], outs[2])
    torch.testing.assert_close(outs[0], states @ weight.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "weight",
    [
        torch.randn(8, 8) / 3,
        torch.full((4, 4), float("nan")),
        torch.full((4, 4), float("inf")),
        torch.full((4, 4), 1e-38),
        torch.ones(4, 4).double(),
        torch.ones(4, 4).bfloat16(),
        torch.ones(4, 4, device="meta"),
    ],
    ids=["float32", "nan", "inf", "tiny", "float64", "bfloat16", "meta"],
)
def test_a_matrix_that_would_change_is_not_packed(weight):
    assert Packed.of(weight) is None


@needs_product
@pytest.mark.parametrize("many", [1, 60, 99])
def test_rows_that_float16_would_change_are_multiplied_as_they_are(many):
    """As in a merged checkpoint, whose head holds W + dW on some of its rows."""
    draw = torch.Generator().manual_seed(many)
    weight = torch.randn(300, 96, generator=draw).bfloat16().float()
    rows = torch.randperm(300, generator=draw)[:many].sort().values
    weight[rows, 3] = 1.0 + 2.0**-20
    packed = Packed.of(weight)
    assert packed is not None and torch.equal(packed.plain * packed.factor, weight[rows])
    states = torch.randn(9, 1, 96, generator=draw)
    exact = (states.double() @ weight.double().T).float()
    torch.testing.assert_close(packed.product(states), exact, rtol=1e-5, atol=1e-5)
    by_hand = torch.nn.functional.linear(states, weight[rows])
    torch.testing.assert_close(packed.product(states)[..., rows], by_hand, rtol=1e-6, atol=1e-6)


@needs_product
def test_a_matrix_with_many_rows_that_would_change_is_not_packed():
    weight = torch.randn(300, 96).bfloat16().float()
    weight[:101, 3] = 1.0 + 2.0**-20
    assert Packed.of(weight) is None


@needs_product
def test_a_merged_checkpoint_takes_packed_steps_with_the_logits_of_its_head():
    lm = rounded()
    with torch.no_grad():
        lm.head.weight[10:40] += torch.randn(30, 32) / 100
    merged = LanguageModel(lm.name, lm.model, lm.tokenizer)
    head = merged.step_weights.head(merged.head)
    assert head.packed is not None and len(head.packed.plain) == 30
    states = torch.randn(4, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            head.logits(states), merged.head.logits(states), rtol=1e-5, atol=1e-5
        )


@needs_product
def test_a_veneers_head_over_a_packed_model_is_packed_too_and_forgotten_with_it():
    lm = rounded()
    changed = lm.head.weight.detach().clone()
    changed[10:40] += torch.randn(30, 32) / 100
    head = replace(lm.head, weight=changed)
    with torch.inference_mode():
        stepper = ModelStepper(lm, PROMPTS, head)
        stepper.feed(stepper.logits().argmax(-1))
        logits = stepper.logits()
        torch.testing.assert_close(logits, head.logits(stepper.hidden), rtol=1e-5, atol=1e-5)
    assert lm.step_weights.head(head).packed.plain is not None
    assert lm.step_weights.head(lm.head).packed.plain is None
    del stepper, head
    gc.collect()
    assert list(lm.step_weights._heads) == [lm.head]


def test_zeros_give_zeros():
    packed = Packed.of(torch.zeros(3, 5))
    assert packed is None or packed.product(torch.ones(2, 5)).eq(0).all()


@needs_product
@pytest.mark.parametrize("kind", ["llama", "llama-tied", "qwen2", "gemma2", "granite", "cohere"])
def test_a_step_gives_the_logits_of_the_plain_weights_and_leaves_the_modules_as_they_were(kind):
    lm = rounded(kind)
    with torch.inference_mode():
        stepper = ModelStepper(lm, PROMPTS)
        for _ in range(4):
            logits = stepper.logits()
            assert plain_layers(lm)
            own = [
                lm.model(torch.tensor([list(p) + c])).logits[0, -1]
                for p, c in zip(PROMPTS, stepper_tokens(stepper), strict=True)
            ]
            torch.testing.assert_close(logits, torch.stack(own), rtol=1e-4, atol=1e-4)
            stepper.feed(logits.argmax(-1))
    assert packed_layers(lm) == 14 and lm.step_weights.head(lm.head).packed is not None


def stepper_tokens(stepper: ModelStepper) -> list[list[int]]:
    rows = stepper._reader._rows
    return [r[len(p) :] for r, p in zip(rows, PROMPTS, strict=True)]


@needs_product
def test_steps_do_use_the_packed_weights(monkeypatch):
    lm = rounded()
    used = []
    product = Packed.product
    monkeypatch.setattr(Packed, "product", lambda self, x: used.append(x.shape) or product(self, x))
    with torch.inference_mode():
        loop = decode_steps(ModelStepper(lm, PROMPTS), [Row(GREEDY)] * 3, stop_ids=())
        next(loop)
        assert not used  # the prompts are read with the plain weights
        next(loop)
    assert len(used) == 15  # seven layers in each of two blocks, and the head


@needs_product
def test_a_model_with_float32_weights_stays_plain():
    lm = tiny("llama")
    decoded(lm)
    assert packed_layers(lm) == 0 and lm.step_weights.head(lm.head).packed is None


@needs_product
@pytest.mark.parametrize("way", ["copy", "data", "through data", "new"])
def test_weights_that_change_between_two_batches_are_packed_anew(way):
    lm = rounded(seed=1)
    other = rounded(seed=2)
    before, wanted = decoded(lm), decoded(other)
    assert before != wanted
    with torch.no_grad():
        for p, q in zip(lm.model.parameters(), other.model.parameters(), strict=True):
            if way == "copy":
                p.copy_(q)
            elif way == "data":
                p.data = q.data.clone()
            elif way == "through data":
                p.data.copy_(q.data)
    if way == "new":
        lm.model.load_state_dict(other.model.state_dict())
    if way == "data":  # the head is the model's first matrix; a new one needs a new LanguageModel
        lm = LanguageModel(lm.name, lm.model, lm.tokenizer)
    assert decoded(lm) == wanted


@needs_product
@pytest.mark.parametrize("place", [0, 7, 14])
def test_where_memory_runs_out_while_weights_are_packed_no_old_ones_are_used(place, monkeypatch):
    lm, other = rounded(seed=1), rounded(seed=2)
    decoded(lm)
    wanted = decoded(other)
    with torch.no_grad():
        for p, q in zip(lm.model.parameters(), other.model.parameters(), strict=True):
            p.copy_(q)
    calls, pack = [], Packed.of

    def out_of_memory(weight, bias=None):
        calls.append(weight)
        if len(calls) == place + 1:
            raise MemoryError
        return pack(weight, bias)

    monkeypatch.setattr(Packed, "of", out_of_memory)
    with pytest.raises(MemoryError):
        decoded(lm)
    assert decoded(lm) == wanted


@needs_product
def test_gradients_flow_through_the_plain_weights():
    lm = rounded()
    decoded(lm)
    with lm.step_weights.step():
        layer = next(iter(lm.step_weights._forwards))
        x = torch.randn(2, 1, layer.in_features, requires_grad=True)
        layer(x).sum().backward()
    assert x.grad is not None and layer.weight.grad is not None


@needs_product
def test_many_rows_take_the_plain_product():
    packed = Packed.of(torch.ones(4, 4))
    assert packed is not None
    with torch.no_grad():
        assert packed.takes(torch.ones(MOST_ROWS, 1, 4))
        assert not packed.takes(torch.ones(MOST_ROWS + 1, 1, 4))
        assert not packed.takes(torch.ones(1, 4).double())


@needs_product
def test_an_error_within_a_step_leaves_the_modules_as_they_were():
    lm = rounded()
    decoded(lm)
    with pytest.raises(ZeroDivisionError), lm.step_weights.step():
        assert not plain_layers(lm)
        raise ZeroDivisionError
    assert plain_layers(lm)


@needs_product
def test_a_forward_that_somebody_put_on_a_module_is_kept():
    lm = rounded()
    layer = next(m for m in lm.backbone.modules() if type(m) is nn.Linear)
    calls = []
    layer.forward = lambda x: calls.append(1) or nn.Linear.forward(layer, x)
    decoded(lm)  # tries the model's abilities too
    calls.clear()
    decoded(lm)
    assert len(calls) == GREEDY.max_new_tokens and "forward" in vars(layer)


@needs_product
def test_threads_that_decode_with_one_model_do_not_disturb_each_other():
    lm = rounded()
    wanted = decoded(lm)
    answers: list[list[list[int]]] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(decoded(lm) for _ in range(5)))
        for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [wanted] * 20 and plain_layers(lm)


@needs_product
def test_small_matrices_are_multiplied_as_they_are(monkeypatch):
    monkeypatch.setattr(step_weights, "SMALLEST", 32 * 48)
    lm = rounded()
    decoded(lm)
    assert packed_layers(lm) == 6 and lm.step_weights.head(lm.head).packed is not None
    monkeypatch.setattr(step_weights, "SMALLEST", 1 << 18)
    lm = rounded()
    decoded(lm)
    assert packed_layers(lm) == 0 and lm.step_weights.head(lm.head).packed is None


@needs_product
def test_a_model_that_fills_much_of_the_memory_is_not_packed(monkeypatch):
    monkeypatch.setattr(step_weights, "memory_size", lambda: 100_000)
    lm = rounded()
    decoded(lm)
    assert packed_layers(lm) == 0 and lm.step_weights.head(lm.head).packed is None


@needs_product
def test_two_models_whose_difference_is_amplified_take_packed_steps_with_the_shared_rows():
    lm, other = rounded(seed=1), rounded(seed=2)
    size = lm.head.rows - 3
    vocabulary = match_vocabularies(lm, other)
    with torch.inference_mode():
        stepper = AmplifiedStepper(lm, other, vocabulary, PROMPTS, PROMPTS, 1.0)
        first = stepper.logits()
        stepper.feed(first.argmax(-1))
        second = stepper.logits()
        head = lm.step_weights.head(lm.head).first_rows(size)
        assert head.packed is not None
        assert head.logits(stepper.hidden).shape == (3, size)
        plain = lm.head.logits(stepper.hidden).log_softmax(-1)
    torch.testing.assert_close(second, plain[:, : second.shape[1]], rtol=1e-4, atol=1e-4)
