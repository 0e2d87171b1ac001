"""The stages of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from veneer.foundation.stages import Stage
from veneer.measures.stages import EXTRACT_SHARE, READING
from veneer.prompts.prompt import Prompt
from veneer.studies.audit.names import AUDITED
from veneer.studies.audit.settings import AuditSettings
from veneer.studies.audit.taught.settings import TaughtSettings


def audit_stages(
    sets: Mapping[str, Sequence[Prompt]], method: AuditSettings, taught: TaughtSettings
) -> tuple[Stage, ...]:
    """All stages; those behind the distances are left out where the model has not moved."""
    sizes = {role: len(prompts) for role, prompts in sets.items()}
    count = sum(sizes.values())
    recorded = Stage("capture", prompts=sizes, tokens=method.max_new_tokens, writes=("capture/",))
    patched = sum(min(n, method.patched_prompts) for n in sizes.values())
    answers = replace(recorded, name="answers", systems=(AUDITED,), writes=("responses/",))
    return (
        Stage("load"),
        Stage("weights", writes=("weights.jsonl",)),
        recorded,
        answers,
        Stage("distances", share=READING * 4 * count),
        *((Stage("reference text", share=READING * 2 * taught.texts),) if taught.texts else ()),
        *(
            (Stage("samples", share=len(taught.amplify) * taught.samples * taught.sample_tokens),)
            if taught.samples
            else ()
        ),
        # one extraction and one answer to its prompts for each fold
        *(
            (Stage("veneer", share=(1 + method.folds * EXTRACT_SHARE) * recorded.work),)
            if method.folds
            else ()
        ),
        *(
            (Stage("layers", share=READING * patched * (2 * method.steps + 1)),)
            if method.patched_prompts
            else ()
        ),
    )
