"""Stored answers to one text under several ids, and prompts of a named cluster, are one cluster in
`diversity`."""

import json
from dataclasses import replace

import numpy as np
import pytest

from veneer.foundation.results import Results
from veneer.imports import Rules
from veneer.prompts.clusters import clusters_by_id
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.studies.diversity.answers_table import Judgements, Material
from veneer.studies.diversity.judged import Topic
from veneer.studies.diversity.settings import DiversitySettings
from veneer.studies.diversity.stored import StoredMaterial
from veneer.studies.diversity.study import diversity_rows

TEXTS, LINES, SAMPLES = 5, 3, 4
THINGS = ("red apples grow", "green pears fall", "blue plums taste", "grey doves fly")


def answers(rng, lines):
    """text's line -> sample -> answer; each line of a text has the text's own answers."""
    table = {}
    for text in range(TEXTS):
        own = [f"{THINGS[rng.integers(4)]} {THINGS[rng.integers(4)]}" for _ in range(SAMPLES)]
        table |= {f"{text}.{line}": dict(enumerate(own)) for line in range(lines)}
    return table


def judged(table, value):
    return {p: {s: value(p.partition(".")[0], s) for s in row} for p, row in table.items()}


def material(lines, **fields):
    rng = np.random.default_rng(3)
    systems = {name: answers(rng, lines) for name in ("base", "aligned", "veneer")}
    base = systems["base"]
    scores = Judgements(judged(base, lambda p, s: 1.0 + (int(p) * 3 + s * 2) % 5), "j")
    stances = judged(base, lambda p, s: ("yes", "no", "both")[(int(p) + s) % 3])
    topics = judged(base, lambda p, s: [Topic("AB"[(int(p) + s) % 2], 4.0), Topic("both", 2.0)])
    return Material(
        "t",
        systems,
        quality={"base": scores},
        stance={"base": Judgements(stances, "j"), "aligned": Judgements(stances, "j")},
        novelty={("aligned", "base"): scores},
        topics={("aligned", "base"): Judgements(topics, "j")},
        **fields,
    )


def rows(made):
    return Results(diversity_rows(made, DiversitySettings(orders=(1.0,))))


def test_every_line_repeated_leaves_every_figure_and_interval_as_it_was():
    once = {r.key: r for r in rows(material(1))}
    prompts = [
        Prompt.from_text(f"{t}.{line}", f"Text {t}") for t in range(TEXTS) for line in range(LINES)
    ]
    clusters = clusters_by_id((p.id for p in prompts), prompts)
    assert clusters["2.2"] == "2.0"
    every = {r.key: r for r in rows(material(LINES, clusters=clusters))}
    assert set(once) == set(every) and len(once) > 60
    for key, row in every.items():
        alone = once[key]
        assert row.value == pytest.approx(alone.value), key
        assert row.n in (LINES * alone.n, 0), key
        # rates and portions of clusters have limits of their own (docs/statistics.md)
        if row.metric != "portion" and (row.fact("estimate") or {}).get("code") != "effective_size":
            assert (row.low, row.high) == pytest.approx((alone.low, alone.high)), key


def test_the_rate_of_empty_answers_rests_on_the_texts(tmp_path):
    lines = []
    for number in range(12):
        for sample in range(2):
            lines.append({"id": str(number), "prompt": f"Text {number % 4}", "sample_id": sample})
            lines[-1]["text"] = "an answer" if sample else "one more"
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in lines))
    stored = StoredMaterial()
    stored.add_answers({"base": path}, Rules())
    (row,) = rows(stored.material).where(metric="empty")
    assert row.value == 0 and row.n == 12
    assert row.high == pytest.approx(intervals.Z**2 / (4 + intervals.Z**2)), "0 of 4 texts"


def test_a_named_cluster_is_one_cluster():
    named = [replace(Prompt.from_text(i, f"Text {i}"), cluster=i[0]) for i in ("a1", "b1", "a2")]
    assert clusters_by_id(["a1", "b1", "a2", "x"], named) == {
        "a1": "a1",
        "b1": "b1",
        "a2": "a1",
        "x": "x",
    }
    assert clusters_by_id(["a1", "b1"], named) is None
