"""A model without its weights: its modules on no device, which class opens it, and what gives it
plain numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from veneer.models import packed_integers
from veneer.models.auto_class import auto_class, auto_classes
from veneer.models.quantised import settings_of
from veneer.models.vetting import weights_read


def without_weights(model_at: str, words: dict[str, Any]) -> Any:
    """The modules of the model at a folder or of a repository."""
    remote = {k: words[k] for k in ("revision", "trust_remote_code")}
    return unweighted(AutoConfig.from_pretrained(model_at, **remote), words)


def unweighted(config: Any, words: dict[str, Any], opens: Any = None) -> Any:
    """The modules of a config. words: for `from_pretrained`. opens: an auto class, or None for the
    usual one."""
    own = getattr(config.get_text_config(decoder=True), "dtype", None)
    with torch.device("meta"):
        return (opens or auto_class(config)).from_config(
            config,
            dtype=own if words["dtype"] == "auto" else words["dtype"],
            trust_remote_code=words["trust_remote_code"],
        )


def opening(config: Any, words: dict[str, Any], adapter: Path | None) -> Any:
    """The auto class for a checkpoint; where several open it, the one with the modules that an
    adapter changes: it may have been trained on the text part alone."""
    known = auto_classes(config)
    if adapter is None or len(known) < 2:
        return auto_class(config)
    try:
        with safe_open(adapter / "adapter_model.safetensors", framework="pt") as file:
            keys = [key.removeprefix("base_model.model.") for key in file.keys()]  # noqa: SIM118
    except SafetensorError:  # damaged, which merging says
        return known[0]

    def places(opens: Any) -> int:
        modules = {name for name, _ in unweighted(config, words, opens).named_modules()}
        return sum(any(key.rsplit(".", n)[0] in modules for n in (1, 2, 3)) for key in keys)

    return max(known, key=places)


def packed_words(
    name: str, model_at: str, config: Any, words: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """What opens a checkpoint of packed integers, and the words that give the library its plain
    numbers in place of a folder."""
    folder = Path(model_at)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        kinds = ["*.safetensors", "*.json", "*.py"]
        folder = Path(snapshot_download(name, revision=words["revision"], allow_patterns=kinds))
    model = unweighted(packed_integers.without_quantisation(config), words)
    settings, files = settings_of(config), weights_read(folder)
    tensors = packed_integers.plain_tensors(name, files, settings, model)
    plain = {"config": model.config, "dtype": model.dtype, "state_dict": tensors}
    return type(model), {**words, **plain}
