"""Verdicts on answers to one text under several ids are one cluster where judges are compared."""

import json
from dataclasses import replace

import numpy as np
import pytest

from veneer.judges.config import JudgeConfig
from veneer.judges.registry import get_judge
from veneer.prompts.prompt import Prompt
from veneer.statistics.agreement import agreement
from veneer.statistics.intervals import Z
from veneer.studies.judging.compare import agreement_rows, compare, sides
from veneer.studies.judging.study import judge_responses
from veneer.studies.judging.verdicts import VerdictRow

TEXTS, LINES = 6, 4
A, B = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def rows(judge, values, clusters):
    for text, value in enumerate(values):
        for line in range(LINES):
            row = VerdictRow(
                *("t", f"{text}.{line}", 0, "s", judge, judge, "judged", {"m": value}, "h")
            )
            yield replace(row, cluster=f"{text}.0" if clusters else "")


@pytest.mark.parametrize("known", [(True, True), (True, False), (False, True)])
def test_repeated_lines_make_two_judges_no_surer(known):
    verdicts = [*rows("a", A, known[0]), *rows("b", B, known[1])]
    (of_lines,) = compare(*sides(("a", "b"), verdicts))
    alone = agreement(A, B)
    result = of_lines.agreement
    assert result.raw.n == result.kappa.n == TEXTS
    assert result.kappa.value == pytest.approx(alone.kappa.value) == pytest.approx(1 / 3)
    # a whole text is one answer: Wilson with t, as for 4 of 6 in 6 groups
    assert result.raw.value == pytest.approx(4 / 6)
    assert result.raw.low < alone.raw.low and result.raw.high > alone.raw.high
    assert result.kappa.high - result.kappa.low > 0.9 * (alone.kappa.high - alone.kappa.low)
    by_line = agreement(np.repeat(A, LINES), np.repeat(B, LINES))
    assert by_line.kappa.high - by_line.kappa.low < result.kappa.high - result.kappa.low


def test_verdicts_of_unknown_clusters_stand_by_themselves():
    (row, *_) = compare(*sides(("a", "b"), [*rows("a", A, False), *rows("b", B, False)]))
    assert row.agreement.raw.n == TEXTS * LINES


def test_a_study_of_judges_writes_the_clusters_of_its_prompts(tmp_path):
    prompts = [Prompt.from_text(str(i), f"Text {i % 3}?") for i in range(9)]
    answers = tmp_path / "s.jsonl"
    lines = [{"prompt_id": p.id, "text": "I cannot help with that."} for p in prompts]
    answers.write_text("".join(json.dumps(r) + "\n" for r in lines))
    judge = get_judge("refusal", JudgeConfig())
    results, verdicts, _ = judge_responses([answers], prompts, [judge], tmp_path / "out")
    assert [v.cluster for v in verdicts] == ["0", "1", "2"] * 3
    (row,) = results.where(metric="refusal_rate")
    assert (row.n, row.value) == (9, 1.0) and row.low == pytest.approx(3 / (3 + Z**2))
    pair = sides((str(tmp_path / "out"), str(tmp_path / "out")))
    compared = [r for r in agreement_rows(compare(*pair)) if r.metric == "raw_agreement"]
    assert {r.n for r in compared} == {3}
    assert compared[0].low == pytest.approx(3 / (3 + Z**2))
