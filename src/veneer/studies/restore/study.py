"""Restore: put alignment back on a model that fine-tuning broke, and say what it costs
(docs/restore.md)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock
from veneer.foundation.progress import Progress
from veneer.foundation.results import Results
from veneer.foundation.run_record import RunRecord
from veneer.judges.registry import judges_of
from veneer.studies.restore.build import Maker
from veneer.studies.restore.config import RestoreConfig
from veneer.studies.restore.inputs import AtHand
from veneer.studies.restore.prompts import Roles, parts_of
from veneer.studies.restore.reattack import Examples, attack_examples
from veneer.studies.restore.rows import names
from veneer.studies.restore.work import Work
from veneer.systems.attack import need_peft

ONLY_REFUSALS = (
    "there are no harmless prompts: a veneer of refusals alone refuses whatever stands in the "
    "same template"
)


def restore(
    at_hand: AtHand,
    roles: Roles,
    out: str | Path,
    config: RestoreConfig | None = None,
    *,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Try every way on the validation part, choose alpha and rank there, measure what was chosen on
    the report part, and write the study folder (docs/restore.md). at_hand: the models, which are
    not loaded where the folder is finished already.

    Raises InputError where a way lacks what it needs, a task its prompts, or `out` was made with
    another configuration.
    """
    config, out = config or RestoreConfig(), Path(out)
    at_hand.check(config.ways)
    if "shifted" in config.ways and (
        choices := [t.name for t in roles.capability if t.kind == "choice"]
    ):
        raise InputError(
            f"{', '.join(choices)} compares likelihoods, which a shifted system does not give; "
            "leave shifted out of --ways, or take a capability that is answered in words"
        )
    safe, measured = {t.name for t in roles.safe}, {t.name for t in roles.measured()}
    learned = {t.name for t in roles.learned()}
    tasks = {t.name: t for t in (*roles.measured(), *roles.learned())}
    parts = {
        name: parts_of(
            t,
            measured=name in measured,
            safe=name in safe,
            extraction=config.train if name in learned else 0,
            validation=config.validation,
            report=config.test,
        )
        for name, t in tasks.items()
    }
    if at_hand.extracts(config.ways) and not any(parts[t.name].extraction for t in roles.harmful):
        raise InputError(
            f"{names(roles.harmful)} has no train prompts to learn refusals from; add a task that "
            "has, such as advbench, or use the ways head and shifted with a veneer that is there"
        )
    examples = again(config, at_hand)
    _, missing = judges_of(roles.measured(), config.judges)
    with folder_lock(out):
        record = RunRecord(
            out, "restore", {**(said or {}), "tasks": _facts(roles), "settings": config.facts()}
        )
        if record.finished:
            return Results.read(out / "results.jsonl")
        if at_hand.extracts(config.ways) and not roles.harmless:
            logging.getLogger("veneer").warning("veneer: %s", ONLY_REFUSALS)
        for name, why in missing.items():
            logging.getLogger("veneer").warning("veneer: the judge %s is left out: %s", name, why)
        with record.stage("load"):
            models = at_hand.load(config.ways).dated(record.day)
            prompts = [p for t in roles.learned() for p in parts[t.name].extraction]
            maker = Maker(models, prompts, out, config, record, progress)
            maker.check(config.ways)
        record.note(
            models=models.facts(),
            data={n: t.source() for n, t in tasks.items()},
            judges_missing=missing,
            seeds={"study": config.seed},
        )
        work = Work(models, maker, roles, parts, out, config, record, progress, examples)
        work.validate()
        work.report()
        work.attack_again()
        return work.finish()


def again(config: RestoreConfig, at_hand: AtHand) -> Examples:
    """What a repeated attack learns from; nothing where none is asked for. Raises InputError where
    there is nothing to attack."""
    if config.reattack is None:
        return ()
    if not any(w == "head" or w.startswith("own") for w in config.ways):
        raise InputError(
            "only a restored checkpoint can be fine-tuned again, and none of the ways makes one; "
            "add head or own to --ways"
        )
    need_peft()
    return attack_examples(config.reattack, data=at_hand.data)


def _facts(roles: Roles) -> dict[str, list[str]]:
    return {
        role: [t.name for t in getattr(roles, role)]
        for role in ("harmful", "safe", "capability", "harmless")
    }
