"""The plan of a dry run, as text or JSON on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from veneer.foundation.dry_run import Plan
from veneer.foundation.stages import Stage
from veneer.terminal.output import print_json

STATES = {
    "new": "new",
    "interrupted": "holds an interrupted run, which resumes",
    "finished": "is finished: the same command reads it and changes nothing",
}
UNCHECKED = {
    "weights": "the models' numbers were not read: whether they are whole, whether the head gives "
    "the model's own logits, and whether a veneer belongs to its base shows when they load",
    "lengths": "whether each prompt fits the models' context shows when the run begins",
    "endpoint": "the endpoint was not asked anything",
}


def show_plan(plan: Plan, *, as_json: bool = False) -> None:
    """Print the plan."""
    if as_json:
        print_json(to_json(plan))
    else:
        print("\n".join(_lines(plan)))


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON, with each stage's number of answers and of new tokens at most."""
    stages = [
        {**asdict(stage), "answers": stage.answers, "new_tokens": stage.new_tokens}
        for stage in plan.stages
    ]
    for stage in stages:
        for what in ("also", "likely", "reading", "weight", "share", "unknown"):
            del stage[what]
    return {**asdict(plan), "stages": stages}


def _lines(plan: Plan) -> Iterator[str]:
    yield f"dry run of veneer {plan.command}: nothing was written"
    yield ""
    yield f"{plan.out}: {STATES[plan.state]}"
    if plan.seconds:
        yield f"  began: {', '.join(f'{name} {s:.0f} s' for name, s in plan.seconds.items())}"
    for what, count in plan.kept.items():
        yield f"  {count:,} {what}"
    if plan.state == "finished":
        return
    if plan.models:
        yield "\nmodels"
        for model in plan.models:
            yield (
                f"  {model['name']}: {model['architecture']}, {_rounded(model['parameters'])} "
                f"parameters, {_rounded(model['bytes'])}B"
            )
    if plan.stages:
        yield "\nstages"
        for number, stage in enumerate(plan.stages, 1):
            yield f"  {number} {stage.name}"
            yield from (f"      {line}" for line in _work(stage))
    if plan.costs:
        yield ""
        yield from (f"{what:<16} {text}" for what, text in plan.costs.items())
    if plan.writes:
        yield "\nwrites"
        yield f"  {', '.join(plan.writes)}"
    if plan.unchecked:
        yield "\nnot checked"
        yield from (f"  {UNCHECKED[what]}" for what in plan.unchecked)


def _work(stage: Stage) -> Iterator[str]:
    """The prompts, systems and tokens of a stage that has any."""
    if not stage.answers:
        return
    yield f"prompts: {', '.join(f'{task} {count:,}' for task, count in stage.prompts.items())}"
    if stage.systems:
        yield f"systems: {', '.join(stage.systems)}"
    samples = f", {stage.samples} for each prompt and system" if stage.samples > 1 else ""
    tokens = f", {stage.new_tokens:,} new tokens at most" if stage.new_tokens else ""
    yield f"{stage.answers:,} answers{samples}{tokens}"


def _rounded(number: float) -> str:
    """A number with three digits and its unit: 134 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} "
