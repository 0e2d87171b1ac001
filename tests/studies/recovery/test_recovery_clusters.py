"""Stored answers to one text under several ids are one cluster in `recover`."""

import json

import numpy as np
import pytest
from scipy import stats

from veneer.statistics import intervals
from veneer.studies.recovery.compare import RecoveryScale, placed
from veneer.studies.recovery.equivalence import equivalence, one_sided_tests
from veneer.studies.recovery.settings import RecoverySettings
from veneer.studies.recovery.study import recover_stored

TEXTS = ("red", "green", "blue", "pink")
LINES = 3  # of each text


def values(seed, mean):
    """One value per text, the same on each of its lines."""
    rng = np.random.default_rng(seed)
    return np.repeat(mean + rng.normal(0, 0.02, len(TEXTS)), LINES)


IDS = np.repeat(np.arange(len(TEXTS)), LINES)


def test_lines_that_say_the_same_are_one_value_in_the_tests():
    s, b, c = values(1, 0.78), values(2, 0.2), values(3, 0.8)
    width, low, high = one_sided_tests(s, b, c, clusters=IDS)
    once = s[::LINES], b[::LINES], c[::LINES]
    contrast = (once[0] - once[2]) + 0.1 * (once[2] - once[1])
    assert width == pytest.approx(0.1 * (once[2] - once[1]).mean())
    assert low == pytest.approx(stats.ttest_1samp(contrast, 0, alternative="greater").pvalue)
    assert (low, high) == pytest.approx(one_sided_tests(*once)[1:])
    assert one_sided_tests(s, b, c)[1] < low, "twelve independent prompts would be surer"
    v = equivalence({"s": s}, b, c, clusters=IDS)["s"]
    alone = equivalence({"s": once[0]}, once[1], once[2])["s"]
    assert (v.n, alone.n) == (12, 4) and v.p == pytest.approx(alone.p)
    assert (v.low, v.high) == pytest.approx((alone.low, alone.high))


def test_clusters_of_unequal_size_weigh_by_their_prompts():
    rng = np.random.default_rng(0)
    ids = np.array([0, 0, 0, 1, 2, 2, 3, 4, 4, 4, 4, 5])
    d = rng.normal(0.1, 1, 6)[ids] + rng.normal(0, 0.3, 12)
    sums = np.array([np.sum((d - d.mean())[ids == k]) for k in range(6)])
    error = np.sqrt(6 / 5 * np.sum(sums**2)) / 12
    p = stats.t.sf((d.mean() + 0.5) / error, 5)
    zero = np.zeros(12)
    assert one_sided_tests(d, zero, zero, margin=0.5, clusters=ids)[1] == pytest.approx(p)


def test_two_texts_on_many_lines_are_too_few():
    s, b, c = (x[:6] for x in (values(1, 0.78), values(2, 0.2), values(3, 0.8)))
    scale = RecoveryScale(clusters=IDS[:6])
    scores = {n: [np.array([v]) for v in x] for n, x in (("s", s), ("base", b), ("c", c))}
    figures = placed(scores, "lexical", scale=scale, peers=["c"])
    assert figures.portions["s", "c"].value is None
    assert figures.verdicts["s", "c"].reason == "few_prompts"
    assert placed(scores, "lexical", peers=["c"]).portions["s", "c"].value is not None


def answers(path, *, words):
    rows = []
    for number, text in enumerate(np.repeat(TEXTS, LINES)):
        for sample, more in enumerate(words):
            rows.append(
                {"id": str(number), "prompt": f"Name {text}.", "text": f"{text} {more}"}
                | {"sample_id": sample}
            )
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_stored_answers_resample_texts(tmp_path):
    teacher = answers(tmp_path / "t.jsonl", words=("and so on", "and so forth"))
    files = {
        "base": answers(tmp_path / "b.jsonl", words=("only",)),
        "near": answers(tmp_path / "n.jsonl", words=("and more",)),
    }
    method = RecoverySettings(measures=("lexical",), variants=())
    results = recover_stored(("t", teacher), files, tmp_path / "out", method)
    (row,) = results.where(metric="lexical_similarity", system="base")
    assert row.n == 12 and row.fact("estimate")["groups"] == 4
    same = intervals.on_scale([row.value] * 12, 0, 1, clusters=IDS)
    assert (row.low, row.high) == pytest.approx((same.low, same.high))
    (empty,) = results.where(metric="empty_rate", system="base")
    assert empty.high == pytest.approx(1.96**2 / (4 + 1.96**2), abs=1e-4), "0 of 4 texts"
