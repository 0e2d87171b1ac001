"""Extraction on planted and arbitrary pairs; every variant; the artefact."""

import json

import pytest
import torch

from pairs import chat_pair, plain_pair, small_capture
from veneer.foundation.errors import InputError
from veneer.head import ExtractConfig, Veneer
from veneer.head.config import PaperRecipe
from veneer.head.extract import extract
from veneer.head.split import Split
from veneer.head.token_blocks import Tokens
from veneer.head.token_sources import position_permutation, shuffled_blocks
from veneer.measures.held_out import held_out


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return small_capture(tmp_path_factory.mktemp("capture") / "c", plain_pair(change=0.4), n=150)


def report_kl(capture, extraction):
    seen = held_out(capture, extraction.veneer, extraction.split.report)
    return seen.kl_base.mean(), seen.kl_veneer.mean()


VARIANTS = {
    "residual": {},
    "direct": {"direct": True},
    "hidden": {"output": "hidden"},
    "hidden-direct": {"output": "hidden", "direct": True},
    "rank-4": {"rank": 4},
    "optimum": {"stop": "optimum", "ridge": 0.5},
    "every row": {"row_threshold": 0.0},
    "float64": {"dtype": "float64"},
    "paper": {"solver": "paper", "recipe": PaperRecipe(learning_rate=1e-2, epochs=60)},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_lowers_the_held_out_kl(capture, name, tmp_path):
    extraction = extract(capture, ExtractConfig(**VARIANTS[name]))
    base, veneer = report_kl(capture, extraction)
    assert veneer < (0.9 if name == "hidden-direct" else 0.75) * base
    back = Veneer.load(extraction.veneer.save(tmp_path / "v"))
    torch.testing.assert_close(back.dense(), extraction.veneer.dense(), rtol=0, atol=0)
    assert (
        json.loads((tmp_path / "v" / "veneer.json").read_text())["unembedding"]
        == capture.head.hash()
    )


def test_two_runs_agree(capture):
    first, second = (extract(capture, ExtractConfig()).veneer for _ in range(2))
    assert torch.equal(first.dense(), second.dense())


def test_low_rank_is_close_to_dense_as_rank_grows(capture):
    kls = [report_kl(capture, extract(capture, ExtractConfig(rank=r)))[1] for r in (1, 4, 16)]
    dense = report_kl(capture, extract(capture, ExtractConfig()))[1]
    assert kls[0] > kls[1] > dense * 0.9
    assert kls[2] < kls[0]


def test_no_difference_gives_exactly_no_change(tmp_path):
    """Planted truth 2: aligned := base."""
    same = small_capture(tmp_path / "c", plain_pair(change=0.0), n=40)
    extraction = extract(same)
    assert float(extraction.veneer.dense().abs().max()) < 1e-5
    assert extraction.veneer.facts["zero"] is True


def test_shuffled_states_recover_less_than_true_ones(capture):
    _, true = report_kl(capture, extract(capture))
    _, shuffled = report_kl(capture, extract(capture, ExtractConfig(shuffled=True)))
    assert true < shuffled


def test_the_shuffle_keeps_positions_and_mixes_prompts(capture):
    numbers = capture.prompt_numbers
    plain = list(Tokens.of_capture(capture, numbers, torch.float32, torch.device("cpu")))
    mixed = list(shuffled_blocks(capture, numbers, seed=0)())
    position = torch.cat([b["position"] for b in plain]).numpy()
    order = position_permutation(position, 0)
    assert (position[order] == position).all() and (order != range(len(order))).mean() > 0.9
    before, after = (torch.cat([b["hidden"] for b in blocks]) for blocks in (plain, mixed))
    assert torch.equal(after, before[torch.from_numpy(order)])
    for a, b in zip(plain, mixed, strict=True):
        assert torch.equal(a["aligned_ids"], b["aligned_ids"])
        logprobs = capture.head.logits(b["hidden"]).log_softmax(-1)
        torch.testing.assert_close(
            b["base_at_aligned"], logprobs.gather(1, b["aligned_ids"].long()), rtol=1e-4, atol=1e-3
        )
    shards = torch.cat([torch.full((len(b["position"]),), float(i)) for i, b in enumerate(plain)])
    # across shards, so across tasks
    assert (shards[torch.from_numpy(order)] != shards).float().mean() > 0.5


def test_gemma_and_granite_scale_and_bias(tmp_path):
    """dW lives before the architecture's own scale: head.logits with W + dW lowers the KL."""
    for kind in ("granite", "cohere", "phi", "gemma2"):
        capture = small_capture(tmp_path / kind, chat_pair(kind), n=60)
        base, veneer = report_kl(capture, extract(capture))
        assert veneer < base


def test_split_is_by_prompt_and_covers_everything():
    split = Split.by_prompt(range(50), ["a"] * 30 + ["b"] * 20, seed=0)
    assert sorted(split.train + split.select + split.report) == list(range(50))
    assert (len(split.train), len(split.select), len(split.report)) == (40, 5, 5)
    assert split.warning is None
    assert sum(n < 30 for n in split.report) == 3  # a task has its share
    assert split == Split.by_prompt(range(50), ["a"] * 30 + ["b"] * 20, seed=0)
    assert split != Split.by_prompt(range(50), ["a"] * 30 + ["b"] * 20, seed=1)
    few = Split.by_prompt(range(3), ["a"] * 3, seed=0)
    assert (len(few.train), len(few.select), len(few.report)) == (
        1,
        1,
        1,
    ) and few.warning == (
        "found 3 prompts for a veneer, fewer than 10: its select and report splits have 1 and 1"
    )
    with pytest.raises(InputError, match="found 2 prompts; expected at least 3"):
        Split.by_prompt(range(2), ["a"] * 2, seed=0)


def test_a_damaged_or_foreign_veneer_is_refused(capture, tmp_path):
    fitted = extract(capture).veneer
    folder = fitted.save(tmp_path / "v")
    with pytest.raises(InputError, match="belongs to the unembedding"):
        fitted.check_fits(chat_pair(scale=2.0).base)
    with pytest.raises(InputError, match=r"changes a head of \d+ x 32, but"):
        fitted.check_fits(chat_pair(hidden_size=16).base)
    path = folder / "veneer.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="is damaged"):
        Veneer.load(folder)
    with pytest.raises(InputError, match="does not exist"):
        Veneer.load(tmp_path)
    with pytest.raises(InputError, match="not finite"):
        Veneer("x", 2, torch.tensor([[float("nan")], [0.0]]))
    with pytest.raises(InputError, match="names row 7 of a vocabulary of 5"):
        Veneer("x", 5, torch.zeros(1, 1), torch.tensor([7]))


def test_unknown_tasks_and_options_are_refused(capture):
    with pytest.raises(InputError, match="no prompts of nonsense; it has prompts"):
        extract(capture, ExtractConfig(tasks=("nonsense",)))
    with pytest.raises(InputError, match="rank is 0"):
        ExtractConfig(rank=0)
    with pytest.raises(InputError, match="low-rank"):
        ExtractConfig(rank=3, output="hidden")
