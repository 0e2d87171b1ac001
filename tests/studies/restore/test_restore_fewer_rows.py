"""A base's veneer on a compromised model without base's padding rows, as trainers resize it."""

import pytest
import torch

from shifting import reordered, some_veneer
from tiny import tiny, tokenizer
from veneer.studies.restore.methods import for_head_of


@pytest.mark.parametrize("kind", ["all", "rank", "bias", "only bias"])
@pytest.mark.parametrize("other_ids", [False, True])
def test_rows_that_the_compromised_model_lacks_are_left_out(kind, other_ids):
    named = len(tokenizer())
    base, lm = tiny(rows=448), tiny(seed=1, rows=named)
    new = torch.arange(named)
    if other_ids:
        lm, new = reordered(lm)
    veneer = some_veneer(base, kind)
    moved = for_head_of(veneer, lm, base)
    change = moved.apply(lm.head).weight - lm.head.weight
    torch.testing.assert_close(change[new], veneer.dense()[:named], rtol=1e-5, atol=1e-5)
    if veneer.bias is not None:
        shift = torch.zeros(448)
        shift[veneer.changed_rows()] = veneer.bias
        assert torch.equal(moved.apply(lm.head).bias[new], shift[:named])
