"""A restored model as a plain checkpoint."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

from veneer.foundation.files import read_json
from veneer.head.card import PAPER, front_matter, shown, shown_name
from veneer.head.veneer import Veneer
from veneer.models.checkpoint.merge import save_merged
from veneer.models.language_model import LanguageModel
from veneer.studies.restore.methods import Candidate
from veneer.systems.system import System


def merge_restored(
    chosen: Candidate, lm: LanguageModel, out: Path, *, verdict: str, aligned: str
) -> Path:
    """Write the compromised model `lm` with the restored head as a Hugging Face checkpoint that
    needs no Veneer: its own tokenizer and chat template, end tokens of both models, untied
    embeddings. An existing checkpoint of the same settings is kept; `lm` is changed (untied)."""
    system, veneer = chosen.system, chosen.veneer
    assert (
        isinstance(system, System)
        and system.head is not None
        and veneer is not None
        and chosen.alpha is not None
    )
    config = {
        "veneer": veneer.identity(),
        "compromised": lm.name,
        "alpha": str(chosen.alpha),
        "rank": chosen.rank,
    }
    record = {
        "command": "restore --merge",
        "config": config,
        "versions": {
            name: version(name) for name in ("veneer", "torch", "transformers", "safetensors")
        },
        "finished": True,
    }
    path = out / "run.json"
    if path.is_file() and read_json(path, "the record of a merge").get("config") == config:
        return out
    return save_merged(
        lm,
        system.head,
        out,
        stop_ids=system.stop_ids,
        card=card(chosen, veneer, lm, verdict, aligned),
        record=record,
    )


def card(chosen: Candidate, veneer: Veneer, lm: LanguageModel, verdict: str, aligned: str) -> str:
    """The README.md of a restored checkpoint."""
    identity = hashlib.sha256(veneer.identity().encode()).hexdigest()[:16]
    name, teacher = shown_name(lm), shown(aligned)
    lines = [
        *front_matter(lm, ("veneer", "restored")),
        f"# {name}, restored ({chosen.method})",
        "",
        f"The output head is W + {chosen.alpha} dW; every other weight is that of `{name}`. dW "
        f"carries what a change of the last step alone can carry of the alignment of `{teacher}` "
        f"(Veneer; method: {PAPER}).",
        "",
        (
            f"- dW: {'dense' if chosen.rank is None else f'rank {chosen.rank}'}, "
            f"{len(veneer.changed_rows())} rows, {identity}"
        ),
        "- it reads its own chat template; `tie_word_embeddings` is false",
        f"- measured: {verdict}",
        "",
        (
            "What fine-tuning taught is still there behind the head, and the same fine-tuning may "
            "undo the change again."
        ),
        "",
    ]
    return "\n".join(lines)
