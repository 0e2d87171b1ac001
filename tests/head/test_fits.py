"""A veneer fits its own base at any dtype, and no other model's head."""

import pytest
import torch

from pairs import plain_pair, small_capture
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.head import Veneer
from veneer.head.extract import extract
from veneer.head.low_rank import on_other_rows
from veneer.head.veneer import ROUNDED
from veneer.models.language_model import LanguageModel


def loaded_as(lm: LanguageModel, dtype: torch.dtype) -> LanguageModel:
    return LanguageModel(lm.name, lm.model.to(dtype), lm.tokenizer)


@pytest.fixture(scope="module")
def veneers(tmp_path_factory) -> dict[torch.dtype, Veneer]:
    """Veneers that were extracted from the same base at several dtypes, written and read back."""
    out = {}
    for dtype in (torch.float32, torch.bfloat16):
        pair, folder = plain_pair(change=0.4), tmp_path_factory.mktemp("v")
        pair.base, pair.aligned = loaded_as(pair.base, dtype), loaded_as(pair.aligned, dtype)
        fitted = extract(small_capture(folder / "c", pair, n=12)).veneer
        out[dtype] = Veneer.load(fitted.save(folder / "v"))
    return out


@pytest.mark.parametrize("of", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_veneer_fits_its_base_at_another_dtype(veneers, of, dtype):
    base = loaded_as(tiny(), dtype)
    veneers[of].check_fits(base)
    changed = veneers[of].apply(base.head).weight
    assert changed.dtype == dtype
    exact = base.head.weight.float() + veneers[of].dense()
    assert torch.equal(changed, exact.to(dtype))  # rounded once


def test_a_veneer_from_float32_fits_its_base_in_float16(veneers):
    veneers[torch.float32].check_fits(loaded_as(tiny(), torch.float16))


@pytest.mark.parametrize("of", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_another_head_is_refused_at_every_dtype(veneers, of, dtype):
    with pytest.raises(InputError, match="give the base that it was extracted from"):
        veneers[of].check_fits(loaded_as(tiny(seed=5), dtype))


def test_a_head_that_only_rounds_to_the_same_numbers_is_another_one(veneers):
    other = tiny()
    with torch.no_grad():
        weight = other.model.get_output_embeddings().weight
        weight.copy_(weight.bfloat16().float())  # equal to base's after rounding to bfloat16
    with pytest.raises(InputError, match="give the base that it was extracted from"):
        veneers[torch.float32].check_fits(LanguageModel(other.name, other.model, other.tokenizer))


def test_a_veneer_without_recorded_roundings_names_the_mend(veneers):
    """As version 0.1.0 wrote them."""
    old = veneers[torch.float32]
    old = Veneer(
        old.unembedding,
        old.vocabulary,
        old.dW,
        old.rows,
        facts={k: v for k, v in old.facts.items() if k != ROUNDED},
    )
    old.check_fits(tiny())
    with pytest.raises(InputError, match="load it with --dtype float32"):
        old.check_fits(loaded_as(tiny(), torch.bfloat16))


def test_a_change_for_another_head_forgets_the_roundings_of_the_first(veneers):
    other = tiny(seed=5)
    moved = on_other_rows(veneers[torch.float32], None, other.head.hash(), other.head.rows)
    moved.check_fits(other)
    with pytest.raises(InputError):
        moved.check_fits(loaded_as(tiny(), torch.bfloat16))


def test_a_head_in_half_precision_has_no_roundings_to_record(veneers):
    assert ROUNDED not in veneers[torch.bfloat16].facts
    assert set(veneers[torch.float32].facts[ROUNDED]) == {"bfloat16", "float16"}
