"""Merging a veneer into its base's checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from veneer.errors import InputError
from veneer.files import read_json
from veneer.head.recorded import chosen_format, fitted_formats, listed, warn_of_formats
from veneer.head.veneer import Veneer
from veneer.models.fitted_template import fitted_template, write_chat_template
from veneer.models.formats import Format, PlainFormat, given_format
from veneer.models.language_model import LanguageModel
from veneer.models.merge import new_output_folder, save_merged
from veneer.prompts import Prompt


def merge_record(
    veneer: Veneer, base_name: str, alpha: float, template: str | None = None, form: Format | None = None
) -> dict[str, Any]:
    """run.json of a merged checkpoint: what a second merge into the same folder must share, and the format that it serves.

    template: a person's choice among several (see `merge_format`). form: that format, where it is known.
    """
    chosen = {} if template is None else {"template": template}
    return {
        "command": "merge",
        "config": {"veneer": veneer.identity(), "base": base_name, "alpha": alpha, **chosen},
        **({} if form is None else {"base_format": form.facts()}),
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


def merge_format(veneer: Veneer, template: str | None = None) -> Format | None:
    """The format that a merged checkpoint serves: `template` (a text with {prompt}, or a name), otherwise the one that the veneer
    recorded; None where it recorded none (version 0.1.0). Raises InputError where it recorded several."""
    fitted = fitted_formats(veneer.facts)
    if template is None:
        return chosen_format(veneer.facts) if veneer.facts.get("templates") else None
    form = given_format(template)
    warn_of_formats("the merged model", form, fitted, [Prompt.from_text("any", "text")])
    return form


def merged_facts(model: str) -> dict[str, Any]:
    """What the run.json of a merged checkpoint records of the format that it serves; empty for any other model."""
    path = Path(model) / "run.json"
    found = read_json(path, "the record of a merge") if path.is_file() else {}
    record = found if isinstance(found, dict) and found.get("command") == "merge" else {}
    return {"base_format": record["base_format"]} if isinstance(record.get("base_format"), dict) else {}


def merge(
    veneer: Veneer,
    base: LanguageModel,
    out: str | Path,
    *,
    alpha: float = 1.0,
    max_shard_size: str = "4GB",
    template: str | None = None,
) -> Path:
    """Write base with the head W + alpha dW as a plain Hugging Face checkpoint in `out`.

    Its chat template renders the format that the veneer was fitted behind, or `template` (see `merge_format`). Its generation config
    ends at base's end token and at the aligned model's end of turn. `base` is changed (untied). Raises InputError where the veneer
    belongs to another head or was fitted behind several templates, or where `out` is in use; a folder that holds this very merge is
    left as it is.
    """
    out = Path(out)
    form = merge_format(veneer, template)
    record = merge_record(veneer, base.name, alpha, template, form)
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
        base, weight, out, stop_ids=stops, card=model_card(veneer, base, alpha, form), record=record, max_shard_size=max_shard_size,
        finish=_chat_template(base, form) if isinstance(form, PlainFormat) else None,
    )  # fmt: skip


def _chat_template(base: LanguageModel, form: PlainFormat) -> Callable[[Path], None]:
    """What gives the checkpoint's tokenizer the chat template of the format that it serves."""
    text = fitted_template(base.tokenizer, form)
    return lambda folder: write_chat_template(folder, text)


def _prompting(veneer: Veneer, form: Format | None) -> list[str]:
    """The card's lines on what the checkpoint reads. form: None where the veneer recorded no template."""
    if not isinstance(form, PlainFormat):
        reads = veneer.facts.get("base_format", {"kind": "plain"})
        return [f"- prompt format: {reads}; it reads what base reads, not the aligned model's chat template"]
    fitted = listed(veneer.facts)
    return [
        f"- prompt format: the chat template renders the format that the veneer was fitted behind ({fitted or 'not recorded'}), "
        "which as plain text is:",
        "",
        *(f"      {line}" for line in form.template.split("\n")),
        "",
    ]


def model_card(veneer: Veneer, base: LanguageModel, alpha: float, form: Format | None = None) -> str:
    """The README.md of a merged checkpoint. form: what it reads."""
    facts = veneer.facts
    found = facts.get("extraction", {})
    shape = "dense" if veneer.rank is None else f"rank {veneer.rank}"
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
        *_prompting(veneer, form),
        f"- held-out {measure} on the select part: {found.get('select_kl_base')} before, {found.get('select_kl')} after (nats a token)",
        "- `tie_word_embeddings` is false: the input embeddings are base's",
        "",
        "It refuses and pleases in style. Do not take that for safety: what the veneer does not carry, it does not have.",
        "",
    ]
    return "\n".join(lines)
