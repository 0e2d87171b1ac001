"""Low-rank adapters of every linear layer but the head."""

import json

import torch
from safetensors.torch import save_file


def linears(model):
    """Name -> layer, in the model's order."""
    head = model.get_output_embeddings()
    every = model.named_modules()
    return {n: m for n, m in every if isinstance(m, torch.nn.Linear) and m is not head}


def save(out, base, factors, rank):
    """factors: name -> (A (r, inputs), B (outputs, r)); the change of a layer is B A."""
    tensors = {}
    for name, (A, B) in factors.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = A.detach().float().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = B.detach().float().contiguous()
    save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "base_model_name_or_path": base.name_or_path,
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": rank,
        "target_modules": sorted(factors),
        "inference_mode": True,
    }
    (out / "adapter_config.json").write_text(json.dumps(config, indent=1))
