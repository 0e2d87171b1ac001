"""What makes decoding faster changes none of its numbers: room in the cache, a head in blocks, the
largest logit."""

import copy

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from veneer.models.cache import ROOM, RoomyLayer, new_cache
from veneer.models.head import Head
from veneer.models.plain_product import FEW
from veneer.models.sampling import largest


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ).eval()


@torch.inference_mode()
def states(model, cache, ids, kept, cut=None):
    """Each step's states; rows leave where `kept` names a step, a token is taken back at `cut`."""
    out = [model.model(input_ids=ids[:, :9], past_key_values=cache).last_hidden_state]
    rows = torch.arange(len(ids))
    for at in range(9, ids.shape[1]):
        if at in kept:
            places = torch.tensor(kept[at])
            cache.reorder_cache(places)
            rows = rows[places]
        if at == cut:
            cache.crop(-1)
        new = ids[rows, at : at + 1]
        out.append(model.model(input_ids=new, past_key_values=cache).last_hidden_state)
    return out


@pytest.mark.parametrize(
    "kept",
    [{}, {12: [2, 0]}, {9: [3, 2, 1], 30: [1]}, {20: [0, 0, 3, 3, 1]}],
    ids=["all", "two", "twice", "repeated"],
)
def test_room_changes_no_state(model, kept):
    ids = torch.randint(64, (4, 9 + ROOM + 20), generator=torch.Generator().manual_seed(1))
    roomy, plain = new_cache(model.config), DynamicCache(config=model.config)
    assert all(type(layer) is RoomyLayer for layer in roomy.layers)
    for one, other in zip(
        states(model, roomy, ids, kept, cut=40),
        states(model, plain, ids, kept, cut=40),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert roomy.get_seq_length() == plain.get_seq_length() == ids.shape[1] - 1
    for one, other in zip(roomy.layers, plain.layers, strict=True):
        torch.testing.assert_close(one.keys, other.keys)
        torch.testing.assert_close(one.values, other.values)


def test_steps_are_written_into_one_tensor(model):
    ids = torch.randint(64, (4, 9 + ROOM + 1), generator=torch.Generator().manual_seed(1))
    cache = new_cache(model.config)
    seen = set()
    with torch.inference_mode():
        model.model(input_ids=ids[:, :9], past_key_values=cache)
        for at in range(9, ids.shape[1]):
            model.model(input_ids=ids[:, at : at + 1], past_key_values=cache)
            seen.add(cache.layers[0].keys.data_ptr())
    assert len(seen) == 2  # made at the first step, and once more when ROOM tokens had come


def test_a_copy_of_a_cache_goes_its_own_way(model):
    ids = torch.randint(64, (2, 14), generator=torch.Generator().manual_seed(1))
    cache = new_cache(model.config)
    with torch.inference_mode():
        model.model(input_ids=ids[:, :9], past_key_values=cache)
        model.model(input_ids=ids[:, 9:10], past_key_values=cache)
        other = copy.deepcopy(cache)
        model.model(input_ids=ids[:, 10:11], past_key_values=other)
        before = other.layers[0].keys.clone()
        model.model(input_ids=ids[:, 12:13], past_key_values=cache)
    assert torch.equal(other.layers[0].keys, before)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5, FEW, FEW + 1])
def test_a_head_in_blocks_gives_the_same_logits(count, bias):
    draw = torch.Generator().manual_seed(count)
    weight = torch.randn(3001, 400, generator=draw)
    head = Head(weight, torch.randn(3001, generator=draw) if bias else None)
    hidden = torch.randn(1, count, 400, generator=draw)
    whole = torch.nn.functional.linear(hidden.double(), weight.double())
    whole = whole if head.bias is None else whole + head.bias
    logits = head.logits(hidden)
    assert logits.shape == (1, count, 3001)
    torch.testing.assert_close(logits.double(), whole, rtol=1e-5, atol=1e-4)


def test_a_head_that_learns_keeps_its_gradient():
    weight = torch.randn(3001, 400, requires_grad=True)
    Head(weight).logits(torch.randn(5, 400)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_the_largest_is_the_first_of_equals():
    logits = torch.tensor([[0.0, 3.0, 3.0], [1.0, 1.0, 1.0], [-2.0, -torch.inf, -1.0]])
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert largest(logits.to(dtype)).tolist() == [1, 0, 2]
    with torch.inference_mode():
        assert largest(logits + 0.0).tolist() == [1, 0, 2]
