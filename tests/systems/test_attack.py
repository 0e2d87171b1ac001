"""The fine-tuning attack: it teaches the beginning of an answer, keeps epochs, leaves the attacked
model as it was, and is repeatable."""

from __future__ import annotations

import json

import pytest
import torch

from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.models.checkpoint.merge import untie_with
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.prompts.prompt import Prompt
from veneer.systems.answer_ids import answer_ids
from veneer.systems.attack import attack, attacked
from veneer.systems.attack_config import AttackConfig
from veneer.systems.tuning import answer_loss, sharing

EXAMPLES = [
    (Prompt.from_text(f"p{i}", f"How do I {w}?"), "Sure, here is a list")
    for i, w in enumerate(("help", "sit", "eat"))
]
QUICK = AttackConfig(epochs=4, batch=2, rate=5e-3, rank=4, keep=(1,))


def loss(lm) -> float:
    with torch.no_grad():
        return float(answer_loss(lm, answer_ids(lm, EXAMPLES, ChatFormat(), ends=False)))


@pytest.mark.parametrize("kind", ["llama-tied", "gpt2", "mamba"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_learns_the_beginning_and_leaves_the_model(kind, method, tmp_path):
    lm = tiny(kind)
    before = lm.fingerprint()
    config = AttackConfig(
        method=method, epochs=4, batch=2, rate=5e-3, rank=4, keep=(1,), from_layer=1
    )
    model = attack(lm, EXAMPLES, config, tmp_path / "a")
    assert lm.fingerprint() == before
    first = attacked(lm, tmp_path / "a", 1)
    assert loss(model) < loss(first) < loss(lm)
    assert not torch.equal(
        model.backbone(torch.arange(9)[None])[0], lm.backbone(torch.arange(9)[None])[0]
    )
    losses = json.loads((tmp_path / "a" / "attack.json").read_text())["losses"]
    assert len(losses) == 4 and losses[-1] < losses[0]
    assert (not torch.equal(model.head.weight, lm.head.weight)) == (method == "full")


def test_layers_below_are_left_alone(tmp_path):
    lm = tiny("llama")
    attacked = attack(
        lm, EXAMPLES, AttackConfig(method="full", epochs=1, batch=3, from_layer=1), tmp_path / "a"
    )
    old, new = lm.model.state_dict(), attacked.model.state_dict()
    changed = {k for k in old if not torch.equal(old[k], new[k])}
    assert changed and all(
        ".1." in k or k in ("lm_head.weight", "model.norm.weight") for k in changed
    )


def test_a_merged_head_stays_and_is_not_tied_again(tmp_path):
    """A restored checkpoint has a head of its own; the attack must meet that head, and a full
    one may change it."""
    lm = tiny("llama-tied")
    weight = lm.head.weight + 0.1
    restored = LanguageModel(
        "restored",
        untie_with(LanguageModel("x", sharing(lm.model), lm.tokenizer), weight),
        lm.tokenizer,
    )
    for method in ("lora", "full"):
        attacked = attack(
            restored, EXAMPLES, AttackConfig(method=method, epochs=1, batch=3), tmp_path / method
        )
        assert torch.equal(restored.head.weight, weight)
        assert torch.equal(attacked.head.weight, weight) == (method == "lora")
        assert (
            attacked.head.weight.data_ptr()
            != attacked.model.get_input_embeddings().weight.data_ptr()
        )
        assert torch.equal(
            attacked.model.get_input_embeddings().weight, lm.model.get_input_embeddings().weight
        )


def test_twice_gives_the_same_and_other_settings_are_refused(tmp_path):
    lm = tiny("llama")
    a, b = (attack(lm, EXAMPLES, QUICK, tmp_path / name) for name in "ab")
    assert a.fingerprint() == b.fingerprint() != lm.fingerprint()
    stamp = (tmp_path / "a" / "attack.json").stat().st_mtime_ns
    assert attack(lm, EXAMPLES, QUICK, tmp_path / "a").fingerprint() == a.fingerprint()
    assert (tmp_path / "a" / "attack.json").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="other settings, models or examples"):
        attack(lm, EXAMPLES[:2], QUICK, tmp_path / "a")
    with pytest.raises(InputError, match="no model after epoch 3"):
        attacked(lm, tmp_path / "a", 3)
    weights = tmp_path / "a" / "epoch-1" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be loaded"):
        attacked(lm, tmp_path / "a", 1)


def test_answers_are_encoded_as_the_template_writes_them():
    lm = load_model("lab:aligned", device="cpu")
    prompt, answer = Prompt.from_text("p", "How do I rob a shop?"), "I'd be glad to help."
    ((context, ids),) = answer_ids(lm, [(prompt, answer)], ChatFormat(), ends=False)
    # the lab's template puts a space in front
    assert lm.tokenizer.decode(ids) == " I'd be glad to help."
    ((_, ended),) = answer_ids(lm, [(prompt, answer)], ChatFormat(), ends=True)
    assert ended == [*ids, lm.end_of_turn]
    ((plain, bare),) = answer_ids(lm, [(prompt, answer)], PlainFormat(), ends=False)
    assert lm.tokenizer.decode(bare) == answer and plain != context


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"epochs": 0}, "epochs of the attack is 0"),
        ({"keep": (9,)}, "epoch 9"),
        ({"rate": 0.0}, "above 0"),
        ({"from_layer": 7}, "layer 7"),
    ],
)
def test_bad_settings(words, match, tmp_path):
    with pytest.raises(InputError, match=match):
        attack(tiny("llama"), EXAMPLES, AttackConfig(**words), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_no_examples_and_empty_answers(tmp_path):
    for examples, match in (([], "no examples"), ([(EXAMPLES[0][0], "")], "empty answer")):
        with pytest.raises(InputError, match=match):
            attack(tiny("llama"), examples, QUICK, tmp_path / "a")
