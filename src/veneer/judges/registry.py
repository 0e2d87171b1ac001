"""Judges by name, those of this package and of installed packages; and the judges of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.registry import Registry
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.tasks.task import Task

# A judge class, or a function that returns a judge; both take the settings of all judges.
JudgeFactory = Callable[[JudgeConfig], Judge]

JUDGES: Registry[JudgeFactory] = Registry(
    "judge",
    "veneer.judges",
    {
        "refusal": "veneer.judges.refusal.rates:RefusalRates",
        "toxicity": "veneer.judges.toxicity.judge:toxicity_judge",
        "harm": "veneer.judges.llm:HARM",
        "strongreject": "veneer.judges.llm:STRONGREJECT",
        "truth": "veneer.judges.llm:TRUTH",
        "quality": "veneer.judges.llm:QUALITY",
        "stance": "veneer.judges.llm:STANCE",
        "wildguard": "veneer.judges.guards.judge:WILDGUARD",
        "harmbench": "veneer.judges.guards.judge:HARMBENCH",
        "harmbench-mistral": "veneer.judges.guards.judge:HARMBENCH_MISTRAL",
        "llama-guard": "veneer.judges.guards.judge:LLAMA_GUARD",
        "strongreject-finetuned": "veneer.judges.guards.judge:STRONGREJECT_FINETUNED",
    },
)
MEMBERS = ("name", "id", "metrics", "note", "scores")  # what every judge has


def judge(name: str) -> Callable[[Any], Any]:
    """Return a decorator that registers a judge under `name` (docs/extending.md).

    It stands above a class whose constructor takes a `JudgeConfig`, or above a function that
    returns a judge. Raises InputError where another judge has the name.
    """
    return JUDGES.register(name)


def get_judge(name: str, config: JudgeConfig) -> Judge:
    """Build the judge `name`.

    Raises InputError for an unknown name, where the judge needs a model and `config` names none,
    and for a judge of another package that is no judge of that name; MissingExtra where a package
    is missing.
    """
    built = JUDGES.get(name)(config)
    lacking = [member for member in MEMBERS if not hasattr(built, member)]
    if lacking or built.name != name:
        what = f"an object without {', '.join(lacking)}" if lacking else f"a judge {built.name!r}"
        raise InputError(
            f"the judge {name!r} gives {what}; expected a veneer.Judge whose name is {name!r}"
        )
    return built


def refuse_unread(names: Iterable[str], config: JudgeConfig) -> None:
    """Raise SettingError for a setting that none of these judges reads. A judge of another package
    may read every setting."""
    from veneer.judges.guards.published import GUARDS
    from veneer.judges.rubrics import RUBRICS

    chosen = set(names)
    if chosen <= set(JUDGES.built_in):
        asks = bool(chosen & set(RUBRICS))
        config.refuse_unread(
            asks=asks or bool(chosen & set(GUARDS)),
            keeps=asks and config.names_model,
            toxicity="toxicity" in chosen,
        )


def check_judges(tasks: Sequence[Task], config: JudgeConfig) -> None:
    """Raise InputError where a task would be left without any of its headlines, and for a setting
    that no task's judge reads."""
    judges_of(tasks, config)
    refuse_unread((n for t in tasks for n in t.judges if n not in t.own_judges), config)


def judges_of(
    tasks: Iterable[Task], config: JudgeConfig
) -> tuple[dict[str, list[Judge]], dict[str, str]]:
    """Return task -> its available judges, and judge that is not available -> the reason.

    Raises InputError where a task would be left without any of its headlines.
    """
    built: dict[str, Judge] = {}
    missing: dict[str, str] = {}
    chosen: dict[str, list[Judge]] = {}
    for task in tasks:
        for name in dict.fromkeys(("refusal", *task.judges)):
            if name in task.own_judges or name in built or name in missing:
                continue
            try:
                built[name] = get_judge(name, config)
            except (InputError, MissingExtra) as error:
                missing[name] = str(error)
        own = {**built, **task.own_judges}  # two tasks may bring judges of one name
        chosen[task.name] = [own[n] for n in dict.fromkeys(("refusal", *task.judges)) if n in own]
        for metric, name in task.headline_judges.items():
            if name in own and metric not in own[name].metrics and metric not in task.combined:
                raise InputError(
                    f"{task.name}: the judge {name} has no metric {metric!r}; expected one "
                    f"of {', '.join(own[name].metrics)}"
                )
        without = [n for n in task.judges if n in missing]
        if without and not any(_can_compute(task, metric, without) for metric in task.headlines):
            raise InputError(
                f"{task.name} cannot be scored without its judge: {missing[without[0]]}"
            )
    return chosen, missing


def _can_compute(task: Task, metric: str, missing: Sequence[str]) -> bool:
    """Return whether no missing judge decides the headline `metric`."""
    return task.headline_judges.get(metric, "") not in missing
