"""Model folders as others publish them: configs and tokenizers of transformers 4, quantised
weights, several shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tiny import tiny, tokenizer
from veneer.head.veneer import Veneer
from veneer.models.language_model import LanguageModel

LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

END = tokenizer().convert_tokens_to_ids("<|end|>")


def veneer_of(lm, *, rank=None, rows=None, size=0.5) -> Veneer:
    """A random veneer that fits `lm`, as an extraction from a chat model would record it."""
    draw = torch.Generator().manual_seed(7)
    shape, width = (lm.head.rows if rows is None else len(rows)), lm.head.width
    facts = {
        "aligned": "the-aligned-model",
        "base_format": {"kind": "plain", "template": "Q: {prompt}\nA:"},
        "stop_ids": [END],
    }
    if rank is None:
        dW, A, B = size * torch.randn(shape, width, generator=draw), None, None
    else:
        dW, A, B = (
            None,
            torch.randn(shape, rank, generator=draw),
            size * torch.randn(rank, width, generator=draw),
        )
    return Veneer(lm.head.hash(), lm.head.rows, dW, rows, A, B, facts)


def rewrite(path: Path, change) -> None:
    """Apply `change` to the JSON object in a file; what it returns is written, or the object itself
    where it returns None."""
    value = json.loads(path.read_text())
    out = change(value)
    path.write_text(json.dumps(value if out is None else out, indent=2))


def save(folder: Path, lm: LanguageModel | None = None, **words: Any) -> Path:
    """A model folder as this version of transformers writes it."""
    lm = lm or tiny(**words)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


def as_transformers_4(folder: Path) -> Path:
    """Rewrite a folder of Llama's family as transformers 4 published it."""

    def config(c: dict[str, Any]) -> None:
        rope = c.pop("rope_parameters")
        c["rope_theta"] = rope.pop("rope_theta")
        c["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
        c["torch_dtype"] = c.pop("dtype")
        c["transformers_version"] = "4.45.0"
        c["_name_or_path"] = "/home/somebody/checkpoints/last"

    def tok(t: dict[str, Any]) -> None:
        t["tokenizer_class"] = "PreTrainedTokenizerFast"
        t["additional_special_tokens"] = t.pop(
            "extra_special_tokens", tokenizer().all_special_tokens[3:]
        )
        t["chat_template"] = (folder / "chat_template.jinja").read_text()
        for key in ("backend", "is_local", "local_files_only"):
            t.pop(key, None)

    rewrite(folder / "config.json", config)
    rewrite(folder / "tokenizer_config.json", tok)
    (folder / "chat_template.jinja").unlink()
    return folder


def with_tensors(folder: Path, change) -> Path:
    """Apply `change` to the tensors of a folder with a single file."""
    path = folder / "model.safetensors"
    save_file(
        {k: v.contiguous() for k, v in change(load_file(path)).items()},
        path,
        metadata={"format": "pt"},
    )
    return folder


def sharded(folder: Path, tensors: dict[str, torch.Tensor]) -> list[Path]:
    """Write tensors as two shards with their index; returns the shards."""
    files, places = [], {}
    for i in range(2):
        part = {k: tensors[k].contiguous() for k in sorted(tensors)[i::2]}
        files.append(folder / f"model-0000{i + 1}-of-00002.safetensors")
        save_file(part, files[-1], metadata={"format": "pt"})
        places |= dict.fromkeys(part, files[-1].name)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return files


def fp8(folder: Path, block: int = 16) -> dict[str, torch.Tensor]:
    """Quantise the layers' matrices of a saved folder to FP8 with a scale a block; returns the
    plain float32 values."""
    plain: dict[str, torch.Tensor] = {}

    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        out = {}
        for name, w in tensors.items():
            if w.ndim != 2 or "layers" not in name or w.shape[0] % block:  # the last: a router
                out[name] = w.bfloat16()
                plain[name] = out[name].float()
                continue
            rows, cols = w.shape[0] // block, w.shape[1] // block
            tiles = w.float().reshape(rows, block, cols, block)
            scale = tiles.abs().amax((1, 3)) / 448  # (rows, cols)
            small = (tiles / scale[:, None, :, None]).to(torch.float8_e4m3fn)
            plain[name] = (small.float() * scale[:, None, :, None]).reshape(w.shape)
            out[name], out[f"{name}_scale_inv"] = small.reshape(w.shape), scale
        return out

    with_tensors(folder, change)
    quantised = {
        "quant_method": "fp8",
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "weight_block_size": [block, block],
    }
    rewrite(
        folder / "config.json", lambda c: c.update(quantization_config=quantised, dtype="bfloat16")
    )
    return plain


E2M1 = torch.tensor(
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]
)


def mxfp4(folder: Path) -> dict[str, torch.Tensor]:
    """Give the experts of a saved gpt-oss folder random MXFP4 weights; returns the
    plain float32 values."""
    plain: dict[str, torch.Tensor] = {}
    draw = torch.Generator().manual_seed(0)

    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        out = {}
        for name, w in tensors.items():
            if w.ndim != 3 or not name.endswith(("gate_up_proj", "down_proj")):
                out[name] = w.bfloat16()
                plain[name] = out[name].float()
                continue
            # (experts, in, out) -> blocks of 32 inputs, two numbers a byte, the low half first
            experts, width, rows = w.shape
            blocks = torch.randint(
                0, 256, (experts, rows, width // 32, 16), dtype=torch.uint8, generator=draw
            )
            scales = torch.randint(
                118, 123, (experts, rows, width // 32), dtype=torch.uint8, generator=draw
            )
            values = torch.stack(
                [E2M1[(blocks & 15).long()], E2M1[(blocks >> 4).long()]], -1
            ).flatten(-2)
            values = values * torch.exp2(scales.float() - 127)[..., None]
            plain[name] = values.reshape(experts, rows, width).transpose(1, 2).contiguous()
            out[f"{name}_blocks"], out[f"{name}_scales"] = blocks, scales
        return out

    with_tensors(folder, change)
    skipped = [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ]
    quantised = {"quant_method": "mxfp4", "modules_to_not_convert": skipped}
    rewrite(
        folder / "config.json", lambda c: c.update(quantization_config=quantised, dtype="bfloat16")
    )
    return plain
