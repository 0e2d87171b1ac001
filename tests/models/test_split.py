"""A model that is split between memory and disk is the whole model, to the bit. (Over two
devices: tests/devices.)"""

from __future__ import annotations

import gc
import hashlib
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from small_disk import disk
from tiny import ARCHITECTURES, SMALL, tiny, tokenizer
from veneer.cli import main
from veneer.foundation.errors import InputError, MissingExtra, VeneerError
from veneer.head.veneer import Veneer
from veneer.models.decode import Sampling, decode
from veneer.models.layers import decoder_layers
from veneer.models.load import load_model
from veneer.models.split import DeviceSplit, need_one_device
from veneer.systems.tuning import sharing

pytest.importorskip(
    "accelerate", reason="needs the package accelerate: pip install 'veneer[split]'"
)

HALF = "split:cpu=2MB"  # of the lab's 3 MB in float32
PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("split:", "not understood at ''"),
        ("split:cpu", "not understood at 'cpu'"),
        ("split:cpu=3 GB", "not understood at 'cpu=3 GB'"),
        ("split:cpu=1GB,disk=2GB", "not understood at 'disk=2GB'"),
        ("split:0=-1GB", "not understood at '0=-1GB'"),
        ("split:900=1GB", "names GPU 900; this machine has"),
    ],
)
def test_devices_that_are_not_understood(device, message):
    with pytest.raises(InputError, match=message):
        DeviceSplit.parse(device)


def test_sizes():
    assert DeviceSplit.parse("split:cpu=1.5GB") == DeviceSplit({"cpu": 1_500_000_000})
    assert DeviceSplit.parse("split:cpu=2GiB") == DeviceSplit({"cpu": 2**31})
    assert DeviceSplit.parse("split:cpu=7") == DeviceSplit({"cpu": 7}) and DeviceSplit.parse(
        "split"
    ) == DeviceSplit(None)
    assert DeviceSplit.parse("cpu") is None and DeviceSplit.parse("splits") is None


def test_without_accelerate_the_install_line_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtra, match=r"veneer\[split\]"):
        DeviceSplit.parse("split")


@pytest.fixture(params=[k for k in ARCHITECTURES])
def saved(request, tmp_path) -> Path:
    lm = tiny(request.param, num_hidden_layers=3)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    return tmp_path


def bytes_of(module) -> int:
    return sum({id(t): t.nbytes for t in [*module.parameters(), *module.buffers()]}.values())


def test_answers_and_facts_are_those_of_the_whole_model(saved, caplog):
    whole = load_model(str(saved), device="cpu")
    layers = decoder_layers(whole)
    room = bytes_of(whole.model) - bytes_of(layers) + 2 * bytes_of(layers[0])
    split = load_model(str(saved), device=f"split:cpu={room}")
    assert "on disk; each pass reads them" in caplog.text
    assert any(p.is_meta for p in split.model.parameters()) and not split.head.weight.is_meta
    rows = [[5, 6, 7, 8], [5, 6, 7, 8, 9, 20, 21], [5, 6, 7, 8, 30]]
    answers = [
        [d.token_ids for d in decode(m, rows, Sampling(9), stop_ids=(40, 41, 42))]
        for m in (whole, split)
    ]
    assert answers[0] == answers[1]
    ids = torch.tensor(rows[1:2])
    with torch.inference_mode():
        hidden = [m.hidden(ids, torch.ones_like(ids)) for m in (whole, split)]
    assert torch.equal(*hidden) and whole.facts() == split.facts()


def test_weights_that_loading_changes(tmp_path, monkeypatch):
    """A mixture's experts are put together when they are loaded: what is used is not in the
    checkpoint, and stands in a folder that goes with the model."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    at, words = (
        tmp_path / "model",
        {**SMALL, "num_hidden_layers": 3, "num_local_experts": 4, "num_experts_per_tok": 2},
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("mixtral", vocab_size=len(tokenizer()), **words)
    )
    model.save_pretrained(at)
    tokenizer().save_pretrained(at)
    whole = load_model(str(at), device="cpu")
    layers = decoder_layers(whole)
    room = f"split:cpu={bytes_of(whole.model) - bytes_of(layers) + 1.2 * bytes_of(layers[0]):.0f}"
    split = load_model(str(at), device=room)
    assert whole.facts() == split.facts() and len([*tmp_path.glob(".veneer-split.*/*")]) > 0
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.inference_mode():
        assert torch.equal(*(m.hidden(ids, torch.ones_like(ids)) for m in (whole, split)))
    del split
    gc.collect()
    assert not [*tmp_path.glob(".veneer-*")]
    with disk(tmp_path / "disk", "16k"):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
        with pytest.raises(VeneerError, match=r"disk that holds .*veneer-split.* is full"):
            load_model(str(at), device=room)


def test_with_room_for_all_nothing_is_outside(caplog):
    lm = load_model("lab:base", device="split")
    assert (
        lm.device.type == "cpu"
        and not any(p.is_meta for p in lm.model.parameters())
        and not caplog.text
    )


def run(*words: object) -> None:
    assert main([str(w) for w in words]) == 0, words


def shards(folder: Path) -> dict[str, str]:
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.safetensors")
    }


def test_commands_give_the_same_bytes(tmp_path):
    for name, device in (("whole", "cpu"), ("split", HALF)):
        at = tmp_path / name
        few = ("--limit", 12, "--max-new-tokens", 8, "--device", device)
        run("capture", *PAIR, "--prompts", "lab-requests", *few, "--out", at / "capture")
        run("extract", at / "capture", "--device", device, "--out", at / "veneer")
        run(
            "merge", at / "veneer", "--base", "lab:base", "--device", device, "--out", at / "merged"
        )
        run(
            "generate",
            "--model",
            "lab:base",
            "--veneer",
            at / "veneer",
            "--prompts",
            "lab-sums",
            *few,
            "--out",
            at / "answers",
        )
        run(
            "generate",
            "--model",
            "lab:base",
            "--veneer",
            at / "veneer",
            "--large",
            "lab:large-base",
            "--prompts",
            "lab-sums",
            *few,
            "--out",
            at / "shifted",
        )
    for name in ("answers", "shifted"):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "split" / name).read_text()
    assert shards(tmp_path / "whole" / "capture") == shards(tmp_path / "split" / "capture")
    assert (
        Veneer.load(tmp_path / "whole" / "veneer").identity()
        == Veneer.load(tmp_path / "split" / "veneer").identity()
    )
    one, other = (
        load_file(tmp_path / n / "merged" / "model.safetensors") for n in ("whole", "split")
    )
    assert one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_what_needs_whole_models_says_so(tmp_path, capsys):
    two = ("--device", HALF, "--out", tmp_path / "out")
    for words in (
        ("audit", "lab:aligned", "lab:compromised", *two),
        ("restore", "--aligned", "lab:aligned", "--compromised", "lab:compromised", *two),
        ("run", *PAIR, "--tasks", "lab-sums", "--baselines", "lora-4", *two),
        ("run", *PAIR, "--tasks", "lab-sums", "--baselines", "all", *two),
    ):
        assert main([str(w) for w in words]) == 2
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert (
            "needs whole models, found --device split:cpu=2MB; give a single device" in message
            and not (tmp_path / "out").exists()
        )
    split = load_model("lab:base", device=HALF)
    for use in (lambda: sharing(split.model), lambda: need_one_device(split.model, "it")):
        with pytest.raises(InputError, match="on cpu and memory or disk; give a single --device"):
            use()


def test_embeddings_and_head_must_fit():
    with pytest.raises(
        InputError, match=r"lab:base: embeddings and head take 0\.6 MB, more than the 0\.1 MB"
    ):
        load_model("lab:base", device="split:cpu=100KB")


def test_files_that_are_read_whole_are_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"read whole; give --device a single device"):
        load_model(str(tmp_path / "m.gguf"), device=HALF)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"merged on one device"):
        load_model(str(tmp_path), device=HALF)
