"""Baking: a shift of logits becomes a change of the large model's own head."""

import pytest
import torch
from tools.lab.planted import planted_dW

from pairs import capture_files
from veneer.capture import Capture, CaptureConfig, capture
from veneer.capture import shelf as capture_shelf
from veneer.capture.teachers.teacher import Rereading
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.head import ExtractConfig, Veneer
from veneer.head.extract import extract
from veneer.head.merge import merge
from veneer.models.decode import Sampling
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.studies.transfer.bake import bake
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.shifted_teacher import ShiftedTeacher
from veneer.systems.system import System
from veneer.tasks.registry import get_task

HOW = CaptureConfig(k=32, noise_prompts=4, sampling=Sampling(40))


def lab_prompts(n: int, split: str = "train"):
    return [
        p for task in ("lab-requests", "lab-harmless") for p in get_task(task).prompts(split)[:n]
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """lab:base and the veneer that lab:aligned put on it."""
    pair = Pair.load("lab:base", "lab:aligned")
    recorded = capture(pair, lab_prompts(45), tmp_path_factory.mktemp("small"), HOW)
    return pair.base, extract(recorded).veneer


@pytest.fixture(scope="module")
def shifted(small):
    return ShiftedSystem.of_models(load_model("lab:large-base"), *small)


@pytest.fixture(scope="module")
def baked(shifted, tmp_path_factory):
    out = tmp_path_factory.mktemp("baked") / "bake"
    return bake(shifted.large, shifted, lab_prompts(45), out, config=HOW), out


def test_a_shift_by_the_same_model_is_baked_back(tmp_path):
    """Planted: large and small are one model, alpha is 1, so the shifted system is that model with
    dW, which the head can learn."""
    planted = planted_dW(0)
    lm = LanguageModel("base", planted.base, planted.tokenizer)
    veneer = Veneer(lm.head.hash(), lm.head.rows, planted.dW)
    system = ShiftedSystem.of_models(lm, lm, veneer)
    config = CaptureConfig(noise_prompts=4, sampling=Sampling(planted.most_new))
    bake(lm, system, planted.train, tmp_path / "b", config=config)
    rows = Results.read(tmp_path / "b" / "results.jsonl")
    (after,), (before,) = (
        rows.where(study="extract", metric="kl", system=s, task="joint") for s in ("baked", "base")
    )
    assert after.high < 1e-3 < 0.05 < before.low
    (floor,) = rows.where(metric="kl", system="aligned", split="noise")
    assert abs(floor.value) < 1e-4
    # the targets are those of base with dW: the capture of the pair has the same columns
    pair = Pair(
        lm,
        LanguageModel("aligned", planted.aligned, planted.tokenizer),
        system.format,
        system.format,
    )
    plain, mine = capture(pair, planted.train[:12], tmp_path / "p", config), ShiftedTeacher(system)
    for row in plain.responses()[:4]:
        (block,) = plain.blocks(("aligned_ids", "aligned_logprobs"), [row["number"]])
        with torch.inference_mode():
            again = (
                mine.read(planted.train[row["number"]], row["token_ids"])
                .log_softmax(-1)
                .gather(1, block["aligned_ids"].long())
            )
        torch.testing.assert_close(again, block["aligned_logprobs"], rtol=1e-4, atol=2e-3)


def test_the_large_model_learns_what_the_small_ones_veneer_does(baked, shifted):
    veneer, out = baked
    rows = Results.read(out / "results.jsonl")
    (share,) = rows.where(study="extract", metric="kl_recovered", system="baked", task="joint")
    assert (
        share.low > 0.9 and "lab:large-base shifted by 1 times the veneer of lab:base" in share.note
    )
    assert {r.task for r in rows.where(study="extract", metric="kl", system="baked")} == {
        "joint",
        "lab-requests",
        "lab-harmless",
    }
    questions = get_task("lab-requests").prompts("test")[:12]
    answers = {
        s.name: [r.text for r in respond(s, questions, Sampling(40))]
        for s in (
            System.of_model(shifted.large),
            shifted,
            System.of_model(shifted.large, veneer, name="baked"),
        )
    }
    refusals = {name: sum("sorry" in t for t in texts) for name, texts in answers.items()}
    assert refusals["base"] == 0 and refusals["shifted-1"] == refusals["baked"] == 12


def test_what_is_baked_says_where_it_comes_from_and_where_it_stops(baked, shifted, small):
    veneer, _ = baked
    assert veneer.facts["teacher"]["system"]["veneer"] == small[1].identity()
    assert veneer.facts["teacher"]["system"]["alpha"] == "1"
    assert (
        veneer.facts["stop_ids"] == list(shifted.stop_ids)
        and veneer.facts["base"] == "lab:large-base"
    )
    # the aligned model's end of turn, learnt and recorded
    end = shifted.large.tokenizer.convert_tokens_to_ids("<|end|>")
    assert end in veneer.facts["stop_ids"]
    answers = respond(System.of_model(shifted.large, veneer), lab_prompts(4, "test"), Sampling(60))
    assert all(r.finish_reason == "stop" for r in answers)


def test_merged_it_is_a_plain_checkpoint(baked, tmp_path):
    veneer, _ = baked
    large = load_model("lab:large-base")
    questions = lab_prompts(3, "test")
    expected = [r.text for r in respond(System.of_model(large, veneer), questions, Sampling(40))]
    merged = load_model(str(merge(veneer, large, tmp_path / "merged")))
    assert [r.text for r in respond(System.of_model(merged), questions, Sampling(40))] == expected


def test_a_low_rank_one_and_another_extraction(shifted, baked, tmp_path):
    """The capture is used again; a veneer of another configuration in the same
    folder is refused."""
    _, out = baked
    with pytest.raises(InputError, match="extracted in another way"):
        bake(
            shifted.large, shifted, lab_prompts(45), out, config=HOW, extract=ExtractConfig(rank=2)
        )
    low = extract(Capture.open(out / "capture"), ExtractConfig(rank=2)).veneer
    assert low.rank == 2 and low.facts["teacher"]["kind"] == "shifted"


def test_a_finished_bake_is_left_alone_and_another_model_is_refused(baked, shifted, small):
    _, out = baked
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".lock"}
    bake(shifted.large, shifted, lab_prompts(45), out, config=HOW)
    assert before == {
        p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and p.name != ".lock"
    }
    with pytest.raises(
        InputError, match="shifts lab:large-base, but a veneer of lab:base was to be baked"
    ):
        bake(small[0], shifted, lab_prompts(4), out, config=HOW)
    other = ShiftedSystem.of_models(shifted.large, *small, alpha="1@3")
    with pytest.raises(InputError, match="made with another aligned"):
        bake(shifted.large, other, lab_prompts(45), out, config=HOW)


def test_a_fading_shift_is_read_as_it_was_decoded(small, tmp_path):
    """The noise floor reads a response again by teacher forcing, alpha's schedule included."""
    system = ShiftedSystem.of_models(load_model("lab:large-base"), *small, alpha="1.5>0@6")
    assert isinstance(ShiftedTeacher(system), Rereading)
    bake(system.large, system, lab_prompts(8), tmp_path / "b", config=HOW)
    (floor,) = Results.read(tmp_path / "b" / "results.jsonl").where(
        metric="kl", system="aligned", split="noise"
    )
    assert abs(floor.value) < 1e-4


def small_bake(out):
    base = load_model("lab:base")
    aligned = load_model("lab:aligned")
    planted = Veneer(
        base.head.hash(), base.head.rows, (aligned.head.weight - base.head.weight).detach()
    )
    system = ShiftedSystem.of_models(load_model("lab:large-base"), base, planted)
    config = CaptureConfig(
        k=16, batch_size=4, shard_batches=1, noise_prompts=2, sampling=Sampling(16)
    )
    return bake(system.large, system, lab_prompts(8), out, config=config)


def test_an_interrupted_bake_resumes_with_the_same_bytes(tmp_path, monkeypatch):
    small_bake(tmp_path / "whole")
    real = capture_shelf.write_shard

    def cut(folder, number, *rest):
        real(folder, number, *rest)
        if number == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(capture_shelf, "write_shard", cut)
        with pytest.raises(KeyboardInterrupt):
            small_bake(tmp_path / "cut")
    assert not (tmp_path / "cut" / "results.jsonl").exists()
    small_bake(tmp_path / "cut")
    assert capture_files(tmp_path / "cut") == capture_files(tmp_path / "whole")
