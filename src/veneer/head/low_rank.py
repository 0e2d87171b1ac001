"""Veneers of low rank: cut to a lower one in the metric of the hidden states, moved to another
head, and written as a PEFT LoRA, which any engine that loads adapters runs (dW = A B = lora_B
lora_A)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from veneer.foundation.errors import InputError
from veneer.foundation.files import write_folder, write_json
from veneer.head.card import model_card
from veneer.head.merge import already_merged, merge_record
from veneer.head.parametrisation import LowRank
from veneer.head.veneer import ROUNDED, Veneer
from veneer.models.language_model import LanguageModel


def second_moment(states: Iterable[Tensor]) -> Tensor:
    """The mean of h h' (d, d) over hidden states that come in blocks (n, d), in float64. Raises
    ValueError for no state at all."""
    total, count = None, 0
    for block in states:
        wide = block.double()
        total = wide.t() @ wide if total is None else total + wide.t() @ wide
        count += len(wide)
    if total is None or not count:
        raise ValueError("no hidden states")
    return total / count


def truncated(veneer: Veneer, moment: Tensor, rank: int) -> Veneer:
    """The veneer of rank `rank` that is nearest in root mean square of dW h over hidden states with
    the second moment `moment` (d, d): a truncated singular value decomposition of dW moment^(1/2)
    (Eckart & Young 1936). Raises InputError for a rank below 1 and for a veneer that shifts by a
    constant."""
    if rank < 1:
        raise InputError(f"the rank is {rank}; expected 1 or more, or dense")
    if veneer.bias is not None:
        raise InputError(
            "a veneer with a constant shift has no rank to cut; extract one without --output bias"
        )
    values = veneer.values().double()  # (R, d)
    if not len(values):
        return veneer
    low, x = LowRank.of(values, moment.to(values), min(rank, *values.shape))
    A, B = (t.float().contiguous() for t in low.factors(x))
    return Veneer(
        veneer.unembedding,
        veneer.vocabulary,
        None,
        veneer.rows,
        A,
        B,
        {**veneer.facts, "truncated_from": veneer.identity()},
    )


def on_other_rows(
    veneer: Veneer, to_other: Tensor | None, unembedding: str, vocabulary: int
) -> Veneer:
    """The same change for another head of the same width: rows named by that head's ids.

    to_other: (V,) its id of each of the veneer's, or None where they are the same
    (models.vocabulary.Vocabulary). unembedding, vocabulary: of that head (Head.hash, rows). Rows
    that the other head lacks are padding, which names no token, and are left out.
    """
    rows = veneer.changed_rows()
    kept = rows < (vocabulary if to_other is None else len(to_other))

    def keep(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[kept.to(values.device)]

    rows = rows[kept] if to_other is None else to_other[rows[kept]]
    # of the other head
    facts = {key: value for key, value in veneer.facts.items() if key != ROUNDED}
    dW, A, bias = keep(veneer.dW), keep(veneer.A), keep(veneer.bias)
    return Veneer(unembedding, vocabulary, dW, rows, A, veneer.B, facts, bias)


TIED = (
    "The base ties its head to its input embeddings. As an adapter it leaves the embeddings "
    "alone; do not merge it with `merge_and_unload`, which would change them too: `veneer merge` "
    "without --lora unties the head first."
)


def lora_record(veneer: Veneer, base_name: str, alpha: float) -> dict[str, Any]:
    """run.json of an adapter folder: the settings that a second export into it must share."""
    record = merge_record(veneer, base_name, alpha)
    return {**record, "config": {**record["config"], "lora": True}}


def save_lora(veneer: Veneer, base: LanguageModel, out: str | Path, *, alpha: float = 1.0) -> Path:
    """Write adapter_config.json and adapter_model.safetensors, which
    `PeftModel.from_pretrained(base, out)` loads.

    r is the veneer's rank and lora_alpha the same, so the adapter's scale is 1; `alpha` is folded
    into lora_B. Raises InputError where the veneer is dense, shifts logits by a constant, or
    belongs to another head, and where `out` is in use; a folder that holds this very adapter is
    left as it is.
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
    tensors = {
        f"{prefix}.lora_A.weight": veneer.B.float().contiguous(),
        f"{prefix}.lora_B.weight": wide,
    }
    config = {
        "base_model_name_or_path": base.name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": veneer.rank,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": veneer.rank,
        "target_modules": _target(base.model, name),
        "task_type": "CAUSAL_LM",
    }

    def write(folder: Path) -> None:
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        write_json(folder / "adapter_config.json", config)
        (folder / "README.md").write_text(adapter_card(veneer, base, alpha), encoding="utf-8")
        write_json(folder / "run.json", record)

    write_folder(out, write)
    return out


def _target(model: Any, name: str) -> list[str] | str:
    """The module `name` as PEFT finds it: a list matches the ends of names, so an expression stands
    for a name that ends another one too."""
    ends = [n for n, _ in model.named_modules() if n == name or n.endswith(f".{name}")]
    return [name] if ends == [name] else re.escape(name)


def check_exportable(veneer: Veneer) -> None:
    """Raise InputError for a veneer that no LoRA on the head can hold."""
    if veneer.bias is not None:
        raise InputError(
            "the veneer shifts logits by a constant, which no LoRA holds; extract one with --rank"
        )
    if veneer.rank is None:
        raise InputError(
            "the veneer is dense, but a LoRA holds a low-rank change; extract one with --rank, or "
            "merge without --lora"
        )


def adapter_card(veneer: Veneer, base: LanguageModel, alpha: float) -> str:
    """The README.md of an adapter folder: that of a merged checkpoint, as far as it holds."""
    lines = model_card(veneer, base, alpha, library="peft").splitlines()
    tied = base.model.get_input_embeddings().weight.data_ptr() == base.head.weight.data_ptr()
    return "\n".join(
        [
            *lines,
            "",
            "Load it with `PeftModel.from_pretrained(base, folder)`.",
            *([TIED] if tied else []),
            "",
        ]
    )
