"""Checkpoints of GPTQ, AWQ and AutoRound load as the plain numbers that they stand for, merge, or
are refused.

The packing here follows AutoGPTQ 0.7.1, AutoAWQ 0.2.9 and AutoRound 0.16.1, whose own code gave the
same words, and the same numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from checkpoints import rewrite, save, sharded, veneer_of, with_tensors
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.head.merge import merge
from veneer.models.load import load_model

GROUP = 32  # inputs that share a scale
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # the columns in a word of AWQ, from the lowest bits on


@dataclass(frozen=True)
class Kind:
    settings: dict
    bits: int
    any_order: bool = False  # the groups of inputs are not in order, as desc_act leaves them


def gptq(bits: int, **more) -> dict:
    return {"quant_method": "gptq", "bits": bits, "group_size": GROUP, "desc_act": False, **more}


def auto_round(packing: str, bits: int = 4) -> dict:
    settings = {"bits": bits, "group_size": GROUP, "sym": False, "data_type": "int"}
    return {"quant_method": "auto-round", "packing_format": packing, **settings}


AWQ = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True}
KINDS = {
    "gptq, 4 bits": Kind(gptq(4), 4),
    "gptq, 3 bits": Kind(gptq(3, checkpoint_format="gptq"), 3),
    "gptq, 2 bits, inputs in another order": Kind(gptq(2, desc_act=True), 2, any_order=True),
    "gptq_v2, 8 bits": Kind(gptq(8, checkpoint_format="gptq_v2"), 8),
    "awq": Kind(AWQ, 4),
    "awq, gemv": Kind({**AWQ, "version": "gemv"}, 4),
    "auto-round": Kind(auto_round("auto_round:auto_gptq"), 4),
    "auto-round, with zero points, 3 bits": Kind(auto_round("auto_round", bits=3), 3),
    "auto-round, gptqmodel": Kind(auto_round("auto_round:gptqmodel"), 4),
    "auto-round, awq": Kind(auto_round("auto_round:auto_awq"), 4),
}


def words_of(column: list[int], bits: int) -> list[int]:
    """One stream of bits from the lowest on, cut into words of 32 with a sign."""
    stream = sum(value << bits * i for i, value in enumerate(column))
    words = [stream >> at & 0xFFFFFFFF for at in range(0, bits * len(column), 32)]
    return [w - 2**32 if w >= 2**31 else w for w in words]


def packed_rows(integers: torch.Tensor, bits: int) -> torch.Tensor:
    return torch.tensor([words_of(row, bits) for row in integers.tolist()], dtype=torch.int32)


def in_awq_order(integers: torch.Tensor) -> torch.Tensor:
    rows = integers.reshape(len(integers), -1, 8)
    return rows[:, :, list(AWQ_ORDER)].reshape(len(integers), -1)


def stored_as(kind: Kind, q, z, s, group) -> dict[str, torch.Tensor]:
    """The parts of one matrix. q: (out, in). z, s: (groups, out)."""
    method = kind.settings["quant_method"]
    packing = kind.settings.get("packing_format", "")
    if kind.settings.get("version") == "gemv":  # groups are filled up to a multiple of 32
        fill = 32 - len(s)
        zeros, scales = (torch.cat([t, t.new_zeros(fill, t.shape[1])]).T for t in (z, s))
        return {"qweight": packed_rows(q, 4), "qzeros": packed_rows(zeros, 4), "scales": scales}
    if method == "awq" or "awq" in packing:
        words = {"qweight": in_awq_order(q.T), "qzeros": in_awq_order(z)}
        return {**{k: packed_rows(t, 4) for k, t in words.items()}, "scales": s}
    exact = kind.settings.get("checkpoint_format") == "gptq_v2"
    less = int(not exact and packing in ("", "auto_round:auto_gptq"))
    return {
        "qweight": packed_rows(q, kind.bits).T,
        "qzeros": packed_rows(z - less, kind.bits),
        "scales": s,
        **({"g_idx": group.int()} if method == "gptq" else {}),
    }


def quantised(folder: Path, kind: Kind) -> dict[str, torch.Tensor]:
    """Draw every matrix of the layers anew and store it packed; returns the plain tensors."""
    draw = torch.Generator().manual_seed(kind.bits)
    plain: dict[str, torch.Tensor] = {}

    def change(tensors):
        stored = {}
        for name, tensor in tensors.items():
            if ".layers." not in name or tensor.dim() != 2:
                stored[name] = plain[name] = tensor
                continue
            out, width = tensor.shape
            q = torch.randint(0, 2**kind.bits, (out, width), generator=draw)
            z = torch.randint(1, 2**kind.bits, (width // GROUP, out), generator=draw)
            s = (torch.rand(width // GROUP, out, generator=draw) * 0.01 + 0.001).half()
            group = torch.arange(width) // GROUP
            if kind.any_order:
                group = group[torch.randperm(width, generator=draw)]
            plain[name] = (q - z[group].T) * s.float()[group].T
            parts = stored_as(kind, q, z, s, group)
            stored |= {name.replace("weight", part): t for part, t in parts.items()}
        return {k: v.contiguous() for k, v in stored.items()}

    with_tensors(folder, change)
    rewrite(folder / "config.json", lambda c: c.update(quantization_config=kind.settings))
    return plain


def small(folder: Path) -> Path:
    return save(folder, tiny(hidden_size=64, intermediate_size=96, head_dim=16))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@torch.inference_mode()
def test_packed_integers_become_the_numbers_that_they_stand_for_and_merge(kind, tmp_path):
    folder = small(tmp_path / "base")
    plain = quantised(folder, kind)
    lm = load_model(str(folder), device="cpu")
    assert lm.model.dequantised_from == kind.settings["quant_method"]
    assert not hasattr(lm.model.config, "quantization_config")
    assert lm.model.name_or_path == str(folder)
    state = lm.model.state_dict()
    for name, tensor in plain.items():
        assert torch.equal(state[name], tensor), name
    veneer = veneer_of(lm)
    out = merge(veneer, lm, tmp_path / "merged")
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    merged = AutoModelForCausalLM.from_pretrained(out)
    ids = torch.arange(9)[None]
    want = veneer.apply(lm.head).logits(lm.hidden(ids, torch.ones_like(ids)))
    torch.testing.assert_close(merged(ids).logits, want, rtol=1e-5, atol=1e-4)


def test_parts_of_a_matrix_may_stand_in_several_shards(tmp_path):
    folder = small(tmp_path / "base")
    plain = quantised(folder, KINDS["gptq, 4 bits"])
    whole = folder / "model.safetensors"
    sharded(folder, load_file(whole))
    whole.unlink()
    state = load_model(str(folder), device="cpu").model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in plain.items())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"version": "gemv_fast"}, r"\(awq\) in the layout 'gemv_fast'; expected 'gemm' or 'gemv'"),
        (
            {"quant_method": "auto-round", "packing_format": "auto_round:fp8_static"},
            "'auto_round:fp8_static'; expected .* or 'auto_round'",
        ),
        ({"rotation_config": {"a": 1}}, "also turn what they read"),
        ({"quant_method": "gptq", "checkpoint_format": "marlin"}, "expected 'gptq' or 'gptq_v2'"),
    ],
)
def test_another_layout_is_refused(settings, says, tmp_path):
    folder = small(tmp_path / "base")
    quantised(folder, KINDS["awq"])
    rewrite(folder / "config.json", lambda c: c["quantization_config"].update(settings))
    with pytest.raises(InputError, match=says):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize("part", ["scales", "qzeros"])
def test_a_matrix_without_one_of_its_parts_is_refused(part, tmp_path):
    folder = small(tmp_path / "base")
    quantised(folder, KINDS["gptq, 4 bits"])
    with_tensors(folder, lambda t: {k: v for k, v in t.items() if not k.endswith(f"q_proj.{part}")})
    with pytest.raises(InputError, match=r"q_proj of .* do not belong together"):
        load_model(str(folder), device="cpu")


@pytest.mark.parametrize(("shift", "says"), [(-1, "found the group -1"), (9, "found the group 9")])
def test_a_group_that_does_not_exist_is_refused(shift, says, tmp_path):
    folder = small(tmp_path / "base")
    quantised(folder, KINDS["gptq, 4 bits"])
    with_tensors(
        folder, lambda t: {k: v + shift if k.endswith("g_idx") else v for k, v in t.items()}
    )
    with pytest.raises(InputError, match=says):
        load_model(str(folder), device="cpu")


@torch.inference_mode()
def test_layers_that_turn_their_matrices(tmp_path):
    """GPT-2 keeps a matrix as (in, out); it is packed as all others. One of them is square."""
    folder = save(tmp_path / "base", tiny("gpt2", n_embd=64))

    def turned(tensors):
        return {
            k.replace(".h.", ".layers."): v.T.clone() if v.dim() == 2 and ".h." in k else v
            for k, v in tensors.items()
        }

    with_tensors(folder, turned)
    plain = quantised(folder, KINDS["gptq, 4 bits"])
    with_tensors(folder, lambda t: {k.replace(".layers.", ".h."): v for k, v in t.items()})
    state = load_model(str(folder), device="cpu").model.state_dict()
    for name, tensor in plain.items():
        want = tensor.T if ".layers." in name and tensor.dim() == 2 else tensor
        assert torch.equal(state[name.replace(".layers.", ".h.")], want), name


@torch.inference_mode()
def test_the_last_group_may_be_shorter(tmp_path):
    """96 inputs in groups of 64, without g_idx: two groups, and not of 48."""
    folder = small(tmp_path / "base")
    quantised(folder, KINDS["auto-round"])
    matrix = "model.layers.0.mlp.down_proj"
    parts = {f"{matrix}.{part}" for part in ("scales", "qzeros")}
    with_tensors(folder, lambda t: {k: v[:2] if k in parts else v for k, v in t.items()})
    rewrite(folder / "config.json", lambda c: c["quantization_config"].update(group_size=64))
    scales = load_file(folder / "model.safetensors")[f"{matrix}.scales"].float()
    weight = load_model(str(folder), device="cpu").model.state_dict()[f"{matrix}.weight"]
    steps = weight / scales[torch.arange(96) // 64].T  # whole numbers with the right scales alone
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)


def test_what_is_stored_as_another_method_is_no_number_of_this_one(tmp_path):
    """AWQ's words are not those of GPTQ: their shapes tell them apart."""
    folder = small(tmp_path / "base")
    quantised(folder, KINDS["awq"])
    rewrite(folder / "config.json", lambda c: c.update(quantization_config=gptq(4)))
    with pytest.raises(InputError, match=r"lacks|do not belong together"):
        load_model(str(folder), device="cpu")
