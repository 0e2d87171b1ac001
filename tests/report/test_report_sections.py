"""What the sections make of a study's rows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from made_up_figures import BASELINES, figures
from made_up_study import shifts
from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.report import tables
from veneer.report.load import Deep, Shift, StudyFolder, load
from veneer.report.page_context import PageContext
from veneer.report.sections import all_sections
from veneer.report.sections.behaviour import SECTION as BEHAVIOUR
from veneer.report.sections.cross import SECTION as CROSS
from veneer.report.sections.deep import SECTION as DEEP
from veneer.report.sections.facts import SECTION as FACTS
from veneer.report.sections.groups import maps
from veneer.report.sections.portion import SECTION as PORTION
from veneer.report.sections.shifts import outcomes
from veneer.report.systems import about, family, order


@pytest.fixture
def context() -> PageContext:
    return PageContext(StudyFolder("made-up", tuple(figures())))


def test_sections_have_one_key_each_and_show_a_study_once():
    assert len({s.key for s in all_sections()}) == len(all_sections())
    shown = [study for s in all_sections() for study in s.studies]
    assert len(shown) == len(set(shown))


def test_a_study_with_one_row_has_only_what_applies(tmp_path):
    one = PageContext(StudyFolder("one", (Measurement("other", "t", "m", "base", 1.0, 3),)))
    assert [s.key for s in all_sections() if s.applies(one)] == ["more", "run", "results"]


def test_systems_in_reading_order():
    names = [
        "zeta",
        "lora-1000",
        "aligned",
        "veneer-rank-16",
        "lora-100",
        "base-chat",
        "veneer-from-b",
        "veneer-rank-4",
    ]
    names += ["shuffled", "veneer", "veneer-bias", "urial", "base", "veneer-joint", "veneer"]
    assert order(names) == [
        "base",
        "veneer",
        "aligned",
        "veneer-joint",
        "veneer-bias",
        "veneer-rank-4",
        "veneer-rank-16",
        "veneer-from-b",
        "lora-100",
        "lora-1000",
        "urial",
        "zeta",
        "shuffled",
        "base-chat",
    ]


def test_families_and_words_of_systems():
    assert [
        family(s) for s in ("base", "veneer", "veneer-rank-4", "aligned", "urial", "shuffled")
    ] == ["base", "veneer", "variant", "aligned", "baseline", "control"]
    assert about("veneer-rank-16") == "a veneer of rank 16" and "on 100 answers" in str(
        about("lora-100")
    )
    assert (
        "extracted on svamp" in str(about("veneer-from-svamp"))
        and about("somebody's model") is None
    )


def test_rows_say_what_their_systems_are():
    """A row's identity decides, whatever the name is."""
    rows = (
        Measurement("measure", "t", "m", "zebra", 0.1, 9, system_id=SystemId("base")),
        Measurement(
            "measure", "t", "m", "ape", 0.2, 9, system_id=SystemId.of("shifted", alpha="2")
        ),
        Measurement("measure", "t", "m", "base", 0.3, 9, system_id=SystemId("shuffled")),
    )
    page = PageContext(StudyFolder("s", rows))
    assert page.order(["base", "ape", "zebra"]) == ["zebra", "ape", "base"]
    assert [page.family(s) for s in page.systems] == ["base", "variant", "control"]
    assert "alpha 2" in str(page.about("ape"))
    table = page.pivot(page.groups, "c")
    assert table.index("zebra") < table.index("ape") < table.index(">base<")


def test_anchors_stay_when_other_rows_come():
    rows = figures()
    one, more = (
        PageContext(StudyFolder("a", tuple(rows[5:]))),
        PageContext(StudyFolder("a", tuple(rows))),
    )
    assert [one.anchor(r) for r in rows[5:]] == [more.anchor(r) for r in rows[5:]]
    assert len({more.anchor(r) for r in rows}) == len(rows)


def test_portions_are_drawn_for_every_system(context):
    page = PORTION.render(context)
    chart = page.split("<details")[0]
    assert (
        "aligned and base do not differ" in chart and "0 · base" in chart and "1 · aligned" in chart
    )
    for system in (*BASELINES, "shuffled", "veneer-from-svamp"):
        row = next(
            r
            for r in context.study.rows
            if (r.task, r.metric, r.system) == ("svamp", "portion", system)
        )
        assert f'href="#{context.anchor(row)}"' in chart


def test_groups_do_not_lead(context):
    assert [g.split for g in tables.headline(context.of("measure"))] == [None, None, None, "test"]


def test_main_table_has_each_system_by_task(context):
    heads = tables.headlines(context.groups)
    assert [(h.values.task, h.values.metric) for h in heads] == [
        ("advbench", "refusal_rate"),
        ("svamp", "accuracy"),
        ("xstest", "refusal_rate"),
        ("toxigen", "toxicity_rate"),
    ]
    page = BEHAVIOUR.render(context)
    table = page[: page.index("</table>")]
    assert table.count("<tr") == 1 + len({s for h in heads for s in h.values.systems})
    assert 'title="portion 0.47, 95 % interval 0.38 to 0.55"' in table
    assert (
        "accuracy 0.81 on statements of other groups" in page
        and "Answers without a verdict" in page
    )


def test_a_task_without_portions_shows_its_first_metric():
    rows = [
        Measurement("measure", "mmlu", m, s, 0.3, 9)
        for m in ("empty_rate", "accuracy")
        for s in ("base", "aligned")
    ]
    (head,) = tables.headlines(tables.groups(rows))
    assert head.values.metric == "accuracy" and head.portions is None


def test_several_headlines_of_one_task():
    rows = []
    for metric in ("accuracy", "accuracy_strict"):
        rows += [
            Measurement("measure", "gsm8k", metric, s, x, 9, 0, 1)
            for s, x in (("base", 0.1), ("veneer", 0.2), ("aligned", 0.5))
        ]
        rows.append(
            Measurement("measure", "gsm8k", "portion", "veneer", 0.25, 9, 0.1, 0.4, of=metric)
        )
    page = PageContext(StudyFolder("two", tuple(rows)))
    assert [h.values.metric for h in tables.headlines(page.groups)] == [
        "accuracy",
        "accuracy_strict",
    ]
    chart, every = PORTION.render(page).split("<details", 1)
    # they read the same, so they share a line; each has a row of its own below
    assert chart.count('<tr class="task">') == 1 and "accuracy and accuracy strict, n" in chart
    assert every.count("rowgroup") == 2


def test_group_rows_become_a_map(context):
    (only,) = maps(context)
    assert (
        only.task == "toxigen"
        and len(only.lines) == 9
        and "urial" in only.systems
        and only.portions.keys() == dict(only.lines).keys()
    )


def test_cross_table_with_its_diagonal(context):
    page = CROSS.render(context)
    assert page.count(' own"') == 2 and "−0.18" in page
    rows = tuple(
        r for r in context.study.rows if not (r.system == "veneer-from-svamp" and r.task == "svamp")
    )
    columns = dict((g.task, by) for g, by in tables.cross(tables.groups(rows)))
    assert "svamp" not in columns["svamp"]  # the joint veneer is not its own
    assert columns["svamp"]["all tasks"].system == "veneer"


def test_outcomes_of_shifts_count_places():
    some = [
        Shift(
            r["base"],
            r["veneer"],
            r["aligned"],
            r["count"],
            r["shift"],
            r["restored"],
            r["group"],
            "",
            r.get("deep_group", ""),
        )
        for r in shifts()
    ]
    by_group = {o.group: o for o in outcomes(some)}
    assert by_group["number"].restored == 0 and by_group["number"].kept == by_group["number"].total
    assert sum(o.total for o in by_group.values()) == sum(
        s.count for s in some if s.aligned != s.base
    )
    for o in by_group.values():
        assert sum(share for _, share in o.shares) == pytest.approx(1)
    missed = [s for s in some if s.group_of_aligned == "content" and s.veneer != s.aligned]
    assert any(s.group == "style" for s in missed)  # the veneer's own step is of another group
    assert by_group["content"].total - by_group["content"].restored == sum(s.count for s in missed)
    old = [replace(s, group="", deep_group="") for s in some]
    assert [o.group for o in outcomes(old)] == ["all"] and outcomes([]) == []


def test_deep_examples_of_every_task_come_first():
    deep = [Deep(f"a{i}", "a", "x" * 500, " 1", " 1", " 2", i, "") for i in range(20)] + [
        Deep("b0", "b", "c", " 1", " 1", " 3", None, "n")
    ]
    page = DEEP.render(PageContext(StudyFolder("d", (), deep=tuple(deep))))
    assert (
        page.count("<li>") == 12
        and "b · b0" in page
        and "21 found, the first 12 shown" in page
        and "…" in page
    )


def test_a_deep_example_names_the_token_once():
    one = Deep("p", "t", "82 - 30 = ", "3", "3", "4", 16, "48. The answer")
    assert one.rest == "8. The answer" and replace(one, aligned=" 4").rest == "8. The answer"
    assert replace(one, next="").rest == "" and replace(one, aligned="5").rest == one.next


def test_facts_say_who_judged_and_what_is_missing(study):
    page = FACTS.render(PageContext(load(study)))
    assert "refusal-words-1" in page and "truthfulqa: truth" in page and "312" in page
    assert re.search(r"svamp</dt><dd>n = 300", page)


@pytest.mark.parametrize(
    "run",
    [
        {"seconds": [1], "judges": "x", "judges_missing": 3, "pair": [], "data": None},
        {"pair": {"base": {"name": 3}}},
    ],
)
def test_facts_of_any_shape(run):
    assert "measurements" in FACTS.render(
        PageContext(StudyFolder("s", (Measurement("a", "b", "c", "d", 1.0, 1),), run=run))
    )


def test_a_portion_above_one_is_no_whole_portion():
    """A veneer that refuses safe prompts as well once read as a change that sits
    wholly on the surface."""
    from veneer.foundation.results import Measurement
    from veneer.report.words import _reading

    def sentence(value: float, low: float, high: float) -> str:
        return _reading(
            Measurement("measure", "t", "portion", "veneer", value, 22, low, high, of="m")
        )

    assert "beyond" in sentence(1.9, 1.1, 4.6)
    assert "wholly" in sentence(1.0, 0.95, 1.05)
