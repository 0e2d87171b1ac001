"""The answers that a restoration's page shows side by side, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from veneer.measures.answer_tokens import ShownAnswer, TokenReader, text_row, token_rows
from veneer.measures.answers import headline_scores
from veneer.measures.shown_prompts import ShownPrompts, choose_prompts
from veneer.models.vocabulary import match_vocabularies
from veneer.studies.restore.evaluation import SplitEvaluation, SystemScores
from veneer.studies.restore.inputs import RestoreModels
from veneer.systems.speculative import Local
from veneer.tasks.task import Task

ALIGNED, COMPROMISED = "aligned", "compromised"


def shown_prompts(evaluation: SplitEvaluation, scores: Mapping[str, SystemScores]) -> ShownPrompts:
    """The choice: by refusals on the harmful and the safe tasks, by the headline on the others.
    scores: of every system, by its name."""
    refusals = {t.name for t in (*evaluation.roles.harmful, *evaluation.roles.safe)}
    metrics = {
        t.name: "refusal_rate" if t.name in refusals else t.headline for t in _answered(evaluation)
    }
    return choose_prompts(
        {
            task: [s.scored[task].values[metric] for s in scores.values()]
            for task, metric in metrics.items()
        }
    )


def shown_rows(
    evaluation: SplitEvaluation,
    models: RestoreModels,
    systems: Sequence[Local],
    scores: Mapping[str, SystemScores],
    chosen: ShownPrompts,
) -> Iterator[dict[str, Any]]:
    """Rows of tokens.jsonl, prompt by prompt: the broken model, each method, the aligned model. The
    KL goes from the aligned model, or without one from the broken model."""
    in_order = sorted(systems, key=lambda s: (s.name == ALIGNED, s.name != COMPROMISED))
    answers = list(_shown_answers(evaluation, [s.name for s in in_order], scores, chosen))
    if len(in_order) < 2:
        yield from map(text_row, answers)
        return
    aligned = models.aligned
    other = None if aligned is None else (aligned, match_vocabularies(models.compromised, aligned))
    yardstick = COMPROMISED if aligned is None else ALIGNED
    by_name = {s.name: s for s in in_order}
    reader = TokenReader(by_name, yardstick, models.compromised, other, frozenset({ALIGNED}))
    yield from token_rows(reader, answers, evaluation.progress)


def _answered(evaluation: SplitEvaluation) -> list[Task]:
    """The measured tasks that are answered in words."""
    return [t for t in evaluation.roles.measured() if t.kind == "generate"]


def _shown_answers(
    evaluation: SplitEvaluation,
    names: Sequence[str],
    scores: Mapping[str, SystemScores],
    chosen: ShownPrompts,
) -> Iterator[ShownAnswer]:
    tasks = {t.name: t for t in _answered(evaluation)}
    verdicts = {
        (task, name): headline_scores(
            tasks[task], evaluation.prompts[task], scores[name].scored[task]
        )
        for task in {task for task, _ in chosen.keys}
        for name in names
    }
    for task, place in chosen.keys:
        prompt = evaluation.prompts[task][place]
        for name in names:
            response = next(r for r in scores[name].answers[task] if r.prompt_id == prompt.id)
            yield ShownAnswer(prompt, response, verdicts[task, name][prompt.id])
