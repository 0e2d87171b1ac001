"""Base's stored columns are those of the stored hidden states in float32, whatever the dtype of the
model that was captured."""

import pytest
import torch

from pairs import plain_pair, small_capture
from veneer.head.token_blocks import COLUMNS
from veneer.models.head import Head


@pytest.mark.parametrize("kind", ["llama", "phi", "gemma2"])
def test_base_columns_of_a_bfloat16_model_are_exact(kind, tmp_path):
    pair = plain_pair(kind, change=0.4)
    for lm in (pair.base, pair.aligned):
        lm.__init__(lm.name, lm.model.to(torch.bfloat16), lm.tokenizer)
    capture = small_capture(tmp_path / "c", pair, n=6)
    for block in capture.blocks(COLUMNS):
        # what objective and held-out figures compute
        exact = capture.head.logits(block["hidden"].float())
        logz = exact.logsumexp(-1)
        torch.testing.assert_close(block["base_logz"], logz, rtol=0, atol=1e-5)
        chosen = (exact - logz[:, None]).gather(1, block["aligned_ids"].long())
        torch.testing.assert_close(block["base_at_aligned"], chosen, rtol=0, atol=1e-4)
        assert torch.equal(block["base_ids"][:, 0].long(), exact.argmax(-1))
        rounded = pair.base.head.logits(block["hidden"].to(torch.bfloat16)).logsumexp(-1)
        assert (rounded - logz).abs().max() > 1e-4  # what the model's own rounded logits would give


def test_columns_belong_to_the_hidden_states_as_they_are_stored(tmp_path):
    capture = small_capture(tmp_path / "c", plain_pair(change=0.4), n=4, hidden_dtype="bfloat16")
    for block in capture.blocks(COLUMNS):
        logz = capture.head.logits(block["hidden"].float()).logsumexp(-1)
        torch.testing.assert_close(block["base_logz"], logz, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bias", [None, torch.linspace(-1, 1, 37)])
def test_exact_logits_widen_the_weights_block_by_block(bias, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    weight, hidden = torch.randn(37, 16, generator=draw), torch.randn(5, 3, 16, generator=draw)
    half = Head(
        weight.bfloat16(), None if bias is None else bias.bfloat16(), scale=0.5, softcap=3.0
    )
    wide = Head(
        weight.bfloat16().float(),
        None if bias is None else bias.bfloat16().float(),
        scale=0.5,
        softcap=3.0,
    )
    monkeypatch.setattr("veneer.models.head.WIDENED_AT_ONCE", 5 * 16)  # 37 rows in blocks of 5
    torch.testing.assert_close(half.exact_logits(hidden), wide.logits(hidden), rtol=0, atol=1e-5)
    # float32 heads: not one bit changes
    assert torch.equal(wide.exact_logits(hidden), wide.logits(hidden))
