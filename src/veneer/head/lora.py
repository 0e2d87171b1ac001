"""A low-rank veneer as a PEFT LoRA on the head: dW = A B is lora_B lora_A, so any engine that loads adapters runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from veneer.errors import InputError
from veneer.files import write_folder, write_json
from veneer.head.card import model_card
from veneer.head.merge import already_merged, merge_record
from veneer.head.veneer import Veneer
from veneer.models.language_model import LanguageModel

TIED = (
    "The base ties its head to its input embeddings. As an adapter it leaves the embeddings alone; do not merge it with "
    "`merge_and_unload`, which would change them too: `veneer merge` without --lora unties the head first."
)


def lora_record(veneer: Veneer, base_name: str, alpha: float) -> dict[str, Any]:
    """run.json of an adapter folder: what a second export into it must share."""
    record = merge_record(veneer, base_name, alpha)
    return {**record, "config": {**record["config"], "lora": True}}


def save_lora(veneer: Veneer, base: LanguageModel, out: str | Path, *, alpha: float = 1.0) -> Path:
    """Write adapter_config.json and adapter_model.safetensors, which `PeftModel.from_pretrained(base, out)` loads.

    r is the veneer's rank and lora_alpha the same, so the adapter's scale is 1; `alpha` is folded into lora_B. Raises InputError where
    the veneer is dense, shifts logits by a constant, or belongs to another head, and where `out` is in use; a folder that holds this
    very adapter is left as it is.
    """
    out = Path(out)
    record = lora_record(veneer, base.name, alpha)
    if already_merged(out, record):
        return out
    check_exportable(veneer)
    veneer.check_fits(base)
    name = next(n for n, m in base.model.named_modules() if m is base.model.get_output_embeddings())
    assert veneer.A is not None and veneer.B is not None and veneer.rank
    wide = torch.zeros(base.head.rows, veneer.rank)
    wide[veneer.changed_rows()] = alpha * veneer.A.float()
    prefix = f"base_model.model.{name}"
    tensors = {f"{prefix}.lora_A.weight": veneer.B.float().contiguous(), f"{prefix}.lora_B.weight": wide}
    config = {
        "base_model_name_or_path": base.name, "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "lora_alpha": veneer.rank, "lora_dropout": 0.0, "peft_type": "LORA", "r": veneer.rank,
        "target_modules": [name], "task_type": "CAUSAL_LM",
    }  # fmt: skip

    def write(folder: Path) -> None:
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        write_json(folder / "adapter_config.json", config)
        (folder / "README.md").write_text(adapter_card(veneer, base, alpha), encoding="utf-8")
        write_json(folder / "run.json", record)

    write_folder(out, write)
    return out


def check_exportable(veneer: Veneer) -> None:
    """Raise InputError for a veneer that no LoRA on the head can hold."""
    if veneer.bias is not None:
        raise InputError("the veneer shifts logits by a constant, which no LoRA holds; extract one with --rank")
    if veneer.rank is None:
        raise InputError(
            "the veneer is dense, but a LoRA holds a low-rank change; extract one with --rank, or merge without --lora"
        )


def adapter_card(veneer: Veneer, base: LanguageModel, alpha: float) -> str:
    """The README.md of an adapter folder: that of a merged checkpoint, as far as it holds."""
    lines = model_card(veneer, base, alpha, library="peft").splitlines()
    tied = base.model.get_input_embeddings().weight.data_ptr() == base.head.weight.data_ptr()
    return "\n".join([*lines, "", "Load it with `PeftModel.from_pretrained(base, folder)`.", *([TIED] if tied else []), ""])
