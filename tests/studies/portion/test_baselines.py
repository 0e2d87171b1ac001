"""Baselines: their names, what each is made of, and that a second call makes nothing again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
import torch

from pairs import WORDS, chat_pair
from veneer.capture import CaptureConfig, capture
from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.system_id import SystemId
from veneer.head import ExtractConfig, Veneer
from veneer.head.extract import extract, split_of
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.in_context import STOP, FencedFormat
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.portion.baselines import (
    ALL,
    baseline_systems,
    check_baselines,
    parse_baselines,
    trains_lora,
    word_for,
)
from veneer.systems.in_context import in_context_format, in_context_system
from veneer.systems.lora import LoraConfig, chosen, examples_of, lora_model
from veneer.systems.respond import respond
from veneer.systems.tuning import answer_loss

SHORT = Sampling(max_new_tokens=6)


def questions(n: int, task: str) -> list[Prompt]:
    return [
        Prompt.from_text(
            f"{task}{i}",
            "How do I " + " ".join(WORDS[(i * k + len(task)) % 16] for k in range(1, 3 + i % 4)),
            task=task,
        )
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A pair, a capture of two tasks, and its dense veneer."""
    pair = chat_pair("llama-tied")
    how = CaptureConfig(
        k=16, batch_size=8, shard_batches=2, noise_prompts=2, sampling=Sampling(max_new_tokens=8)
    )
    recorded = capture(
        pair,
        [*questions(20, "sums"), *questions(20, "talk")],
        tmp_path_factory.mktemp("b") / "capture",
        how,
    )
    return pair, recorded, extract(recorded).veneer


def test_names():
    assert [word_for(b) for b in parse_baselines("all", ["a"])] == list(ALL)
    baselines = parse_baselines("rank-2, urial,rank-2,cross", ["a", "b"])
    assert [word_for(b) for b in baselines] == ["rank-2", "urial", "from-a", "from-b"]
    assert baselines == [
        SystemId.of("veneer-rank", rank=2),
        SystemId.of("urial"),
        SystemId.of("veneer-from", task="a"),
        SystemId.of("veneer-from", task="b"),
    ]
    assert parse_baselines("", ["a"]) == parse_baselines(None, []) == []


def test_a_baselines_name_is_read_back_as_the_same_baseline():
    """Folders of Veneer 0.1 keep names alone."""
    baselines = parse_baselines("urial,system-prompt,lora-8,bias,rank-2,cross", ["a", "lab-sums"])
    assert [SystemId.from_name(b.name) for b in baselines] == baselines


def test_a_lora_is_seen_before_the_tasks_are_known():
    assert trains_lora("bias, lora-8") and trains_lora("all")
    assert not trains_lora("urial,rank-2,from-lora") and not trains_lora("")


@pytest.mark.parametrize(
    "word", ["lora", "lora-0", "rank--1", "rank-x", "from-b", "lima", "urial-3"]
)
def test_names_that_are_none(word):
    with pytest.raises(InputError, match=f"there is no baseline '{word}'"):
        parse_baselines(f"urial,{word}", ["a"])


def test_a_lora_says_at_once_that_peft_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"pip install 'veneer\[peft\]'"):
        parse_baselines("lora-8", [])


def test_every_baseline_answers_and_says_what_it_is(inputs, tmp_path):
    pair, capture, veneer = inputs
    names = parse_baselines("system-prompt,lora-8,bias,rank-1,rank-4,cross", ["sums", "talk"])
    systems = baseline_systems(names, pair, capture, veneer, ExtractConfig(), tmp_path)
    wanted = [
        "system-prompt",
        "lora-8",
        "veneer-bias",
        "veneer-rank-1",
        "veneer-rank-4",
        "veneer-from-sums",
        "veneer-from-talk",
    ]
    assert [s.name for s in systems] == wanted
    stamps = {json.dumps({**s.facts(), "name": ""}) for s in systems}
    assert len(stamps) == len(systems)  # different answers are never taken for each other
    for system in systems[1:]:
        assert len(respond(system, questions(3, "sums"), SHORT)) == 3
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert {p.parent.name for p in files} == {
        "lora-8",
        "veneer-bias",
        "veneer-rank-1",
        "veneer-rank-4",
        "veneer-sums",
        "veneer-talk",
    }
    again = baseline_systems(names, pair, capture, veneer, ExtractConfig(), tmp_path)
    assert [s.facts() for s in again] == [s.facts() for s in systems]
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert (
        Veneer.load(tmp_path / "veneer-rank-4").rank == 4
        and Veneer.load(tmp_path / "veneer-bias").rank == 0
    )


def test_without_a_capture_only_what_needs_none(inputs, tmp_path):
    pair, _, veneer = inputs
    assert [
        s.name
        for s in baseline_systems(
            parse_baselines("system-prompt", []), pair, None, veneer, ExtractConfig(), tmp_path
        )
    ] == ["system-prompt"]
    with pytest.raises(InputError, match=r"lora-8, bias is made from a capture"):
        baseline_systems(
            parse_baselines("urial,lora-8,bias", []), pair, None, veneer, ExtractConfig(), tmp_path
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [("from-maths", "no prompts of maths"), ("lora-1000", "was to learn from 1000")],
)
def test_what_the_capture_does_not_hold_is_refused_first(name, message, inputs, tmp_path):
    pair, capture, veneer = inputs
    with pytest.raises(InputError, match=message):
        baseline_systems(
            parse_baselines(f"bias,{name}", ["maths"]),
            pair,
            capture,
            veneer,
            ExtractConfig(),
            tmp_path,
        )
    assert not list(tmp_path.iterdir())


def test_a_prompt_that_base_cannot_read_is_left_out_with_a_warning(inputs):
    pair, *_ = inputs
    long = Pair(chat_pair("llama-tied", max_position_embeddings=16384).base, pair.aligned)
    baselines = parse_baselines("urial,bias", [])
    assert check_baselines(baselines, long, questions(2, "sums"), 8) == (baselines, [])
    fit, warnings = check_baselines(baselines, pair, questions(2, "sums"), 8)
    assert (
        fit == [SystemId.of("veneer-bias")]
        and len(warnings) == 1
        and "urial is left out" in warnings[0]
        and "reads 2048" in warnings[0]
    )


def test_urial_is_the_published_prompt():
    form = in_context_format("urial")
    text = form.text(
        Prompt.from_text("a", "What is a cat?", plain="### Instruction:\nWhat is a cat?")
    )
    assert (
        text.startswith("# Instruction\n\nBelow is a list of conversations")
        and text.count("# Query:\n```") == 4
    )
    assert (
        text.endswith("# Query:\n```\nWhat is a cat?\n```\n\n# Answer:\n```\n")
        and "### Instruction" not in text
    )
    bare = in_context_format("system-prompt").text(Prompt.from_text("a", "What is a cat?"))
    assert bare.count("# Query:\n```") == 1 and len(bare) < len(text) / 3
    assert form.facts()["sha256"] != in_context_format("system-prompt").facts()["sha256"]


def test_turns_of_a_conversation():
    turns = (
        {"role": "system", "content": "S"},
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "A"},
    )
    form = FencedFormat("x", "I\n")
    text = form.text(Prompt("a", (*turns, {"role": "user", "content": "V"}), "plain"))
    assert text == (
        "I\n\n# Query:\n```\nS\n\nU\n```\n\n# Answer:\n```\nA\n```\n\n# Query:\n```\nV\n"
        "```\n\n# Answer:\n```\n"
    )
    with pytest.raises(InputError, match="role 'tool'"):
        form.text(Prompt("a", ({"role": "tool", "content": "U"},), "plain"))


def test_an_answer_ends_at_its_closing_fence(inputs):
    pair, *_ = inputs
    system = in_context_system("system-prompt", pair)
    assert system.stop == STOP
    prompts, limit = questions(6, "sums"), Sampling(max_new_tokens=30)
    free = respond(replace(system, stop=()), prompts, limit)
    mark = free[0].text[4:7]
    for r, whole in zip(respond(replace(system, stop=(mark,)), prompts, limit), free, strict=True):
        assert r.text == whole.text.split(mark)[0] and (
            mark not in whole.text or r.finish_reason == "stop"
        )


def test_a_lora_learns_its_answers_and_leaves_base_as_it_is(inputs, tmp_path):
    pair, capture, _ = inputs
    before, weights = pair.base.fingerprint(), pair.base.head.hash()
    numbers = split_of(capture, 0).train
    config = LoraConfig(16, rank=8, alpha=16, rate=5e-3, epochs=8, batch=4)
    lm = lora_model(pair, capture, numbers, config, tmp_path / "lora")
    examples = examples_of(pair, capture, chosen(capture, numbers, config))
    with torch.inference_mode():
        base, tuned = (float(answer_loss(x, examples)) for x in (pair.base, lm))
    record = json.loads((tmp_path / "lora" / "lora.json").read_text())
    assert tuned < 0.8 * base and record["losses"][-1] < record["losses"][0]
    assert (before, weights) == (
        pair.base.fingerprint(),
        pair.base.head.hash(),
    ) and lm.fingerprint() != before
    assert lm.head.weight.data_ptr() == pair.base.head.weight.data_ptr()  # shared, not copied
    again = lora_model(pair, capture, numbers, config, tmp_path / "other")
    assert again.fingerprint() == lm.fingerprint()
    with pytest.raises(InputError, match="other settings"):
        lora_model(pair, capture, numbers, replace(config, seed=1), tmp_path / "lora")
    (tmp_path / "other" / "adapter_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be loaded"):
        lora_model(pair, capture, numbers, config, tmp_path / "other")


def test_the_loras_loss_is_that_of_the_answers_alone(inputs):
    """Against the model's own logits, one example at a time."""
    pair, capture, _ = inputs
    examples = examples_of(pair, capture, list(split_of(capture, 0).train[:5]))
    total = tokens = 0.0
    for prompt, answer in examples:
        with torch.inference_mode():
            logits = pair.base.model(input_ids=torch.tensor([[*prompt, *answer]])).logits[
                0, len(prompt) - 1 : -1
            ]
        total += float(
            torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum")
        )
        tokens += len(answer)
    with torch.inference_mode():
        assert float(answer_loss(pair.base, examples)) == pytest.approx(total / tokens, abs=1e-4)


def test_examples_come_from_every_task_and_the_train_part_alone(inputs):
    _, capture, _ = inputs
    train = split_of(capture, 0).train
    numbers = chosen(capture, train, LoraConfig(10))
    assert set(numbers) <= set(train) and len(set(numbers)) == 10
    assert sorted(capture.prompts[n]["task"] for n in numbers) == ["sums"] * 5 + ["talk"] * 5
    assert numbers[:6] == chosen(capture, train, LoraConfig(6)) and numbers != chosen(
        capture, train, LoraConfig(10, seed=1)
    )
    with pytest.raises(InputError, match="was to learn from 100"):
        chosen(capture, train, LoraConfig(100))


def test_another_format_than_the_captures_is_refused(inputs):
    pair, capture, _ = inputs
    other = Pair(pair.base, pair.aligned, PlainFormat("Please: {prompt}"))
    with pytest.raises(InputError, match="give the pair and the format"):
        examples_of(other, capture, [0])


def test_the_adapter_loads_as_any_other(tmp_path):
    """By its folder's name: peft, load_model."""
    pair = Pair.load("lab:base", "lab:aligned")
    how = CaptureConfig(k=16, batch_size=8, noise_prompts=2, sampling=Sampling(max_new_tokens=8))
    recorded = capture(pair, questions(6, "sums"), tmp_path / "capture", how)
    lm = lora_model(pair, recorded, range(6), LoraConfig(4, rank=2, epochs=1), tmp_path / "lora")
    merged = load_model(str(tmp_path / "lora"))
    ids = torch.arange(5, 15)[None]
    with torch.inference_mode():
        one, other = (x.head.logits(x.hidden(ids, torch.ones_like(ids))) for x in (lm, merged))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
