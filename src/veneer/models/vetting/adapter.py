"""adapter_config.json before PEFT acts on it: expressions over module names, numbers that make
layers or rows, modules to import."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.models.vetting.patterns import is_risky, matches_in_time
from veneer.models.vetting.sizes import FREE_COUNT

STEPS = 1000  # iterations of an initialisation; those in use take a few dozen
NEW_ROWS = 100_000  # tokens that an adapter may add to its base
MEND = "save the adapter again, or fetch it from its author"


def vet_adapter(folder: Path, written: Mapping[str, Any], model: Any, tokenizer: Any) -> None:
    """Raise InputError where loading the adapter would take time or memory without bound, or import
    a module that its config names. written: of adapter_config.json; model, tokenizer: of its
    base."""
    path = folder / "adapter_config.json"
    if written.get("megatron_config") is not None:
        raise InputError(
            f"{path} names a module to import (megatron_config); expected an adapter of a "
            f"transformers model: {MEND}"
        )
    _check_patterns(path, written, model)
    _check_numbers(path, written, model, tokenizer)


def _check_patterns(path: Path, written: Mapping[str, Any], model: Any) -> None:
    names: list[str] | None = None
    for field, pattern in _patterns(written):
        if not is_risky(pattern):
            continue
        names = names or [name for name, _ in model.named_modules()]
        if not matches_in_time(pattern, names):
            shown = pattern if len(pattern) <= 80 else f"{pattern[:80]}..."
            raise InputError(
                f"{path} has the regular expression {shown!r} as {field}, which runs without end "
                f"on the names of the base's modules, or is none; expected names such as q_proj: "
                f"{MEND}"
            )


def _patterns(written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, expression) as PEFT puts it together."""
    for field in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(written.get(field), str):
            yield field, written[field]
    layers = written.get("layers_pattern")
    for pattern in layers if isinstance(layers, list) else [layers]:
        if isinstance(pattern, str):
            yield "layers_pattern", rf".*\.{pattern}\.(\d+)\..*"
    for field in ("rank_pattern", "alpha_pattern"):
        keys = written.get(field)
        for key in keys if isinstance(keys, Mapping) else ():
            yield field, rf"(?:.*\.)?(?:{key})"


def _check_numbers(path: Path, written: Mapping[str, Any], model: Any, tokenizer: Any) -> None:
    copies = written.get("layer_replication")
    if isinstance(copies, list):
        spans = [s for s in copies if isinstance(s, list) and len(s) == 2]
        layers = sum(
            max(0, end - start)
            for start, end in spans
            if isinstance(start, int) and isinstance(end, int)
        )
        if layers > FREE_COUNT:
            raise InputError(
                f"{path} repeats layers until there are {layers:,} (layer_replication); expected "
                f"at most {FREE_COUNT:,}: {MEND}"
            )
    start = written.get("init_lora_weights")
    if isinstance(start, str) and any(int(n) > STEPS for n in re.findall(r"\d{1,12}", start)):
        raise InputError(
            f"{path} has init_lora_weights = {start[:80]!r}; expected at most {STEPS:,} steps: "
            f"{MEND}"
        )
    rows = model.get_input_embeddings().weight.shape[0]
    highest = max([rows, *tokenizer.get_vocab().values()]) + NEW_ROWS
    for field in ("trainable_token_indices", "token_indices"):
        given = written.get(field) or []
        lists = given.values() if isinstance(given, Mapping) else [given]
        ids = [i for ids in lists if isinstance(ids, list) for i in ids if isinstance(i, int)]
        if wrong := [i for i in ids if not 0 <= i < highest]:
            raise InputError(
                f"{path} trains the token {wrong[0]:,} ({field}), which neither the base with "
                f"{rows:,} tokens nor the tokenizer has; {MEND}"
            )
