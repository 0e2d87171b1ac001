"""The pace that is tried before a run: of whole steps, by any number of rows, never an error."""

import time

import torch

from veneer.foundation.progress import PlainLines
from veneer.foundation.run_record import RunRecord
from veneer.foundation.stages import Stage
from veneer.models.formats import PlainFormat
from veneer.models.load import load_model
from veneer.models.pace import READ, STEPS, seconds_per_token
from veneer.prompts.prompt import Prompt
from veneer.studies.study import Run


def test_it_is_the_time_of_steps_by_rows(monkeypatch):
    """By a clock that turns 0.5 s whenever the model reads something: a step of three rows."""
    lm = load_model("lab:base")
    clock, read = [0.0], lm.hidden
    lengths = []

    def hidden(ids, mask, cache=None):
        clock[0] += 0.5
        lengths.append(ids.shape)
        return read(ids, mask, cache)

    monkeypatch.setattr(lm, "hidden", hidden)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    pace = seconds_per_token(lm, [[3, 4, 5], [4, 5], [5, 6, 7, 8]])
    assert lengths[-4:] == [(3, 1)] * 4  # four steps of 0.5 s are two seconds
    assert pace == 0.5 / 3
    monkeypatch.setattr("veneer.models.pace.SECONDS", 60.0)
    lengths.clear()
    assert seconds_per_token(lm, [[3, 4, 5]]) == 0.5
    assert lengths[-STEPS:] == [(1, 1)] * STEPS


def test_a_model_that_cannot_decode_gives_no_pace_and_no_error():
    lm = load_model("lab:base")
    with torch.no_grad():
        lm.model.get_input_embeddings().weight.fill_(float("nan"))
    assert seconds_per_token(lm, [[3, 4, 5]]) is None


def test_a_long_prompt_is_not_read_whole_nor_more_than_the_model_can_read(monkeypatch):
    lm = load_model("lab:base")
    lengths, read = [], lm.hidden
    monkeypatch.setattr(
        lm, "hidden", lambda ids, *rest: lengths.append(ids.shape[1]) or read(ids, *rest)
    )
    monkeypatch.setattr(lm.model.config, "max_position_embeddings", 400)
    assert seconds_per_token(lm, [[3] * 300, [4] * 300]) > 0
    assert sum(lengths) == READ + STEPS + 1
    monkeypatch.setattr(lm.model.config, "max_position_embeddings", 20)
    lengths.clear()
    assert seconds_per_token(lm, [[3] * 300, [4] * 300]) > 0
    assert sum(lengths) == 20 - 2
    monkeypatch.setattr(lm.model.config, "max_position_embeddings", STEPS)
    assert seconds_per_token(lm, [[3] * 300]) is None


def test_a_run_tries_it_where_somebody_looks(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(
        "veneer.models.pace.seconds_per_token", lambda lm, rows: tried.append(rows) or 2.0
    )
    lm = load_model("lab:base")
    prompts = [Prompt.from_text("a", "one"), Prompt.from_text("b", "another")]
    Run(tmp_path, RunRecord(tmp_path, "run", {})).expect(lm, PlainFormat(), prompts)
    watch = PlainLines()
    watch.follow([Stage("answers", prompts={"x": 10}, tokens=4)])
    run = Run(tmp_path, RunRecord(tmp_path, "run", {}, watch=watch))
    run.expect(lm, PlainFormat(), [])
    assert not tried and watch.left() == ""
    run.expect(lm, PlainFormat(), prompts)
    assert tried == [[PlainFormat().encode(lm.tokenizer, p) for p in prompts]]
    assert watch.course.seconds_left() == 2.0 * 40
