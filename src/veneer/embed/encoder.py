"""An encoder and its tokenizer from a folder: texts become the tokens that its own files say
(models/tokenizer.py), and no weight is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel

from veneer.foundation.errors import InputError
from veneer.models.tokenizer import load_tokenizer


def load_encoder(folder: Path, what: str) -> tuple[Any, Any]:
    """The model, in float32, and the tokenizer. what: the kind of folder that is expected, for
    errors. Raises InputError where the folder is none, or lacks weights."""
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            f"{folder} holds no *.safetensors; expected {what} saved as safetensors (pickles are "
            "not read)"
        )
    try:
        tokenizer = load_tokenizer(str(folder))
        model, info = AutoModel.from_pretrained(
            str(folder),
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except InputError:
        raise
    except Exception as error:  # damaged or foreign files make the libraries raise all kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{folder} cannot be loaded ({reason[:200]}); expected {what}") from None
    # nothing here reads the pooler
    lost = [k for k in info["missing_keys"] if "pooler." not in k]
    lost += [key for key, *_ in info["mismatched_keys"]]
    if lost:
        raise InputError(
            f"{folder} lacks {len(lost)} of its weights, e.g. {sorted(lost)[0]}; expected a whole "
            "model: download it again"
        )
    return model, tokenizer
