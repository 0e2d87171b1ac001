"""The planted pairs are what they claim to be."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from tools.lab.measure import answers
from tools.lab.planted import PlantedPair, planted_blind, planted_dW, planted_identity
from tools.lab.planted_text import KEYS


def share(pair: PlantedPair, model) -> float:
    texts = answers(model, pair.tokenizer, pair.test, False, most=pair.most_new)
    return sum(map(pair.correct, pair.test, texts)) / len(texts)


@pytest.mark.parametrize("make", [planted_dW, planted_identity, planted_blind])
def test_a_pair_is_untied_separate_and_has_disjoint_prompts(make):
    pair = make(0)
    for model in (pair.base, pair.aligned):
        assert not model.config.tie_word_embeddings and not model.training
        assert model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr()
    base, aligned = ({p.data_ptr() for p in m.parameters()} for m in (pair.base, pair.aligned))
    assert not base & aligned
    assert not {p.plain for p in pair.train} & {p.plain for p in pair.test}
    assert len({p.id for p in pair.train + pair.test}) == len(pair.train + pair.test)


@torch.no_grad()
def test_planted_change_gives_the_aligned_logits_exactly_and_changes_the_score():
    pair = planted_dW(0)
    ids = pair.tokenizer([pair.test[0].plain], return_tensors="pt")["input_ids"]
    h = pair.base.model(ids).last_hidden_state
    assert pair.dW is not None and torch.linalg.matrix_rank(pair.dW) == 4
    torch.testing.assert_close(pair.aligned(ids).logits, h @ (pair.base.lm_head.weight + pair.dW).T)
    assert torch.equal(h, pair.aligned.model(ids).last_hidden_state)
    assert share(pair, pair.base) < 0.5 and share(pair, pair.aligned) > 0.9


@torch.no_grad()
def test_identity_changes_nothing():
    pair = planted_identity(0)
    ids = pair.tokenizer([pair.test[0].plain], return_tensors="pt")["input_ids"]
    assert torch.equal(pair.base(ids).logits, pair.aligned(ids).logits)
    assert pair.dW is not None and not pair.dW.any()


@torch.no_grad()
def test_the_blind_base_cannot_hold_the_key_and_the_aligned_model_does():
    pair = planted_blind(0)
    assert all(not layer.self_attn.o_proj.weight.any() for layer in pair.base.model.layers)
    one = pair.test[0].plain
    other = one.replace(
        pair.test[0].reference["answer"],
        next(k for k in KEYS if k != pair.test[0].reference["answer"]),
    )
    ids = pair.tokenizer([one, other], return_tensors="pt")["input_ids"]
    differ = (ids[0] != ids[1]).nonzero().flatten()
    assert len(differ) == 1 and differ[0] < 4
    h = pair.base.model(ids).last_hidden_state
    assert torch.equal(h[0, differ[0] + 1 :], h[1, differ[0] + 1 :])
    logits = pair.aligned(ids).logits[:, -1]
    assert not torch.allclose(pair.aligned.model(ids).last_hidden_state[0, -1], h[0, -1])
    assert not torch.equal(logits[0], logits[1])
    assert share(pair, pair.aligned) > 0.9


@torch.no_grad()
def test_no_head_beats_one_key_in_eight():
    """All prompts end with one token and share their last state, so any head answers
    all of them alike."""
    pair = planted_blind(0)
    counts = Counter(p.reference["answer"] for p in pair.test)
    assert set(counts.values()) == {len(pair.test) // len(KEYS)}
    last = torch.stack(
        [
            pair.base.model(
                pair.tokenizer(p.plain, return_tensors="pt")["input_ids"]
            ).last_hidden_state[0, -1]
            for p in pair.test
        ]
    )
    assert torch.equal(last, last[:1].expand_as(last))
    pair.base.lm_head.weight.add_(
        pair.base.lm_head.weight.std() * torch.randn_like(pair.base.lm_head.weight)
    )
    assert len(set(answers(pair.base, pair.tokenizer, pair.test, False, most=pair.most_new))) == 1
    assert share(pair, pair.base) <= 1 / len(KEYS)
