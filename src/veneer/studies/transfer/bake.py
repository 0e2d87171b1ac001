"""Baking: a shift that a small model gives at decoding, learned by the large model's own head.

The large base's hidden states on the shifted system's responses are captured with the shifted
system's distributions, and a veneer of the large model is extracted from that. Merged
(head/merge.py), it decodes at the large base's speed. The published method stops at the shifted
system; this step is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.run import capture_from
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement, Results
from veneer.head.config import ExtractConfig
from veneer.head.events import solver_progress
from veneer.head.extract import split_of
from veneer.head.veneer import Veneer
from veneer.measures.extraction import extract_to
from veneer.measures.held_out import held_out
from veneer.measures.kl import early_share_rows, kl_rows, noise_rows, position_rows
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt
from veneer.studies.transfer.words import teacher_note
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.shifted_teacher import ShiftedTeacher


def bake(
    large: LanguageModel,
    shifted: ShiftedSystem,
    prompts: Sequence[Prompt],
    out: str | Path,
    *,
    config: CaptureConfig | None = None,
    extract: ExtractConfig | None = None,
    progress: Progress | None = None,
) -> Veneer:
    """The large model's own veneer that does what `shifted` does to it.

    Its facts name the small model's veneer and the alpha schedule (`teacher`), the format that the
    large model reads, and the shifted system's stop ids, so that what is baked stops where that
    does. `out` gets `capture/`, the veneer itself (veneer.json, veneer.safetensors, extract.log)
    and results.jsonl: the rows of `bake_rows`. An interrupted call resumes; a finished one changes
    nothing. Raises InputError where `large` is not the model that is shifted, or `out` holds
    something else.
    """
    out, extract = Path(out), extract or ExtractConfig()
    if shifted.large is not large and shifted.large.fingerprint() != large.fingerprint():
        raise InputError(
            f"{shifted.name} shifts {shifted.large.name}, but a veneer of {large.name} was to be "
            "baked; give the model that is shifted"
        )
    recorded = capture_from(
        large,
        ShiftedTeacher(shifted),
        prompts,
        out / "capture",
        config,
        base_format=shifted.format,
        progress=progress,
    )
    veneer = extract_to(recorded, extract, out, device=large.device, log=solver_progress(progress))
    wanted = {
        "config": json.loads(json.dumps(extract.facts())),
        "capture": recorded.manifest["prompts_sha256"],
    }
    if {
        "config": veneer.facts.get("config"),
        "capture": veneer.facts.get("capture", {}).get("prompts_sha256"),
    } != wanted:
        raise InputError(
            f"{out} holds a veneer that was extracted in another way; give another folder, "
            "or delete it"
        )
    if not (out / "results.jsonl").is_file():
        Results(bake_rows(recorded, veneer, extract)).write(out / "results.jsonl")
    return veneer


def bake_rows(
    capture: Capture, veneer: Veneer, extract: ExtractConfig | None = None, *, name: str = "baked"
) -> Iterator[Measurement]:
    """KL(shifted || large base) and KL(shifted || baked) on the capture's report prompts, jointly
    and by task, what baking recovers, the same by position, and the shifted system's noise floor:
    study "extract" and "position", systems "base" and `name`."""
    extract = extract or ExtractConfig()
    table = held_out(capture, veneer, split_of(capture, extract.seed, extract.tasks).report)
    tasks = sorted(set(table.task.values()))
    facts = {"teacher": capture.manifest["aligned"]["name"]}
    rows: list[Measurement] = []
    for task in ("joint", *(tasks if len(tasks) > 1 else ())):
        rows += kl_rows(table, task=task, system=name, seed=extract.seed)
        rows += position_rows(table, task=task, system=name, seed=extract.seed)
    rows += early_share_rows(table, tasks if len(tasks) > 1 else (), seed=extract.seed)
    rows += early_share_rows(table, tasks if len(tasks) > 1 else (), system=name, seed=extract.seed)
    rows += noise_rows(capture, study="extract")
    for row in rows:
        note = "; ".join(filter(None, (row.note, teacher_note(facts))))
        yield replace(row, note=note, facts={**(row.facts or {}), **facts})
