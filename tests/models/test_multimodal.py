"""A multimodal checkpoint is read as text, and a merged one is a multimodal one again, with the
files of its processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_configs import small_config
from survey import captured, forcing, rows
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
)

from checkpoints import veneer_of
from pairs import prompts
from tiny import tokenizer
from veneer.capture import CaptureConfig, capture
from veneer.foundation.errors import InputError
from veneer.head.extract import extract
from veneer.head.merge import merge
from veneer.models.auto_class import auto_class, check_causal
from veneer.models.decode import Sampling
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.studies.complexity.program.files import BaseFiles

# transformers has a causal class for the whole of the last one, which leaves its images out
KINDS = ["llava", "qwen2_vl", "qwen2_5_vl", "mistral3", "gemma3", "qwen3_5"]
PROCESSOR = {
    "preprocessor_config.json": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 28},
    },
    "video_preprocessor_config.json": {"max_frames": 8},
    "processor_config.json": {"processor_class": "LlavaProcessor", "patch_size": 14},
}
IDS = torch.tensor(rows((12,), 0))
CONFIG = CaptureConfig(k=8, batch_size=4, noise_prompts=2, sampling=Sampling(max_new_tokens=6))


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory) -> Path:
    """A small multimodal checkpoint as transformers saves it."""
    at = tmp_path_factory.mktemp(request.param) / "base"
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(
        small_config(request.param), dtype=torch.float32
    )
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(20.0)
    model.generation_config.eos_token_id = 1
    model.save_pretrained(at)
    tokenizer().save_pretrained(at)
    for name, content in PROCESSOR.items():
        (at / name).write_text(json.dumps(content), encoding="utf-8")
    return at


def load(at: Path) -> LanguageModel:
    return load_model(str(at), device="cpu", dtype="float32")


def whole(at: Path) -> torch.nn.Module:
    """The full model, as its users load it."""
    return AutoModelForImageTextToText.from_pretrained(at, dtype=torch.float32).eval()


@torch.inference_mode()
def test_its_logits_on_text_are_those_of_the_full_model(folder):
    lm = load(folder)
    ours = lm.head.logits(lm.hidden(IDS, torch.ones_like(IDS)))
    torch.testing.assert_close(ours, whole(folder)(input_ids=IDS).logits, rtol=1e-4, atol=1e-3)


def test_batches_and_captures_are_those_of_single_rows(folder, tmp_path):
    lm = load(folder)
    assert "reading" not in lm.facts()
    forcing(lm, tmp_path)
    captured(lm, tmp_path)


@torch.inference_mode()
def test_a_merged_one_keeps_its_other_parts_and_its_processor(folder, tmp_path):
    lm = load(folder)
    veneer = veneer_of(lm)
    true = veneer.apply(lm.head).logits(lm.hidden(IDS, torch.ones_like(IDS)))
    out = merge(veneer, lm, tmp_path / "merged")
    torch.testing.assert_close(whole(out)(input_ids=IDS).logits, true, rtol=1e-4, atol=1e-3)
    assert type(AutoConfig.from_pretrained(out)) is type(AutoConfig.from_pretrained(folder))
    for name, content in PROCESSOR.items():
        assert json.loads((out / name).read_text(encoding="utf-8")) == content
    before, after = whole(folder).state_dict(), whole(out).state_dict()
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert changed == {"lm_head.weight"}
    again = load(out)
    torch.testing.assert_close(
        again.head.logits(again.hidden(IDS, torch.ones_like(IDS))), true, rtol=1e-4, atol=1e-3
    )


@torch.inference_mode()
def test_a_pair_of_it_and_a_plain_text_model(folder, tmp_path):
    """Either may be base: the merged one has its form, and its logits with the veneer."""
    text = load(folder).config.get_text_config(decoder=True).to_dict()
    if (
        text["model_type"] not in CONFIG_MAPPING
        or type(config := AutoConfig.for_model(**text | {"architectures": None}))
        not in MODEL_FOR_CAUSAL_LM_MAPPING
    ):
        pytest.skip("transformers has no model of the text part alone")
    torch.manual_seed(1)
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.get_output_embeddings().weight.mul_(20.0)
    plain.save_pretrained(tmp_path / "text")
    tokenizer().save_pretrained(tmp_path / "text")
    for base, aligned in ((folder, tmp_path / "text"), (tmp_path / "text", folder)):
        pair = Pair.load(base, aligned, device="cpu", dtype="float32")
        out = tmp_path / f"from-{base.name}"
        recorded = capture(pair, prompts(), out / "capture", CONFIG)
        veneer = extract(recorded).veneer
        ids, lm = torch.ones_like(IDS), pair.base
        true = veneer.apply(lm.head).logits(lm.hidden(IDS, ids))
        assert not torch.allclose(true, lm.head.logits(lm.hidden(IDS, ids)), atol=0.1)
        opens = AutoModelForImageTextToText if base == folder else AutoModelForCausalLM
        merged = opens.from_pretrained(merge(veneer, lm, out / "merged"), dtype=torch.float32)
        torch.testing.assert_close(merged.eval()(input_ids=IDS).logits, true, rtol=1e-4, atol=1e-3)


def test_the_class_that_a_config_names_is_the_one_that_opens_it():
    config = small_config("qwen3_5")
    for named, door in (
        ("Qwen3_5ForConditionalGeneration", AutoModelForImageTextToText),
        ("Qwen3_5ForCausalLM", AutoModelForCausalLM),
        (None, AutoModelForCausalLM),
    ):
        config.architectures = named and [named]
        assert auto_class(config) is door


@pytest.mark.parametrize("door", [AutoModelForImageTextToText, AutoModelForCausalLM])
def test_an_adapter_has_the_form_that_it_was_trained_on(door, tmp_path):
    """PEFT names the modules of the class that was trained: the whole model, or its text part."""
    peft = pytest.importorskip("peft", reason="needs the package peft: pip install 'veneer[peft]'")
    base = AutoModelForImageTextToText.from_config(small_config("qwen3_5"), dtype=torch.float32)
    base.save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    trained = peft.get_peft_model(
        door.from_pretrained(tmp_path / "base", dtype=torch.float32),
        peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    trained.save_pretrained(tmp_path / "adapter")
    lm = load_model(f"{tmp_path / 'adapter'}@{tmp_path / 'base'}", device="cpu")
    with torch.inference_mode():
        want = trained.eval()(input_ids=IDS).logits
        torch.testing.assert_close(lm.model(input_ids=IDS).logits, want, rtol=1e-4, atol=1e-4)


def test_models_of_several_that_generate_together_are_refused():
    """Qwen's Omni models hold a thinker that writes, and a talker that speaks."""
    config = AutoConfig.for_model("qwen2_5_omni")
    config.architectures = ["Qwen2_5OmniModel"]  # as published
    with pytest.raises(InputError, match=r"Qwen2_5OmniModel.*save the one that writes text"):
        check_causal("it", config)
    check_causal("it", config.thinker_config)


def test_a_window_over_the_answer_alone_is_refused():
    """Teacher forcing reads prompt and answer at once, and would give other states than decoding.
    The kind is that of Unlimited OCR."""
    config = small_config("mistral3")
    config.text_config.layer_types = ["reference_sliding_attention"] * 2
    with pytest.raises(InputError, match="depend on where the prompt ends"):
        check_causal("it", config)


def test_its_processor_is_kept_where_the_tokenizer_was_changed(folder, tmp_path):
    """The tokenizer is then written anew instead of copied."""
    lm = load(folder)
    lm.tokenizer.add_tokens(["<|new|>"])
    out = merge(veneer_of(lm), lm, tmp_path / "merged")
    assert all((out / name).is_file() for name in PROCESSOR)


def test_programs_are_refused_before_anything_is_made(folder):
    """A decoder of `veneer complexity` opens base as a causal language model, as which transformers
    opens the whole of Gemma 3."""
    lm = load_model(str(folder), device="cpu")
    if auto_class(lm.config) is AutoModelForCausalLM:
        assert BaseFiles.of(lm).model == folder.resolve()
        return
    with pytest.raises(InputError, match="which has other parts; give its text model"):
        BaseFiles.of(lm)
