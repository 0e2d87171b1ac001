"""The lines below a table on stdout explain what it shows, and nothing else."""

from __future__ import annotations

from veneer.foundation.results import Measurement, Results
from veneer.terminal.legend import MEANINGS, UNDEFINED, systems
from veneer.terminal.show import show


def row(metric: str, system: str, value: float | None, **more) -> Measurement:
    limits = {"low": None, "high": None} if value is None else {"low": 0.0, "high": 1.0}
    about = {"study": "measure", "task": "t", "n": 9, "split": "test"} | limits | more
    return Measurement(metric=metric, system=system, value=value, **about)


def printed(rows: list[Measurement], capsys) -> list[str]:
    show(Results(rows))
    return capsys.readouterr().out.splitlines()


def test_each_measure_of_the_table_is_explained_with_its_judge(capsys):
    rows = [
        *(row("refusal_rate", s, 0.5, judge="refusal-v2") for s in ("base", "veneer", "aligned")),
        row("portion", "veneer", None, of="refusal_rate", judge="refusal-v2"),
        row("probe_auroc", "base", 0.9),
    ]
    lines = printed(rows, capsys)
    assert f"refusals: {MEANINGS['refusal_rate']}; judge refusal-v2" in lines
    assert f"linear probe AUROC: {MEANINGS['probe_auroc']}" in lines
    assert f"undefined: {UNDEFINED}" in lines
    text = "\n".join(lines)
    assert "well formed" not in text and "without brackets" not in text


def test_a_figure_without_an_interval_says_why_and_a_kl_what_its_share_is(capsys):
    kl = [row("kl", s, 2.0, study="extract", task="joint", split="report") for s in ("base",)]
    share = row(
        "kl_recovered", "veneer", 0.9, study="extract", task="joint", split="report", low=None
    )
    lines = printed([*kl, share], capsys)
    assert "portion or share: of KL, the share recovered: 1 - KL(veneer) / KL(base)" in lines
    assert "a figure without brackets rests on too few prompts for an interval" in lines


def test_controls_are_explained_where_they_stand(capsys):
    rows = [row("empty_rate", s, 0.0) for s in ("base", "veneer", "aligned", "shuffled")]
    assert systems(["shuffled"])[0] in printed(rows, capsys)
