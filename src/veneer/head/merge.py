"""Merging a veneer into its base's checkpoint."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from veneer.errors import InputError
from veneer.files import read_json
from veneer.head.veneer import Veneer
from veneer.models.language_model import LanguageModel
from veneer.models.merge import new_output_folder, save_merged


def merge_record(veneer: Veneer, base_name: str, alpha: float) -> dict[str, Any]:
    """run.json of a merged checkpoint: what a second merge into the same folder must share."""
    return {
        "command": "merge",
        "config": {"veneer": veneer.identity(), "base": base_name, "alpha": alpha},
        "unembedding": veneer.unembedding,
        "versions": {name: version(name) for name in ("veneer", "torch", "transformers", "safetensors")},
        "finished": True,
    }


def already_merged(out: str | Path, record: dict[str, Any]) -> bool:
    """Whether `out` holds the checkpoint of this very merge. Raises InputError where it holds anything else."""
    out = Path(out)
    if (out / "run.json").is_file():
        found = read_json(out / "run.json", "the record of a merge")
        if isinstance(found, dict) and found.get("config") == record["config"] and found.get("command") == "merge":
            return True
        raise InputError(f"{out} holds a run with another configuration; give another --out, or delete the folder")
    new_output_folder(out)
    return False


def merge(veneer: Veneer, base: LanguageModel, out: str | Path, *, alpha: float = 1.0, max_shard_size: str = "4GB") -> Path:
    """Write base with the head W + alpha dW as a plain Hugging Face checkpoint in `out`.

    Its generation config ends at base's end token and at the aligned model's end of turn. `base` is changed (untied). Raises InputError
    where the veneer belongs to another head or `out` is in use; a folder that holds this very merge is left as it is.
    """
    out = Path(out)
    record = merge_record(veneer, base.name, alpha)
    if already_merged(out, record):
        return out
    veneer.check_fits(base)
    if veneer.bias is not None and bool(veneer.bias.any()) and base.head.bias is None:
        raise InputError(
            f"the veneer shifts logits by a constant, but the head of {base.name} has no bias that could hold it; use the veneer as it is "
            "(veneer generate --veneer), or extract one without --output bias"
        )
    stops = [i for i in (base.tokenizer.eos_token_id, *base.stop_ids, *veneer.facts.get("stop_ids", ())) if i is not None]
    weight = veneer.apply(base.head, alpha).weight
    return save_merged(
        base, weight, out, stop_ids=stops, card=model_card(veneer, base, alpha), record=record, max_shard_size=max_shard_size
    )


def model_card(veneer: Veneer, base: LanguageModel, alpha: float) -> str:
    """The README.md of a merged checkpoint."""
    facts = veneer.facts
    found = facts.get("extraction", {})
    shape = "dense" if veneer.rank is None else f"rank {veneer.rank}"
    reads = facts.get("base_format", {"kind": "plain"})
    measure = "negative log-likelihood" if facts.get("teacher", {}).get("targets") == "one-hot" else "KL"
    lines = [
        "---",
        f"base_model: {base.name}",
        "library_name: transformers",
        "tags: [veneer, superficial-alignment]",
        "---",
        f"# {Path(base.name).name} with a veneer",
        "",
        f"The output head is W + {alpha:g} dW; every other weight is that of `{base.name}`. dW was extracted from the responses of "
        f"`{facts.get('aligned', 'an aligned model')}` by Veneer (method: arXiv 2502.04602): it carries what a change of the last step "
        "alone can carry of that model's alignment, and nothing deeper.",
        "",
        f"- veneer: {shape}, {len(veneer.changed_rows())} of {veneer.vocabulary} rows changed, unembedding {veneer.unembedding[:16]}",
        f"- prompt format: {reads}; it reads what base reads, not the aligned model's chat template",
        f"- held-out {measure} on the select part: {found.get('select_kl_base')} before, {found.get('select_kl')} after (nats a token)",
        "- `tie_word_embeddings` is false: the input embeddings are base's",
        "",
        "It refuses and pleases in style. Do not take that for safety: what the veneer does not carry, it does not have.",
        "",
    ]
    return "\n".join(lines)
