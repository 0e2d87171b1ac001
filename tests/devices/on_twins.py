"""Commands on twin:0, and models split over twin:0 and twin:1 (twins.py); run by
test_two_devices.py."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from twins import make

from tiny import ARCHITECTURES, tiny
from veneer.cli import main
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.head.veneer import Veneer
from veneer.lab import lab_prompts
from veneer.models.decode import Sampling, decode
from veneer.models.layers import decoder_layers
from veneer.models.load import load_model
from veneer.models.split import DeviceSplit
from veneer.studies.transfer import cost

make(os.environ["VENEER_TWINS"])

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")
SPLIT = "split:0=40MB,1=40MB"
DTYPE = ("--dtype", "float32")  # what a CPU takes by itself


def test_tensors_on_two_devices_do_not_meet():
    here, there = torch.ones(3, device="twin:0"), torch.ones(3, device="twin:1")
    for other in (there, torch.ones(3)):
        with pytest.raises(RuntimeError, match=r"devices?"):
            here + other
    assert (here + there.to("twin:0")).tolist() == [2.0] * 3 and (
        here[None] @ here
    ).device == here.device


def commands(at: Path, device: str) -> dict[str, tuple]:
    """name -> the command; later ones read what earlier ones made."""
    few = ("--limit", 12, "--max-new-tokens", 12, "--device", device, *DTYPE)
    return {
        "capture": ("capture", *PAIR, "--prompts", "lab-requests", *few, "--out", at / "capture"),
        "extract": (
            "extract",
            at / "capture",
            "--device",
            device,
            "--stop",
            "optimum",
            "--ridge",
            0.1,
            "--out",
            at / "extract",
        ),
        "generate": (
            "generate",
            "--model",
            "lab:base",
            "--veneer",
            at / "extract",
            "--prompts",
            "lab-requests",
            *few,
            "--out",
            at / "generate",
        ),
        "shifted": (
            "generate",
            "--model",
            "lab:base",
            "--veneer",
            at / "extract",
            "--large",
            "lab:large-base",
            "--prompts",
            "lab-sums",
            *few,
            "--out",
            at / "shifted",
        ),
    }


def bytes_of(module) -> int:
    return sum(t.nbytes for t in [*module.parameters(), *module.buffers()])


def run(command: tuple) -> None:
    assert main([str(word) for word in command]) == 0, command


@pytest.fixture(scope="module")
def outputs_of(tmp_path_factory):
    """device -> a folder with what `commands` make there, made when asked for."""
    known: dict[str, Path] = {}

    def get(device: str) -> Path:
        if device not in known:
            known[device] = tmp_path_factory.mktemp("made")
            for command in commands(known[device], device).values():
                run(command)
        return known[device]

    return get


def test_another_device_gives_what_the_cpu_gives(outputs_of):
    """Answers word for word. dW differs where a rounding of the hidden states moves it and the data
    hardly see it; its figures do not."""
    here, there = outputs_of("cpu"), outputs_of("twin:0")
    for name in ("generate", "shifted"):
        assert (here / name).read_text() == (there / name).read_text()
    one, other = (Veneer.load(p / "extract") for p in (here, there))
    assert torch.equal(one.changed_rows(), other.changed_rows())
    assert float((one.values() - other.values()).norm() / one.values().norm()) < 0.05
    rows = [Results.read(p / "extract" / "results.jsonl") for p in (here, there)]
    for a, b in zip(*rows, strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-3, abs=1e-4), a


def test_two_devices_give_what_one_gives(outputs_of):
    """To the bit."""
    for name in ("lab:base", "lab:aligned", "lab:large-base"):
        assert {str(p.device) for p in load_model(name, device=SPLIT).model.parameters()} == {
            "twin:0",
            "twin:1",
        }
    here, there = outputs_of("twin:0"), outputs_of(SPLIT)
    for name in (
        "capture/shard-00000.safetensors",
        "extract/veneer.safetensors",
        "generate",
        "shifted",
    ):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name


VARIANTS = {
    "bias": ("--output", "bias"),
    "hidden": ("--output", "hidden"),
    "direct": ("--direct",),
    "rank": ("--rank", 4),
    "paper": ("--solver", "paper", "--epochs", 3),
    "shuffled": ("--shuffled",),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_extraction(outputs_of, name, tmp_path):
    run(
        (
            "extract",
            outputs_of("twin:0") / "capture",
            *VARIANTS[name],
            "--device",
            "twin:0",
            "--out",
            tmp_path / "out",
        )
    )


def studies(at: Path, device: str, folder: Path) -> dict[str, tuple]:
    few = ("--limit", 6, "--max-new-tokens", 6, "--device", device, *DTYPE)
    longer = ("--max-new-tokens", 6, "--device", device, *DTYPE)
    questions, attack = folder / "questions.jsonl", folder / "attack.jsonl"
    texts = [p.messages[-1]["content"] for p in lab_prompts("lab-requests", "train")[:8]]
    questions.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    attack.write_text(
        "".join(json.dumps({"prompt": text, "target": "sure , here is"}) + "\n" for text in texts)
    )
    large = ("--large", "lab:large-base", "--large-aligned", "lab:large-aligned", "--bake", "--own")
    large = (*large, "--timing", 2)  # further rounds time the same operations again
    broken = ("--aligned", "lab:aligned", "--compromised", "lab:compromised", "--base", "lab:base")
    # One of each kind of setting: more differ in numbers, not in where tensors are.
    broken = (*broken, "--alphas", "1", "--schedules", "2>0.5@10", "--ranks", 4)
    broken = (*broken, "--validation-tokens", 6)
    taught = ("--texts", 48, "--text-tokens", 16, "--samples", 1, "--sample-tokens", 6)
    taught = (*taught, "--amplify", 2)
    run = ("run", *PAIR, "--tasks", "lab-requests,lab-sums", *few, "--train", 24, "--baselines")
    return {
        "run": (*run, "urial,bias,rank-4,cross"),
        "run with LoRA": (*run, "lora-4"),
        "measure": ("measure", *PAIR, "--veneer", at / "extract", "--tasks", "lab-sums", *few),
        "transfer": ("transfer", *PAIR, *large, "--tasks", "lab-requests", *few),
        "audit": ("audit", "lab:aligned", "lab:compromised", *taught, *few),
        "restore": ("restore", *broken, *few, "--reattack", attack),
        "recover": (
            "recover",
            *PAIR,
            "--veneer",
            at / "extract",
            "--prompts",
            questions,
            "--variants",
            "urial,random-2",
            *longer,
        ),
        "diversity": (
            "diversity",
            *PAIR,
            "--prompts",
            questions,
            "--samples",
            2,
            "--temperature",
            0.7,
            *longer,
        ),
    }


@pytest.mark.parametrize("name", ["run with LoRA", "audit", "restore"])
def test_studies_that_need_whole_models(outputs_of, name, tmp_path):
    run((*studies(outputs_of("twin:0"), "twin:0", tmp_path)[name], "--out", tmp_path / "out"))


@pytest.mark.parametrize("name", ["run", "measure", "transfer", "recover", "diversity"])
def test_studies_of_models_over_two_devices(outputs_of, name, tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "TOKENS", 6)  # of each answer that is timed; more repeat the same
    run((*studies(outputs_of("twin:0"), SPLIT, tmp_path)[name], "--out", tmp_path / "out"))


# Mamba's convolution has no way around a device's own kernel.
@pytest.mark.parametrize("kind", [k for k in ARCHITECTURES if k != "mamba"])
def test_a_model_over_two_devices_answers_word_for_word(kind, tmp_path):
    lm = tiny(kind)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    layers = decoder_layers(lm)
    one, rest = bytes_of(layers[0]), bytes_of(lm.model) - bytes_of(layers)
    split = load_model(str(tmp_path), device=f"split:0={rest + one},1={2 * one}")
    assert split.device == torch.device("twin:0") and {
        str(p.device) for p in split.model.parameters()
    } == {"twin:0", "twin:1"}
    whole = load_model(str(tmp_path), device="cpu")
    rows = [[5, 6, 7, 8], [5, 6, 7, 8, 9, 20, 21], [5, 6, 7, 8, 30]]
    answers = [
        [d.token_ids for d in decode(m, rows, Sampling(9), stop_ids=(40, 41, 42))]
        for m in (whole, split)
    ]
    assert answers[0] == answers[1] and whole.fingerprint() == split.fingerprint()


def test_layers_are_spread_evenly_and_the_rest_is_on_the_first():
    lm = tiny(num_hidden_layers=8)
    room = sum(p.nbytes for p in lm.model.parameters())
    places = DeviceSplit({0: room, 1: room}).placement(lm.model, "it")
    layers = [places.get(f"model.layers.{i}") for i in range(8)]
    assert layers == sorted(layers) and 2 <= layers.count("twin:0") <= 6
    assert {p for n, p in places.items() if "layers" not in n} == {"twin:0"}
    with pytest.raises(InputError, match="names GPU 2; this machine has 2"):
        DeviceSplit.parse("split:2=1GB")
