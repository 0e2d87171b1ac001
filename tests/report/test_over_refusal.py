"""Over-refusal stands in the first table of the page and of the terminal, beside every
portion of safety."""

from __future__ import annotations

import re
from dataclasses import replace

from veneer.foundation.results import Measurement, Results
from veneer.report.load import StudyFolder
from veneer.report.opening import finding
from veneer.report.over_refusal import is_safety, over_refusal
from veneer.report.page_context import PageContext
from veneer.report.sections import applying
from veneer.report.sections.portion import SECTION
from veneer.terminal.show import show


def rows(
    task: str,
    metric: str,
    values: tuple[float, float, float],
    portion: float | None = 0.9,
    split: str = "test",
):
    for system, value in zip(("base", "veneer", "aligned"), values, strict=True):
        yield Measurement(
            "measure",
            task,
            metric,
            system,
            value,
            50,
            max(0.0, value - 0.1),
            value + 0.1,
            split=split,
        )
    yield Measurement(
        "measure", task, "portion", "veneer", portion, 50, 0.8, 1.0, of=metric, split=split
    )


SAFETY = list(rows("advbench", "refusal_rate", (0.0, 0.93, 1.0)))
SUMS = [
    *rows("svamp", "accuracy", (0.0, 0.1, 0.2)),
    *list(rows("svamp", "refusal_rate", (0.0, 0.0, 0.0)))[:3],
]
HARMLESS = list(rows("instructions", "refusal_rate", (0.01, 0.37, 0.58), 0.6))


def terminal(some: list[Measurement], capsys) -> dict[str, str]:
    """A line a task and metric, and the whole."""
    show(Results(some))
    out = capsys.readouterr().out
    return {" ".join(line.split()[:2]): line for line in out.splitlines() if line} | {"all": out}


def test_the_terminal_has_it_beside_safety_alone(capsys):
    lines = terminal([*SAFETY, *SUMS, *HARMLESS], capsys)
    assert lines["advbench refusals"].rstrip().endswith("0.37 | 0.58")
    assert not lines["svamp accuracy"].rstrip().endswith("0.58") and not lines[
        "svamp refusals"
    ].rstrip().endswith("0.58")
    assert not lines["instructions refusals"].rstrip().endswith("0.58")  # it is the figure itself
    assert "full refusals of harmless prompts, instructions, veneer beside aligned" in lines["all"]


def test_the_terminal_says_where_it_was_not_measured(capsys):
    lines = terminal([*SAFETY, *SUMS], capsys)
    assert lines["advbench refusals"].rstrip().endswith("not measured")
    assert "add the task instructions" in lines["all"]
    assert "add the task instructions" not in terminal(SUMS, capsys)["all"]
    lab = [replace(row, task="lab-requests") for row in SAFETY]
    assert terminal(lab, capsys)["all"].count("not measured; add the task lab-harmless") == 2


def first_table(some: list[Measurement]) -> str:
    return re.sub(
        r"<[^>]+>",
        "",
        SECTION.render(PageContext(StudyFolder("made-up", tuple(some)))).split("</table>")[0],
    )


def test_the_first_table_of_the_page_has_it_beside_safety_alone():
    text = first_table([*SAFETY, *SUMS, *HARMLESS])
    assert text.count("Over-refusal:") == 1
    assert (
        "Over-refusal: base 0.01 (0.00 to 0.11), veneer 0.37 (0.27 to 0.47), aligned 0.58 "
        "(0.48 to 0.68) on instructions, n = 50."
    ) in text
    assert "Over-refusal: not measured; add the task instructions." in first_table(SAFETY)


def test_where_it_is_measured():
    xstest = list(rows("xstest", "over_refusal_rate", (0.0, 0.8, 0.1)))
    assert over_refusal([*xstest, *HARMLESS]).task == "instructions"
    assert over_refusal(xstest).systems["veneer"].value == 0.8
    assert (
        over_refusal(rows("instructions", "refusal_rate", (0.0, 0.0, 0.0), split="group:a")) is None
    )
    assert is_safety("advbench", "harm_rate") and is_safety("xstest", "unsafe_refusal_rate")
    assert not is_safety("xstest", "over_refusal_rate") and not is_safety("svamp", "accuracy")


def opening(some: list[Measurement]) -> str:
    page = PageContext(StudyFolder("made-up", tuple(some)))
    return finding(page, applying(page)).striptags()


def test_the_first_sentence_counts_over_refusal_as_a_cost():
    text = opening([*SAFETY, *HARMLESS])
    assert text == (
        "A change of the last layer alone carries 0.90 of the change in refusal rate on advbench "
        "(95 % interval 0.80 to 1.00, n = 50). Base with the veneer refuses 0.37 (0.27 to 0.47) of "
        "the harmless prompts of instructions, the aligned model 0.58 (0.48 to 0.68; n = 50)."
    )
    # nothing else was measured
    assert "0.60 of the change in refusal rate on instructions" in opening(HARMLESS)


def test_the_first_sentence_says_which_portion_is_not_determined():
    wide = [
        *SUMS[:3],
        Measurement(
            "measure",
            "svamp",
            "portion",
            "veneer",
            0.14,
            25,
            -1.8,
            0.73,
            of="accuracy",
            split="test",
        ),
    ]
    beside = (
        "On svamp (0.14, 95 % interval −1.80 to 0.73, n = 25) it is not determined, since the "
        "interval holds 0."
    )
    text = opening([*SAFETY, *wide])
    assert text.startswith("A change of the last layer alone carries 0.90 of") and text.endswith(
        f"n = 50). {beside}"
    )
    assert opening(wide) == f"No superficial portion is determined. {beside}"


def test_a_portion_that_is_surely_small_is_determined():
    """What is known to lie below 0.12 is not unknown."""
    named = {"of": "accuracy", "split": "test"}
    row = ("measure", "svamp", "portion", "veneer", 0.0, 80, -0.14, 0.12)
    small = Measurement(*row, **named)
    figure = "svamp (0.00, 95 % interval −0.14 to 0.12, n = 80)"
    assert opening([*SUMS[:3], small]) == (
        f"A change of the last layer alone carries little or nothing of the change on {figure}."
    )
    assert opening([*SAFETY, *SUMS[:3], small]).endswith(f" On {figure} it is little or nothing.")
