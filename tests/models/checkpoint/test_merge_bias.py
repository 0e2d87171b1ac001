"""A veneer that shifts logits by a constant, merged into a head that has a bias."""

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertLMHeadModel

from tiny import tiny, tokenizer
from veneer.foundation.errors import InputError, VeneerError
from veneer.head import Veneer
from veneer.head.merge import merge
from veneer.models.checkpoint import merge as checkpoint
from veneer.models.language_model import LanguageModel
from veneer.studies.restore.reattack import _own_head
from veneer.systems import System

IDS = torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(1))
ROWS = torch.tensor([3, 40, 41, 200])
SHIFT = torch.tensor([2.0, -3.0, 0.5, 4.0])


def bert() -> LanguageModel:
    """A decoder of BERT's family, whose head ties weight and bias."""
    torch.manual_seed(0)
    tok = tokenizer()
    config = BertConfig(
        vocab_size=len(tok),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        is_decoder=True,
    )
    return LanguageModel("bert", BertLMHeadModel(config), tok)


BASES = {"phi": lambda: tiny("phi"), "bert": bert}


def shifting(lm: LanguageModel) -> Veneer:
    """A constant on four rows."""
    lm.head.bias.copy_(torch.linspace(-1, 1, lm.head.rows))
    size = lm.head.rows
    return Veneer.of_bias(lm.head.hash(), lm.head.width, SHIFT, ROWS, vocabulary=size)


@torch.inference_mode()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model.eval()(input_ids=IDS).logits


@pytest.mark.parametrize("kind", BASES)
def test_the_merged_bias_is_bases_and_the_shift(kind, tmp_path):
    lm = BASES[kind]()
    veneer = shifting(lm)
    want = logits(lm.model).clone()
    want[..., ROWS] += 0.5 * SHIFT
    merge(veneer, lm, tmp_path / "m", alpha=0.5)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    torch.testing.assert_close(logits(loaded), want, rtol=1e-5, atol=1e-5)


def test_a_change_of_both_parts_is_merged(tmp_path):
    lm = tiny("phi")
    bias = shifting(lm).bias
    dW = torch.randn(4, lm.head.width, generator=torch.Generator().manual_seed(2))
    veneer = Veneer(lm.head.hash(), lm.head.rows, dW, ROWS, bias=bias)
    hidden = lm.hidden(IDS, torch.ones_like(IDS))
    want = lm.head.logits(hidden).clone()
    want[..., ROWS] += hidden @ dW.T + SHIFT
    merge(veneer, lm, tmp_path / "m")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype=torch.float32)
    torch.testing.assert_close(logits(loaded), want.detach(), rtol=1e-5, atol=1e-4)


def test_a_checkpoint_without_the_shift_is_refused(tmp_path, monkeypatch):
    lm = tiny("phi")
    veneer = shifting(lm)
    whole = checkpoint.untie_with
    monkeypatch.setattr(checkpoint, "untie_with", lambda lm, weight, bias: whole(lm, weight))
    with pytest.raises(VeneerError, match=r"lm_head\.bias of the saved checkpoint is not"):
        merge(veneer, lm, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_an_attack_trains_the_model_with_the_shift():
    lm = tiny("phi")
    system = System.of_model(lm, shifting(lm), name="restored")
    before = logits(lm.model).clone()
    own = _own_head(system)
    shift = logits(own.model) - before
    torch.testing.assert_close(shift[..., ROWS], SHIFT.expand(2, 9, 4), rtol=1e-4, atol=1e-5)
    assert torch.equal(logits(lm.model), before)


def test_a_head_without_a_bias_holds_no_shift():
    lm = tiny("llama")
    size = lm.head.rows
    veneer = Veneer.of_bias(lm.head.hash(), lm.head.width, SHIFT, ROWS, vocabulary=size)
    with pytest.raises(InputError, match="has no bias that could hold it"):
        _own_head(System.of_model(lm, veneer, name="restored"))


def test_the_card_names_the_constant(tmp_path):
    lm = tiny("phi")
    merge(shifting(lm), lm, tmp_path / "m", alpha=2)
    card = (tmp_path / "m" / "README.md").read_text()
    assert "another output head: the bias b + 2 c, with base's W and b." in card
    assert "The veneer is a constant shift of the logits; it changes 4 of" in card
