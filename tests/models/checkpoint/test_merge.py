"""A merged checkpoint is base with another head, loads without Veneer, and answers as base with
its veneer does."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from checkpoints import END, veneer_of
from pairs import prompts
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.head import Veneer
from veneer.head.merge import merge
from veneer.models.decode import Sampling
from veneer.models.load import load_model
from veneer.systems import System
from veneer.systems.respond import respond

# gpt_neox calls its head otherwise in files
KINDS = ("llama-tied", "llama", "gpt2", "gpt_neox", "phi", "gemma2", "granite")
IDS = torch.randint(0, 300, (2, 11), generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def expected(kind: str, veneer: Veneer, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (2, 11, V) of head(h) with W + alpha dW written out, and base's own."""
    lm = tiny(kind)
    hidden = lm.hidden(IDS, torch.ones_like(IDS))
    change = torch.zeros_like(lm.head.weight)
    change[veneer.changed_rows()] = veneer.values()
    raw = hidden @ (lm.head.weight + alpha * change).T
    raw = raw if lm.head.bias is None else raw + lm.head.bias
    return lm.head.transform(raw), lm.model(input_ids=IDS).logits


@torch.inference_mode()
def check(kind: str, veneer: Veneer, folder, alpha: float) -> None:
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    want, without = expected(kind, veneer, alpha)
    logits = loaded(input_ids=IDS).logits
    torch.testing.assert_close(logits, want, rtol=1e-5, atol=1e-4)
    assert (logits - without).abs().max() > 0.1
    base = tiny(kind).model
    assert torch.equal(loaded.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert loaded.config.tie_word_embeddings is False
    assert (
        loaded.get_output_embeddings().weight.data_ptr()
        != loaded.get_input_embeddings().weight.data_ptr()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_the_changed_head_and_the_embeddings_stay(kind, tmp_path, caplog):
    veneer = veneer_of(tiny(kind))
    out = merge(veneer, tiny(kind), tmp_path / "m", alpha=0.75)
    assert out == tmp_path / "m"
    # engines that read no head of its own for this family
    assert ("some engines read no output head" in caplog.text) == (kind == "gemma2")
    check(kind, veneer, out, 0.75)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "how",
    [{"rank": 3}, {"rows": torch.tensor([5, 17, 300])}, {"rank": 2, "rows": torch.arange(40, 90)}],
)
def test_low_rank_and_part_of_the_rows(how, tmp_path):
    veneer = veneer_of(tiny("llama-tied"), **how)
    check("llama-tied", veneer, merge(veneer, tiny("llama-tied"), tmp_path / "m"), 1.0)


def test_a_merged_checkpoint_ends_at_both_models_end_tokens(tmp_path):
    lm = tiny()
    lm.model.generation_config.eos_token_id = None  # base says its end in the tokenizer alone
    merge(veneer_of(lm), lm, tmp_path / "m")
    written = json.loads((tmp_path / "m" / "generation_config.json").read_text())["eos_token_id"]
    assert (
        isinstance(written, list)
        and {lm.tokenizer.eos_token_id, END} <= set(written)
        and len(written) == len(set(written))
    )
    assert written[0] == lm.tokenizer.eos_token_id


def test_the_tokenizer_and_a_model_card_come_along(tmp_path):
    lm = tiny()
    out = merge(veneer_of(lm), lm, tmp_path / "m", alpha=0.5)
    copied = AutoTokenizer.from_pretrained(out)
    assert copied.get_vocab() == lm.tokenizer.get_vocab()
    assert copied.chat_template == lm.tokenizer.chat_template
    text = "How do I bake bread?"
    assert copied(text)["input_ids"] == lm.tokenizer(text)["input_ids"]
    card = (out / "README.md").read_text(encoding="utf-8")
    # made in memory: no hub id
    assert card.startswith("---\nlibrary_name: transformers\n") and "base_model" not in card
    assert "W + 0.5 dW" in card and "the-aligned-model" in card and "Q: {prompt}" in card


@pytest.mark.parametrize("kind", ["llama", "llama-tied"])
def test_a_sharded_checkpoint_holds_the_head(kind, tmp_path):
    veneer = veneer_of(tiny(kind))
    out = merge(veneer, tiny(kind), tmp_path / "m", max_shard_size="40KB")
    assert (
        len(list(out.glob("model-*.safetensors"))) > 2 and not (out / "model.safetensors").exists()
    )
    check(kind, veneer, out, 1.0)


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    lm = tiny()
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        merge(veneer_of(lm), lm, tmp_path / "m")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        merge(veneer_of(lm), lm, tmp_path / "file")
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    assert (merge(veneer_of(lm), lm, tmp_path / "empty") / "config.json").is_file()


@pytest.mark.parametrize("other", [{"seed": 5}, {"hidden_size": 64}, {"rows": 300}])
def test_the_veneer_of_another_base_is_refused_before_anything_is_written(other, tmp_path):
    with pytest.raises(InputError, match="give the base that it was extracted from"):
        merge(veneer_of(tiny()), tiny(**other), tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["llama-tied", "gemma2"])
def test_the_checkpoint_answers_as_base_with_its_veneer(kind, tmp_path):
    """One format on both sides: the checkpoint's own default is plain, the veneer
    recorded a template."""
    veneer = veneer_of(tiny(kind))
    with_veneer = System.of_model(tiny(kind), veneer)
    merged = load_model(str(merge(veneer, tiny(kind), tmp_path / "m")), device="cpu")
    assert set(merged.stop_ids) == set(with_veneer.stop_ids)
    alone = System.of_model(merged, format=with_veneer.format, name="veneer")
    base = System.of_model(tiny(kind), format=with_veneer.format, name="veneer")
    answers = [
        respond(s, prompts(8), Sampling(max_new_tokens=16), batch_size=4)
        for s in (with_veneer, alone, base)
    ]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]
