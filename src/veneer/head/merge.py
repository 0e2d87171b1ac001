"""Merging a veneer into its base's checkpoint."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.foundation.results import Results
from veneer.head.card import model_card
from veneer.head.recorded import chosen_format, fitted_formats, warn_of_formats
from veneer.head.veneer import Veneer
from veneer.hub import local_place
from veneer.models.checkpoint.fitted_template import fitted_template
from veneer.models.checkpoint.merge import new_output_folder, save_merged
from veneer.models.checkpoint.tokenizer_files import write_chat_template
from veneer.models.formats import Format, PlainFormat, given_format
from veneer.models.language_model import LanguageModel, check_model
from veneer.models.on_disk import NOTE, changed, contents
from veneer.prompts.prompt import Prompt


def merge_record(
    veneer: Veneer,
    base_name: str,
    alpha: float,
    template: str | None = None,
    form: Format | None = None,
) -> dict[str, Any]:
    """run.json of a merged checkpoint: the settings that a second merge into the same folder must
    share, and the format that it serves.

    template: a person's choice among several (see `merge_format`). form: that format,
    if known.
    """
    chosen = {} if template is None else {"template": template}
    return {
        "command": "merge",
        "config": {"veneer": veneer.identity(), "base": base_name, "alpha": alpha, **chosen},
        **({} if form is None else {"base_format": form.facts()}),
        "unembedding": veneer.unembedding,
        NOTE: dict(contents(base_name)),
        "versions": {
            name: version(name) for name in ("veneer", "torch", "transformers", "safetensors")
        },
        "finished": True,
    }


def already_merged(out: str | Path, record: dict[str, Any]) -> bool:
    """Whether `out` holds the checkpoint of this very merge. Raises InputError where it
    holds anything else."""
    out = Path(out)
    if (out / "run.json").is_file():
        existing = read_json(out / "run.json", "the record of a merge")
        if (
            isinstance(existing, dict)
            and existing.get("config") == record["config"]
            and existing.get("command") == "merge"
        ):
            if names := changed(existing.get(NOTE), record[NOTE]):
                raise InputError(
                    f"{out} was merged from other contents of {', '.join(names)}, which changed "
                    "since; give another --out, or delete the folder"
                )
            return True
        raise InputError(
            f"{out} holds a run with another configuration; give another --out, or delete "
            "the folder"
        )
    new_output_folder(out)
    return False


def merge_format(veneer: Veneer, template: str | None = None) -> Format | None:
    """The format that a merged checkpoint serves: `template` (a text with {prompt}, or a name),
    otherwise the one that the veneer recorded; None where it recorded none (version 0.1.0). Raises
    InputError where it recorded several."""
    fitted = fitted_formats(veneer.facts)
    if template is None:
        return chosen_format(veneer.facts) if veneer.facts.get("templates") else None
    form = given_format(template)
    warn_of_formats("the merged model", form, fitted, [Prompt.from_text("any", "text")])
    return form


def merged_facts(model: str) -> dict[str, Any]:
    """What the run.json of a merged checkpoint records of the format that it serves; empty for
    any other model."""
    path = local_place(model) / "run.json"
    existing = read_json(path, "the record of a merge") if path.is_file() else {}
    record = existing if isinstance(existing, dict) and existing.get("command") == "merge" else {}
    return (
        {"base_format": record["base_format"]}
        if isinstance(record.get("base_format"), dict)
        else {}
    )


def merge(
    veneer: Veneer | str | Path,
    base: LanguageModel,
    out: str | Path,
    *,
    alpha: float = 1.0,
    max_shard_size: str = "4GB",
    template: str | None = None,
    results: Results | None = None,
) -> Path:
    """Write base with the head W + alpha dW as a plain Hugging Face checkpoint in `out`.

    veneer: an object, or its folder.
    Its chat template renders the format that the veneer was fitted behind, or `template` (see
    `merge_format`). Its generation config ends at base's end token and at the aligned model's end
    of turn. `base` is changed (untied). results: figures for the model card (see `results_of`).
    Raises InputError where the veneer belongs to another head or was fitted behind several
    templates, base's weights are quantised, or `out` is in use, and VeneerError where the
    checkpoint does not read back; a folder that holds this very merge is left as it is.
    """
    out, veneer = Path(out), Veneer.of(veneer)
    check_model(base)
    form = merge_format(veneer, template)
    record = merge_record(veneer, base.name, alpha, template, form)
    if already_merged(out, record):
        return out
    veneer.check_fits(base)
    stops = [
        i
        for i in (base.tokenizer.eos_token_id, *base.stop_ids, *veneer.facts.get("stop_ids", ()))
        if i is not None
    ]
    text = fitted_template(base.tokenizer, form) if isinstance(form, PlainFormat) else None
    return save_merged(
        base,
        veneer.apply(base.head, alpha),
        out,
        stop_ids=stops,
        card=model_card(veneer, base, alpha, results, form=form, rendered=text is not None),
        record=record,
        max_shard_size=max_shard_size,
        finish=(lambda folder: write_chat_template(folder, text))
        if isinstance(form, PlainFormat)
        else None,
    )


def results_of(folder: str | Path) -> Results | None:
    """The figures that were measured with the veneer in `folder`: those beside it (`veneer
    extract`), or those of the study whose joint veneer it is (`veneer run`); None without any."""
    folder = local_place(folder)
    places = [folder, *([folder.parent] if folder.name == "veneer" else [])]
    return next(
        (Results.read(p / "results.jsonl") for p in places if (p / "results.jsonl").is_file()), None
    )
