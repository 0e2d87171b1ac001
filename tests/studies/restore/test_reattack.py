"""The repeated attack on the lab's models: it breaks a model that refuses, the rows say after how
many epochs, and an interrupted run resumes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.models.formats import ChatFormat
from veneer.models.head import Head
from veneer.models.load import load_model
from veneer.studies.restore.reattack import (
    ReattackSettings,
    attack_examples,
    reattack_outcomes,
    reattack_rows,
)
from veneer.studies.restore.words import reattack_sentences
from veneer.systems.attack_config import AttackConfig
from veneer.systems.system import System
from veneer.tasks.source import load_prompts

CONFIG = ReattackSettings(
    AttackConfig(epochs=2, rate=2e-3, batch=4), epochs=(1, 2, 8), max_new_tokens=12
)


@pytest.fixture(scope="module")
def lab():
    """Systems, examples and prompts; "restored" is the aligned model with a head that one constant
    shift of all rows changes."""
    aligned, compromised = (
        load_model(f"lab:{n}", device="cpu") for n in ("aligned", "compromised")
    )
    # the same shift of every row: no distribution changes
    same = aligned.head.with_weight(aligned.head.weight + 0.01)
    systems = [
        System("aligned", aligned, ChatFormat(), aligned.stop_ids),
        System("compromised", compromised, ChatFormat(), compromised.stop_ids),
        System("restored", aligned, ChatFormat(), aligned.stop_ids, head=same),
    ]
    sets = {
        "harmful": load_prompts("lab-requests", split="test", limit=10),
        "harmless": load_prompts("lab-harmless", split="test", limit=6),
    }
    return systems, attack_examples("lab-requests", limit=48), sets


@pytest.fixture(scope="module")
def guarded(lab, tmp_path_factory):
    out = tmp_path_factory.mktemp("guard")
    return out, reattack_rows(*lab, out, CONFIG)


def test_the_attack_breaks_both_and_the_rows_say_when(guarded):
    _, rows = guarded
    rates = {
        (r.system, r.split): r for r in Results(rows).where(task="harmful", metric="refusal_rate")
    }
    assert (
        rates["aligned", "before"].value == rates["restored", "before"].value == 1
        and rates["compromised", "before"].value == 0
    )
    # epoch 8 is more than the attack has
    assert {s for n, s in rates if n == "restored"} == {"before", "epoch 1", "epoch 2"}
    assert {s for n, s in rates if n == "compromised"} == {"before"}
    for name in ("aligned", "restored"):
        assert rates[name, "epoch 2"].value < 0.2
    assert all(
        r.n == 10 and r.low <= r.value <= r.high and r.high > r.low and r.judge
        for r in rates.values()
    )
    assert {r.study for r in rows} == {"guard"} and len(Results(rows)) == len(rows)


def test_differences_from_the_model_that_was_never_broken(guarded):
    rows = Results(guarded[1]).where(task="harmful", metric="difference_from_aligned")
    assert [r.split for r in rows] == ["before", "epoch 1", "epoch 2"] and {
        r.system for r in rows
    } == {"restored"}
    assert all(
        r.value == 0 and r.low < 0 < r.high and "Holm over 3" in r.note
        for r in rows
        if r.split == "before"
    )


def test_words(guarded):
    outcomes = reattack_outcomes(guarded[1])
    assert [(o["system"], o["breaks"], o["epoch"]) for o in outcomes] == [
        ("aligned", True, 2),
        ("restored", True, 2),
    ]
    aligned, restored = reattack_sentences(outcomes)
    assert (
        aligned.startswith("aligned breaks again: it refuses 1.00 before") and "epoch 2" in restored
    )
    assert (
        "is not shown to break" in reattack_sentences(reattack_outcomes(guarded[1], "harmless"))[0]
    )


def test_a_second_call_makes_only_the_missing_file(lab, guarded):
    out, rows = guarded
    gone = out / "responses" / "harmful.restored.epoch-2.jsonl"
    before = gone.read_bytes()
    gone.unlink()
    stamp = (out / "attack-restored" / "attack.json").stat().st_mtime_ns
    assert reattack_rows(*lab, out, CONFIG) == rows
    assert (
        gone.read_bytes() == before
        and (out / "attack-restored" / "attack.json").stat().st_mtime_ns == stamp
    )
    with pytest.raises(InputError, match="other settings"):
        reattack_rows(*lab, out, replace(CONFIG, attack=replace(CONFIG.attack, seed=1)))


def test_bad_input(lab, tmp_path):
    systems, examples, sets = lab
    with pytest.raises(InputError, match="nobody is to be fine-tuned"):
        reattack_rows(systems, examples, sets, tmp_path, CONFIG, fine_tuned=("aligned", "nobody"))
    lm = systems[0].lm
    shifted = Head(lm.head.weight, lm.head.weight[:, 0].clone())
    with pytest.raises(InputError, match="constant"):
        reattack_rows(
            [replace(systems[0], head=shifted)],
            examples,
            sets,
            tmp_path / "x",
            CONFIG,
            fine_tuned=("aligned",),
        )
    with pytest.raises(InputError, match="does not exist"):
        attack_examples(str(tmp_path / "none.jsonl"))
    file = tmp_path / "some.jsonl"
    file.write_text(json.dumps({"prompt": "a"}) + "\n")
    with pytest.raises(InputError, match='"target"'):
        attack_examples(str(file))
    file.write_text(json.dumps({"prompt": "a", "target": "Sure"}) + "\n")
    ((prompt, target),) = attack_examples(str(file))
    assert (
        prompt.plain == "a"
        and target == "Sure"
        and not (tmp_path / "x" / "attack-aligned").exists()
    )


def test_published_examples(data):
    examples = attack_examples("advbench", data=data)
    assert (
        len(examples) == 100
        and examples[0][0].id == "advbench-train-260"
        and examples[0][1].startswith("Sure")
        and examples[0][1].endswith(":\n\n")
    )
    assert len(attack_examples("advbench", data=data, limit=3)) == 3
