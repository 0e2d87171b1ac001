"""Judges by name, and which of those that a task asks for are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from veneer.foundation.errors import InputError, MissingExtra
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Judge
from veneer.judges.llm import llm_judge
from veneer.judges.refusal.rates import RefusalRates
from veneer.judges.toxicity.judge import toxicity_judge
from veneer.tasks.task import Task

_MAKERS: dict[str, Callable[[JudgeConfig], Judge]] = {
    "refusal": lambda config: RefusalRates(),
    "toxicity": lambda config: toxicity_judge(config),
    "harm": lambda config: llm_judge("harm", config),
    "strongreject": lambda config: llm_judge("strongreject", config),
    "truth": lambda config: llm_judge("truth", config),
    "quality": lambda config: llm_judge("quality", config),
    "stance": lambda config: llm_judge("stance", config),
}
JUDGE_NAMES = tuple(_MAKERS)


def get_judge(name: str, config: JudgeConfig) -> Judge:
    """The judge `name`. Raises InputError for an unknown name or where the judge has no model to
    ask, MissingExtra where a package is missing; both say what to mend."""
    if name not in _MAKERS:
        raise InputError(f"there is no judge {name!r}; expected one of {', '.join(JUDGE_NAMES)}")
    return _MAKERS[name](config)


def judges_of(
    tasks: Iterable[Task], config: JudgeConfig
) -> tuple[dict[str, list[Judge]], dict[str, str]]:
    """task -> its judges that are at hand; judge -> why it is not.

    Raises InputError where a task would be left without any of its headlines.
    """
    made: dict[str, Judge] = {}
    missing: dict[str, str] = {}
    chosen: dict[str, list[Judge]] = {}
    for task in tasks:
        for name in dict.fromkeys(("refusal", *task.judges)):
            if name in made or name in missing:
                continue
            try:
                made[name] = get_judge(name, config)
            except (InputError, MissingExtra) as error:
                missing[name] = str(error)
        chosen[task.name] = [made[n] for n in dict.fromkeys(("refusal", *task.judges)) if n in made]
        for metric, name in task.headline_judges.items():
            if name in made and metric not in made[name].metrics and metric not in task.combined:
                known = ", ".join(made[name].metrics)
                raise InputError(
                    f"{task.name}: the judge {name} has no metric {metric!r}; expected one "
                    f"of {known}"
                )
        without = [n for n in task.judges if n in missing]
        if without and not any(_at_hand(task, metric, without) for metric in task.headlines):
            raise InputError(
                f"{task.name} cannot be scored without its judge: {missing[without[0]]}"
            )
    return chosen, missing


def _at_hand(task: Task, metric: str, missing: Sequence[str]) -> bool:
    """Whether a headline can be computed: `headline_judges` says whose verdict it is."""
    return task.headline_judges.get(metric, "") not in missing
