"""verdicts.jsonl: what a judge decided about each answer, one line per answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.reading import as_id, open_rows
from veneer.judges.judge import Judge
from veneer.judges.llm import LLMJudge, Outcome
from veneer.measures.judged import judged
from veneer.prompts.prompt import Prompt
from veneer.systems.responses import Response


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """A judge's verdict on one answer.

    metrics: values None where there is no verdict. outcome: `judges.llm.Outcome`. reply, reason,
    why: the judge's words and what is wrong with them. text_sha256: of the answer, which shows
    whether two files are about the same one. cluster: the id of the first prompt of the prompt's
    cluster (prompts/clusters.py), empty where the prompt stands by itself.
    """

    task: str
    prompt_id: str
    sample_id: int
    system: str
    judge_name: str
    judge: str
    outcome: str
    metrics: dict[str, float | None]
    text_sha256: str
    reason: str = ""
    reply: str = ""
    why: str = ""
    values: dict = field(default_factory=dict)
    cluster: str = ""

    @property
    def answer(self) -> tuple[str, str, int, str]:
        """Which answer it is about."""
        return self.task, self.prompt_id, self.sample_id, self.system


def verdicts(
    judge: Judge,
    prompts: Sequence[Prompt],
    responses: Sequence[Response],
    progress: Progress | None = None,
) -> list[VerdictRow]:
    """One row per response. prompts: each response's own, in the same order."""
    if isinstance(judge, LLMJudge):
        judgements = judge.judgements(prompts, [r.text for r in responses], progress)
        return [
            _row(
                judge,
                p,
                r,
                j.outcome,
                judge.scores_of(j),
                reply=j.reply,
                why=j.why,
                **(
                    {"reason": j.verdict.reason, "values": dict(j.verdict.values)}
                    if j.verdict is not None
                    else {}
                ),
            )
            for p, r, j in zip(prompts, responses, judgements, strict=True)
        ]
    scores = judged(judge, prompts, responses, progress)
    return [
        _row(
            judge,
            p,
            r,
            Outcome.UNPARSABLE if all(v is None for v in s.values()) else Outcome.JUDGED,
            s,
        )
        for p, r, s in zip(prompts, responses, scores, strict=True)
    ]


def _row(
    judge: Judge, prompt: Prompt, response: Response, outcome: Outcome, scores: dict, **more
) -> VerdictRow:
    return VerdictRow(
        prompt.task,
        response.prompt_id,
        response.sample_id,
        response.system,
        judge.name,
        judge.id,
        str(outcome),
        scores,
        sha256_text(response.text),
        **more,
    )


def write_verdicts(path: Path, rows: Iterable[VerdictRow]) -> None:
    write_text(path, json_lines(asdict(r) for r in rows))


def read_verdicts(path: Path) -> list[VerdictRow]:
    """The verdicts of a file. Raises InputError naming the row that is no verdict."""
    rows = []
    for where, row in open_rows(path, "verdicts, which `veneer judge` writes").each(None):
        try:
            rows.append(_verdict(row))
        except ValueError as error:
            raise InputError(
                f"{where} is not a verdict ({error}); expected what `veneer judge` writes: make it "
                "again; or people's labels, with prompt_id and label in each row (docs/judges.md)"
            ) from None
    if not rows:
        raise InputError(
            f"{path} holds no verdicts; expected one per line, as `veneer judge` writes them"
        )
    return rows


def _verdict(row: Any) -> VerdictRow:
    """Return the verdict in a row. Raises ValueError that says what is wrong."""
    if not isinstance(row, dict):
        raise ValueError("it is no object")
    kinds = {
        f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(VerdictRow)
    }
    if lacking := [name for name, needed in kinds.items() if needed and name not in row]:
        raise ValueError(f"it has no {lacking[0]!r}")
    if strange := [name for name in row if name not in kinds]:
        raise ValueError(f"it has the unknown key {strange[0]!r}")
    prompt_id = as_id(row["prompt_id"])
    if prompt_id is None:
        raise ValueError("prompt_id is neither a text nor a whole number")
    for name in ("task", "system", "judge_name", "judge", "outcome", "text_sha256", "cluster"):
        if not isinstance(row.get(name, ""), str):
            raise ValueError(f"{name} is no text")
    if isinstance(row["sample_id"], bool) or not isinstance(row["sample_id"], int):
        raise ValueError("sample_id is no whole number")
    metrics = row["metrics"]
    if not isinstance(metrics, dict) or not all(
        v is None or (isinstance(v, int | float) and isfinite(v)) for v in metrics.values()
    ):
        raise ValueError("metrics that are no numbers")
    return VerdictRow(**{**row, "prompt_id": prompt_id})
