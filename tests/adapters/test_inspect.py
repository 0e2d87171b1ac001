"""inspect-ai finds Veneer's models by the entry point, runs a task with them, and computes the
portion."""

from __future__ import annotations

import asyncio
import math
from importlib.metadata import entry_points

import numpy as np
import pytest

import veneer
from veneer.foundation.errors import InputError
from veneer.lab import lab_prompts
from veneer.statistics import intervals

inspect_ai = pytest.importorskip("inspect_ai")
scoring = pytest.importorskip("inspect_ai.scorer")
# registers the models, also where the installed package has no entry point yet
entry = pytest.importorskip("veneer.adapters.inspect_entry")

REQUESTS = lab_prompts("lab-requests", "test")[:4]
SHORT = {"max_tokens": 16}


def test_the_entry_point_is_declared():
    points = {p.name: p.value for p in entry_points(group="inspect_ai")}
    if "veneer" not in points:
        pytest.skip("this installation of Veneer is older than its entry point for inspect-ai")
    assert points["veneer"] == "veneer.adapters.inspect_entry"


def test_a_task_runs_and_the_portion_agrees_with_its_own_scores(tmp_path):
    samples = [inspect_ai.dataset.Sample(input=p.text, target="can't") for p in REQUESTS]
    scorer = entry.veneer_portion(
        scoring.includes(), "veneer/lab:base", "veneer/lab:aligned", **SHORT
    )
    [log] = inspect_ai.eval(
        inspect_ai.Task(dataset=samples, scorer=scorer),
        model="veneer/lab:aligned",
        log_dir=str(tmp_path),
        display="none",
        **SHORT,
    )
    assert log.status == "success", log.error
    rows = [next(iter(s.scores.values())).metadata for s in log.samples]
    assert all(r["model"] == r["aligned"] for r in rows)  # the evaluated model is the aligned one
    system = veneer.System.of_model(
        veneer.load_model("lab:aligned"), format=veneer.ChatFormat(), name="aligned"
    )
    own = veneer.respond(system, [p.text for p in REQUESTS], veneer.Sampling(16))
    assert [s.output.completion for s in log.samples] == [a.text for a in own]


def test_the_metric_is_the_interval_of_the_house():
    rows = [{"model": 1.0, "base": 0.0, "aligned": 1.0}] * 9 + [
        {"model": 0.0, "base": 0.0, "aligned": 1.0}
    ]
    figures = entry.portion()(
        [scoring.SampleScore(score=scoring.Score(value=1, metadata=r)) for r in rows]
    )
    columns = [[r[k] for r in rows] for k in ("model", "base", "aligned")]
    own = intervals.portion(*map(np.array, columns), seed=0)
    assert figures == {"portion": own.value, "low": own.low, "high": own.high, "n": 10}
    equal = [
        scoring.SampleScore(score=scoring.Score(value=1, metadata=dict.fromkeys(rows[0], 1.0)))
    ] * 4
    assert math.isnan(entry.portion()(equal)["portion"])


def test_samples_of_one_text_are_one_cluster_of_the_portion():
    values = [
        (1.0, 0.0, 1.0),
        (0.5, 0.25, 1.0),
        (0.75, 0.0, 0.5),
        (1.0, 0.5, 1.0),
        (0.5, 0.0, 0.75),
    ]
    rows = [
        dict(zip(("model", "base", "aligned"), v, strict=True)) | {"prompt": f"text {i}"}
        for i, v in enumerate(values)
        for _ in range(3)
    ]
    figures = entry.portion()(
        [scoring.SampleScore(score=scoring.Score(value=1, metadata=r)) for r in rows]
    )
    columns = np.repeat(np.array(values), 3, axis=0).T
    own = intervals.portion(*columns, seed=0, clusters=np.repeat(np.arange(5), 3))
    assert figures == {"portion": own.value, "low": own.low, "high": own.high, "n": 15}
    alone = intervals.portion(*columns, seed=0)
    assert own.high - own.low > 1.5 * (alone.high - alone.low)


def test_a_portion_of_one_epoch_of_several_says_so(caplog):
    row = {"model": 1.0, "base": 0.0, "aligned": 1.0}
    for value, warnings in ((1.0, 0), (0.5, 1)):
        score = scoring.SampleScore(score=scoring.Score(value=value, metadata=row))
        entry.portion()([score] * 4)
        assert caplog.text.count("the portion is of the first epoch") == warnings


def test_an_unknown_option_is_named():
    with pytest.raises(InputError, match="found the option 'temprature' of a veneer model"):
        inspect_ai.model.get_model("veneer/lab:base", temprature=1)


def ask(content="Hi", **settings):
    """What a veneer model answers to one message."""
    from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model

    api = get_model("veneer/lab:aligned").api
    config = GenerateConfig(max_tokens=6, **settings)
    given = api.generate([ChatMessageUser(content=content)], [], "auto", config)
    return asyncio.run(given).completion


@pytest.mark.parametrize(
    ("name", "value"),
    {"num_choices": 3, "logprobs": True, "best_of": 2, "reasoning_effort": "low"}.items(),
)
def test_a_setting_that_would_be_ignored_is_named(name, value):
    with pytest.raises(InputError, match=f"sets {name}, which"):
        ask(**{name: value})


def test_a_bias_takes_effect_and_a_picture_is_refused():
    from inspect_ai.model import ContentImage, ContentText

    lm = veneer.load_model("lab:aligned")
    plain = ask(num_choices=1)
    (first,) = lm.tokenizer(" Hello", add_special_tokens=False)["input_ids"]
    assert plain.startswith(" Hello") and "Hello" not in ask(logit_bias={first: -100})
    assert ask([ContentText(text="Hi")]) == plain
    with pytest.raises(InputError, match="a part of the type 'image'"):
        ask([ContentText(text="Hi"), ContentImage(image="data:image/png;base64,aa")])
