"""docs/models.md holds what the survey gives: every architecture right, or refused
in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from survey import KINDS, examine, read_page, version_of
from transformers import __version__

from veneer.models import step_weights
from veneer.models.load import load_model

AT = Path(__file__).resolve().parents[2] / "docs" / "models.md"
PAGE, VERSION = read_page(AT), version_of(AT)
# Windows, chunks, other names in the files, experts, recurrence, padding that is read, no
# causality; cpmant has no causal mask at all.
QUICK = [
    "llama",
    "mistral",
    "gpt_neo",
    "gpt_neox",
    "gemma3_text",
    "llama4_text",
    "mixtral",
    "mamba",
    "rwkv",
    "cpmant",
]


@pytest.fixture(autouse=True)
def steps_with_packed_weights(monkeypatch):
    """As models of a useful size take them."""
    monkeypatch.setattr(step_weights, "SMALLEST", 0)


@pytest.mark.skipif("inkling_text" not in KINDS, reason="this transformers has no such type")
def test_a_head_with_rows_that_have_no_logit(tmp_path):
    outcome = examine("inkling_text", tmp_path)
    assert outcome.result == "right", outcome
    lm = load_model(str(tmp_path / "merged"), device="cpu")
    assert (lm.head.rows, len(lm.model.get_output_embeddings().weight)) == (394, 400)


@pytest.mark.skipif("inkling2_text" not in KINDS, reason="this transformers has no such type")
def test_a_head_that_is_filled_up_when_it_is_saved(tmp_path):
    """transformers 5.24 keeps the rows that have a logit and saves more; 5.23 loads all."""
    outcome = examine("inkling2_text", tmp_path)
    assert outcome.result == "right", outcome
    assert load_model(str(tmp_path / "merged"), device="cpu").head.rows == 394


def check(kind: str, folder: Path) -> None:
    outcome = examine(kind, folder)
    assert outcome.result in ("right", "refused", "not built"), outcome
    assert outcome.result == PAGE[kind].result, outcome


@pytest.mark.parametrize("kind", QUICK)
def test_a_few_architectures_are_as_the_page_says(kind, tmp_path):
    check(kind, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_is_as_the_page_says(kind, tmp_path):
    if kind not in PAGE:
        pytest.skip("the page is of another version of transformers, which has no such type")
    check(kind, tmp_path)


def test_the_page_holds_every_architecture_that_its_version_of_transformers_lists():
    if __version__ != VERSION:
        pytest.skip(f"the page is of transformers {VERSION}, here is {__version__}")
    assert set(PAGE) == set(KINDS)


def test_the_page_holds_nothing_silently_wrong():
    assert PAGE and {o.result for o in PAGE.values()} <= {"right", "refused", "not built"}
    assert sum(o.result == "right" for o in PAGE.values()) > 0.9 * len(PAGE)
    assert all(o.note for o in PAGE.values() if o.result != "right")
