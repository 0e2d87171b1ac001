"""A language model as judge: ask a rubric's question about each item and read the JSON reply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from veneer.endpoint import ChatRequest, Reply, Usage
from veneer.foundation.progress import Progress
from veneer.judges.asker import Asker, asker_of
from veneer.judges.config import JudgeConfig
from veneer.judges.judge import Scores
from veneer.judges.rubrics import RUBRICS, Rubric, RubricVerdict, Unreadable
from veneer.prompts.prompt import Prompt


class Outcome(StrEnum):
    """How a judgement ended. Only the first two have a verdict."""

    JUDGED = "judged"
    RULE = "rule"  # decided without asking (an empty answer)
    UNPARSABLE = "unparsable"  # a reply that is no verdict
    TRUNCATED = "truncated"  # a reply that ended at the token limit, or within its reasoning
    REFUSED = "refused"  # the judge, or its endpoint, will not judge this
    TOO_LONG = "too-long"  # the question does not fit the judge's context
    FAILED = "failed"  # no reply: the same command asks again


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judgement. verdict: None unless the outcome is judged or rule. reply: the judge's own
    words, untrusted. why: the reason why there is no verdict."""

    outcome: Outcome
    verdict: RubricVerdict | None = None
    reply: str = ""
    why: str = ""


def judge_items(
    rubric: Rubric,
    items: Sequence[Mapping[str, str]],
    asker: Asker,
    progress: Progress | None = None,
) -> list[Judgement]:
    """Return one judgement per item (`rubric.fields` -> text), in their order.

    Each item is sent once, at temperature 0. An unreadable reply stays without a verdict and is not
    repeated, because a second draw would turn the unreadable share into an unknown mixture; no
    other model takes its place. Raises VeneerError where the judge cannot be reached; a cache keeps
    the replies that came.
    """
    ruled = [rubric.by_rule(item) for item in items]
    requests = [
        request(rubric, item) for item, rule in zip(items, ruled, strict=True) if rule is None
    ]
    replies = iter(asker.ask(requests, progress, f"judging: {rubric.name}") if requests else ())
    return [
        read(rubric, next(replies))
        if rule is None
        else Judgement(Outcome.RULE, RubricVerdict(rule))
        for rule in ruled
    ]


def ask(
    rubric: Rubric | str,
    items: Sequence[Mapping[str, str]],
    config: JudgeConfig,
    progress: Progress | None = None,
) -> list[RubricVerdict | None]:
    """Return the verdicts on items, None where there is none. The form of `judge_items` that takes
    names."""
    chosen = RUBRICS[rubric] if isinstance(rubric, str) else rubric
    return [j.verdict for j in judge_items(chosen, items, asker_of(config), progress)]


def request(rubric: Rubric, item: Mapping[str, str]) -> ChatRequest:
    """Return the request that asks the rubric's question about an item."""
    parameters = {
        "temperature": 0,
        "max_tokens": rubric.max_tokens,
        "response_format": rubric.response_format(),
    }
    return ChatRequest(rubric.messages(**item), parameters)


def read(rubric: Rubric, reply: Reply) -> Judgement:
    """Return the judgement in a reply."""
    if reply.finish_reason == "content_filter" or reply.refusal:
        return Judgement(
            Outcome.REFUSED, None, reply.refusal or reply.text, reply.error or "the judge declined"
        )
    if reply.error is not None:
        return Judgement(
            Outcome.TOO_LONG if reply.finish_reason == "too_long" else Outcome.FAILED,
            None,
            "",
            reply.error,
        )
    try:
        return Judgement(Outcome.JUDGED, rubric.parse(reply.text), reply.text)
    except Unreadable as error:
        cut = reply.finish_reason == "length" or reply.unfinished
        outcome = Outcome.TRUNCATED if cut else Outcome.UNPARSABLE
        return Judgement(outcome, None, reply.text, str(error))


class LLMJudge:
    """A rubric and a judge model, behind the interface of judges. counts: outcome -> number of
    judgements so far."""

    def __init__(self, rubric: Rubric, asker: Asker):
        if rubric.scores is None or rubric.fields_of is None:
            raise TypeError(
                f"{rubric.name} compares texts and scores no single answer; use judge_items"
            )
        self.rubric, self.asker = rubric, asker
        self.name = rubric.name
        self.id = f"{rubric.id}@{asker.model}"
        self.metrics = rubric.metrics
        self.counts: Counter[Outcome] = Counter()

    @property
    def usage(self) -> Usage:
        return self.asker.usage

    @property
    def note(self) -> str | None:
        """The warning that belongs to its figures, with the number of judgements that have no
        verdict."""
        origin = "the judgement of a language model, not checked against people"
        without = {
            o: n
            for o, n in sorted(self.counts.items())
            if n and o not in (Outcome.JUDGED, Outcome.RULE)
        }
        if not without:
            return origin
        return (
            f"{origin}; without a verdict: {', '.join(f'{n} {o}' for o, n in without.items())} of "
            f"{self.counts.total()}"
        )

    def judgements(
        self, prompts: Sequence[Prompt], texts: Sequence[str], progress: Progress | None = None
    ) -> list[Judgement]:
        fields_of = self.rubric.fields_of
        assert fields_of is not None
        items = [fields_of(p, t) for p, t in zip(prompts, texts, strict=True)]
        judgements = judge_items(self.rubric, items, self.asker, progress)
        self.counts.update(j.outcome for j in judgements)
        return judgements

    def scores_of(self, judgement: Judgement) -> Scores:
        scores = self.rubric.scores
        assert scores is not None
        return (
            dict.fromkeys(self.metrics)
            if judgement.verdict is None
            else scores(dict(judgement.verdict.values))
        )

    def scores(
        self, prompts: Sequence[Prompt], texts: Sequence[str], progress: Progress | None = None
    ) -> list[Scores]:
        return [self.scores_of(j) for j in self.judgements(prompts, texts, progress)]


def llm_judge(name: str, config: JudgeConfig) -> LLMJudge:
    """Return the judge of a rubric by name. Raises InputError where the config names no judge
    model."""
    return LLMJudge(RUBRICS[name], asker_of(config))


HARM = partial(llm_judge, "harm")
STRONGREJECT = partial(llm_judge, "strongreject")
TRUTH = partial(llm_judge, "truth")
QUALITY = partial(llm_judge, "quality")
STANCE = partial(llm_judge, "stance")
