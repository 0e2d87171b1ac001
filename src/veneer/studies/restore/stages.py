"""The stages of a restoration."""

from __future__ import annotations

from collections.abc import Mapping

from veneer.foundation.stages import Stage
from veneer.studies.restore.inputs import Roles
from veneer.studies.restore.prompt_splits import TaskSplits
from veneer.studies.restore.settings import RestoreSettings


def restore_stages(
    roles: Roles, splits: Mapping[str, TaskSplits], method: RestoreSettings, with_aligned: bool
) -> tuple[Stage, ...]:
    """with_aligned: whether the aligned model is among the references."""
    measured = roles.measured()
    validation = {t.name: len(splits[t.name].validation) for t in measured}
    report = {t.name: len(splits[t.name].report) for t in measured}
    short = {t.name: min(t.max_new_tokens, method.validation_tokens) for t in measured}
    long = {t.name: min(t.max_new_tokens, method.max_new_tokens) for t in measured}
    references = ("compromised", "aligned") if with_aligned else ("compromised",)
    tried = tuple(name for m in method.methods for name in _candidates(m, method))
    return (
        Stage("load"),
        Stage(
            "validation references",
            prompts=validation,
            systems=references,
            tokens=short,
            writes=("validation/",),
        ),
        Stage("choose", also=("make",), prompts=validation, systems=tried, tokens=short),
        Stage(
            "report references",
            prompts=report,
            systems=references,
            tokens=long,
            writes=("responses/",),
        ),
        Stage("answer", prompts=report, systems=method.methods, tokens=long),
        Stage("discernment"),
        *((Stage("reattack", unknown=True, writes=("reattack/",)),) if method.reattack else ()),
        *((Stage("merge", writes=("restored-METHOD/",)),) if method.merge else ()),
    )


def _candidates(name: str, method: RestoreSettings) -> list[str]:
    """The candidates that a method tries on the validation part."""
    alphas = [f"{name} alpha {alpha}" for alpha in method.alphas_of(name)]
    if name in ("shifted", "urial"):
        return alphas or [name]
    return [*alphas, *(f"{name} rank {rank}" for rank in dict.fromkeys(method.ranks))]
