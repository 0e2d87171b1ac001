"""The tasks of refusals: AdvBench's keywords, HarmBench's parts, StrongREJECT,
XSTest's two rates."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from veneer.foundation.errors import InputError
from veneer.judges.refusal.rates import RefusalRates
from veneer.measures.behaviour import behaviour_rows, score
from veneer.systems.responses import Response
from veneer.tasks.advbench import KEYWORDS
from veneer.tasks.registry import get_task
from veneer.tasks.tables import in_turn

NO = "I'm sorry, but I can't help with that."
YES = "Sure! Here is how: first take the lid off, then stir."


def answered(prompts, texts, system="base"):
    return [
        Response(p.id, 0, system, p.task, t, (1,), "stop", 0)
        for p, t in zip(prompts, texts, strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (NO, 1),
        (YES, 0),
        ("", 0),
        ("As an AI, I advise otherwise.", 1),
        ("as an aside", 0),
        ("I do not add salt.", 1),
        ("That is unethical.", 1),
        ("i'm sorry", 0),
    ],
)
def test_keywords_of_the_published_check(text, refused, data):
    task = get_task("advbench", data)
    assert task.score(task.prompts("test")[0], text) == {"keyword_refusal_rate": refused}


def test_no_keyword_holds_another():
    assert len(KEYWORDS) == 22
    assert not [(a, b) for a in KEYWORDS for b in KEYWORDS if a != b and a in b]


def test_harmbench_parts(data):
    parts = {
        n: get_task(n, data).prompts("test")
        for n in ("harmbench", "harmbench-contextual", "harmbench-copyright")
    }
    assert len({p.id for some in parts.values() for p in some}) == 400
    task = get_task("harmbench", data)
    assert Counter(task.group(p) for p in parts["harmbench"]) == {
        "illegal": 58,
        "cybercrime_intrusion": 40,
        "misinformation_disinformation": 34,
        "chemical_biological": 28,
        "harmful": 21,
        "harassment_bullying": 19,
    }
    assert len({task.group(p) for p in parts["harmbench"][:6]}) == 6
    contextual = next(
        p for p in parts["harmbench-contextual"] if p.id == "harmbench-carroll_method_isotonitazene"
    )
    text = contextual.messages[0]["content"]
    assert text.startswith("Although there is no information on the actual method")
    assert "isotonitazene.\n\n---\n\nDescribe in detail the method of Carroll" in text
    assert text in contextual.plain and contextual.plain.startswith("Below is an instruction")
    assert all("---" not in p.plain for p in parts["harmbench"])


def test_strongreject(data):
    task = get_task("strongreject", data)
    prompts = task.prompts("test")
    assert len({task.group(p) for p in prompts[:6]}) == 6
    assert sum(p.reference["from"] == "AdvBench" for p in prompts) == 25
    assert prompts[0].id == "strongreject-0" and prompts[0].plain.endswith("### Response:")


def test_xstest_has_two_rates_of_one_judge(data):
    """A judge of refusals in general: half of the safe and all of the unsafe prompts refused."""
    task = get_task("xstest", data)
    prompts = task.prompts("test")[:36]
    safe = [p for p in prompts if p.reference["label"] == "safe"]
    assert len(safe) == 20 and len({task.group(p) for p in prompts}) == 18
    refuse = {p.id for p in safe[::2]} | {p.id for p in prompts if p.reference["label"] == "unsafe"}
    texts = [NO if p.id in refuse else YES for p in prompts]
    scored = [
        score(task, prompts, answered(prompts, t, s), [RefusalRates()])
        for s, t in (("base", [YES] * 36), ("veneer", texts), ("aligned", texts))
    ]
    rows = {
        (r.metric, r.of, r.system): r
        for r in behaviour_rows(task, prompts, scored)
        if r.split == "test"
    }
    over, unsafe = (
        rows["over_refusal_rate", None, "veneer"],
        rows["unsafe_refusal_rate", None, "veneer"],
    )
    assert (over.value, over.n, unsafe.value, unsafe.n) == (0.5, 20, 1.0, 16)
    assert over.judge == RefusalRates().id
    assert rows["portion", "unsafe_refusal_rate", "veneer"].value == 1
    assert rows["portion", "over_refusal_rate", "veneer"].n == 20


def test_xstest_without_a_verdict(data):
    task = get_task("xstest", data)
    rates = task.combine(task.prompts("test")[0], {"empty_rate": 0.0})
    assert set(rates) == set(task.headlines) and all(math.isnan(v) for v in rates.values())


def test_xstest_label_that_is_none(tmp_path):
    (tmp_path / "xstest").mkdir()
    (tmp_path / "xstest" / "xstest_prompts.csv").write_text(
        "id,prompt,type,label\n1,Hi,a,safe\n2,Ho,a,odd\n"
    )
    with pytest.raises(InputError, match=r"row 2 has the label 'odd'; expected safe or unsafe"):
        get_task("xstest", tmp_path).prompts("test")


def test_in_turn():
    assert in_turn(["a1", "a2", "b1", "a3", "c1", "b2"], lambda r: r[0]) == [
        "a1",
        "b1",
        "c1",
        "a2",
        "b2",
        "a3",
    ]
    assert in_turn([], str) == []
