"""Judgements that the study asks for itself: quality and stance of every answer, what each base
answer adds to the aligned sample 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.foundation.text import clean
from veneer.judges.asker import Asker
from veneer.judges.llm import judge_items
from veneer.judges.rubrics import RUBRICS
from veneer.prompts.prompt import Prompt
from veneer.studies.diversity.answers_table import Judgements, Material, verdicts
from veneer.studies.diversity.judged import Topic

KINDS = ("quality", "stance", "novelty", "topics")


def ask_judge(
    material: Material,
    prompts: Mapping[str, Prompt],
    asker: Asker,
    kinds: Sequence[str],
    *,
    aspect: str = "helpfulness",
    progress: Progress | None = None,
) -> None:
    """Put the judge's verdicts into `material`, where no stored ones stand. prompts: by id; their
    text is what the judge reads.

    Answers are judged cleaned. Raises InputError for an unknown kind, or where the prompts
    are not at hand."""
    unknown = [k for k in kinds if k not in KINDS]
    if unknown:
        raise InputError(
            f"judges are not asked about {unknown[0]!r}; expected some of {', '.join(KINDS)}"
        )
    missing = next(
        (p for table in material.answers.values() for p in table if p not in prompts), None
    )
    if missing is not None:
        raise InputError(
            f"the text of prompt {missing!r} is not known, which a judge must read; give "
            "--prompts with the same ids"
        )
    for system, table in material.answers.items():
        if "quality" in kinds and system not in material.quality:
            material.quality[system] = _single(
                "quality", table, prompts, asker, lambda v: v[aspect], progress
            )
        if "stance" in kinds and system not in material.stance:
            material.stance[system] = _single(
                "stance", table, prompts, asker, lambda v: v["stance"], progress
            )
        if system == "aligned" or "aligned" not in material.answers:
            continue
        pair = ("aligned", system)
        if "novelty" in kinds and pair not in material.novelty:
            material.novelty[pair] = _against(
                "novelty", material, system, prompts, asker, lambda v: v["score"], progress
            )
        if "topics" in kinds and pair not in material.topics:
            material.topics[pair] = _against(
                "topics", material, system, prompts, asker, _topics, progress
            )


def _single(
    rubric: str,
    table: Mapping[str, Mapping[int, str]],
    prompts: Mapping[str, Prompt],
    asker: Asker,
    value: Callable[[Mapping[str, Any]], Any],
    progress: Progress | None,
) -> Judgements[Any]:
    fields_of = RUBRICS[rubric].fields_of
    assert fields_of is not None
    keys = [(p, s) for p, row in table.items() for s in sorted(row)]
    return _judged(
        rubric,
        keys,
        [fields_of(prompts[p], clean(table[p][s])) for p, s in keys],
        asker,
        value,
        progress,
    )


def _against(
    rubric: str,
    material: Material,
    system: str,
    prompts: Mapping[str, Prompt],
    asker: Asker,
    value: Callable[[Mapping[str, Any]], Any],
    progress: Progress | None,
) -> Judgements[Any]:
    """Each answer of `system` beside the aligned sample 0; that is the reference, or A."""
    names = ("reference", "alternative") if rubric == "novelty" else ("a", "b")
    keys, items = [], []
    for p in material.shared(system, "aligned"):
        first = material.first("aligned", p)
        for s, text in sorted(material.answers[system][p].items()) if first is not None else ():
            keys.append((p, s))
            items.append(
                {
                    "query": prompts[p].messages[-1]["content"],
                    names[0]: clean(first or ""),
                    names[1]: clean(text),
                }
            )
    return _judged(rubric, keys, items, asker, value, progress)


def _judged(
    rubric: str,
    keys: Sequence[tuple[str, int]],
    items: Sequence[Mapping[str, str]],
    asker: Asker,
    value: Callable[[Mapping[str, Any]], Any],
    progress: Progress | None,
) -> Judgements[Any]:
    judgements = judge_items(RUBRICS[rubric], items, asker, progress)
    values = {
        key: None if j.verdict is None else value(j.verdict.values)
        for key, j in zip(keys, judgements, strict=True)
    }
    failed = Counter(str(j.outcome) for j in judgements if j.verdict is None)
    return Judgements(verdicts(values), f"{RUBRICS[rubric].id}@{asker.model}", dict(failed))


def _topics(values: Mapping[str, Any]) -> list[Topic]:
    return [Topic(t["response"], t["helpfulness"]) for t in values["topics"]]
