"""The planted truths of contract.md, end to end: capture, extract, held-out measures,
behaviour, portion.

These test the method: what is measured is known beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tools.lab.planted import PlantedPair, planted_blind, planted_dW, planted_identity

from veneer.capture import Capture, CaptureConfig, capture
from veneer.foundation.results import Measurement
from veneer.head import ExtractConfig
from veneer.head.extract import Extraction, extract
from veneer.measures.held_out import HeldOut, held_out
from veneer.measures.kl import early_share_rows, kl_rows, position_rows
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.statistics import intervals
from veneer.systems.respond import respond
from veneer.systems.system import pair_systems


@dataclass
class Measured:
    """One planted pair, taken all the way. scores: system -> (n,) 0/1 on the test prompts. fresh:
    the test prompts' tokens with every log-probability kept, so that their KL is exact."""

    planted: PlantedPair
    capture: Capture
    extraction: Extraction
    report: HeldOut
    fresh: HeldOut
    scores: dict[str, np.ndarray]

    @property
    def portion(self) -> intervals.Estimate:
        return intervals.portion(self.scores["veneer"], self.scores["base"], self.scores["aligned"])

    def row(self, metric: str, system: str = "veneer") -> Measurement:
        (row,) = [r for r in kl_rows(self.report) if r.metric == metric and r.system == system]
        return row


def measured(make: Callable[[int], PlantedPair], folder: Path) -> Measured:
    planted = make(0)
    base, aligned = (
        LanguageModel(n, getattr(planted, n), planted.tokenizer) for n in ("base", "aligned")
    )
    pair = Pair(base, aligned, PlainFormat(), PlainFormat())
    sampling = Sampling(max_new_tokens=planted.most_new)
    recorded = capture(
        pair, planted.train, folder / "train", CaptureConfig(noise_prompts=4, sampling=sampling)
    )
    every = CaptureConfig(k=pair.vocabulary.size, noise_prompts=4, sampling=sampling)
    fresh = capture(pair, planted.test, folder / "test", every)
    extraction = extract(recorded, ExtractConfig())
    scores = {}
    for system in pair_systems(pair, extraction.veneer):
        answers = respond(system, planted.test, sampling)
        assert [r.prompt_id for r in answers] == [p.id for p in planted.test]
        scores[system.name] = np.array(
            [planted.correct(p, r.text) for p, r in zip(planted.test, answers, strict=True)], float
        )
    report = held_out(recorded, extraction.veneer, extraction.split.report)
    return Measured(
        planted,
        recorded,
        extraction,
        report,
        held_out(fresh, extraction.veneer, fresh.prompt_numbers),
        scores,
    )


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return measured(planted_dW, tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    return measured(planted_identity, tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    return measured(planted_blind, tmp_path_factory.mktemp("blind"))


def test_a_known_change_of_the_head_is_found_on_held_out_tokens(known):
    kl, base = known.row("kl"), known.row("kl", "base")
    assert kl.high < 1e-3  # nats per token
    assert base.low > 0.05  # so that there was something to find
    assert known.fresh.kl_veneer.mean() < 1e-3  # exact KL, prompts that the capture never saw
    assert known.fresh.kl_base.mean() > 0.05
    assert known.row("kl_recovered").low > 0.98
    assert (known.report.veneer_top == known.report.aligned_top).all()


def test_the_found_change_moves_every_logit_as_the_planted_one_does(known):
    """dW itself is known only up to a shift common to all rows and directions that the data do not
    visit: compare where they do."""
    split, change = known.extraction.split, known.extraction.veneer.dense() - known.planted.dW
    (block,) = known.capture.blocks(("hidden", "aligned_ids", "aligned_logprobs"), split.report[:1])
    moved = block["hidden"] @ change.T
    moved = moved - moved.mean(-1, keepdim=True)
    likely = block["aligned_logprobs"] > np.log(0.01)
    planted = (block["hidden"] @ known.planted.dW.T).gather(1, block["aligned_ids"].long())[likely]
    assert moved.gather(1, block["aligned_ids"].long())[likely].std() < 0.25 * planted.std()


def test_a_known_change_is_wholly_on_the_surface(known):
    assert known.scores["base"].mean() < 0.5 < 0.9 < known.scores["aligned"].mean()
    portion = known.portion
    assert portion.low <= 1 <= portion.high and portion.n == len(known.planted.test)
    assert portion.low > 0.8  # an interval that holds everything would hold 1 too


def test_equal_models_have_no_veneer(same):
    assert float(same.extraction.veneer.dense().abs().max()) < 1e-5
    assert np.abs(same.report.kl_base).max() < 1e-5 and np.abs(same.fresh.kl_base).max() < 1e-5


def test_equal_models_have_no_portion_and_nothing_to_recover(same):
    portion = same.portion
    assert (portion.value, portion.low, portion.high) == (None, None, None)
    assert "do not differ" in portion.note
    recovered = same.row("kl_recovered")
    assert recovered.value is None and "nothing to recover" in recovered.note
    (early,) = early_share_rows(same.report, ())
    assert early.value is None and early.note
    assert all(
        0 <= r.value < 1e-5
        for r in [same.row("kl"), same.row("kl", "base"), *position_rows(same.report)]
    )


def test_what_the_hidden_states_lack_no_head_brings_back(blind):
    assert blind.scores["base"].mean() <= 1 / 8 < 0.9 < blind.scores["aligned"].mean()
    assert blind.scores["veneer"].mean() <= 1 / 8  # provable
    assert blind.portion.high < 0.9
    recovered = blind.row("kl_recovered")
    assert recovered.high < 0.9 and recovered.low > 0  # the wording is within the head's reach
    fresh = intervals.recovered(
        *(blind.fresh.by_prompt(v)[0] for v in (blind.fresh.kl_veneer, blind.fresh.kl_base))
    )
    assert fresh.high < 0.9


def test_what_is_lacking_is_lacking_at_the_key(blind):
    """At one position the mean KL is at least ln 8, less what the aligned model
    itself leaves open."""
    by_position = [
        blind.fresh.kl_veneer[blind.fresh.position == p].mean()
        for p in range(1, int(blind.fresh.position.max()) + 1)
    ]
    assert max(by_position) > 0.9 * np.log(8)
    assert sorted(by_position)[-2] < 0.1
