"""Models on given texts, against plain computations, where ids differ as well."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from pairs import prompts
from tiny import tiny
from veneer.measures.given_texts import Passages, TextModel, exact_kl, plain_texts, texts_of_block
from veneer.models.formats import PlainFormat
from veneer.models.pair import Pair
from veneer.systems.system import System


def renamed_pair() -> tuple[Pair, dict[int, int]]:
    """Two models whose tokenizers exchange ids 300 and 301."""
    base, aligned = tiny("llama"), tiny("llama", seed=1)
    table = base.tokenizer.get_vocab()
    names = {i: token for token, i in table.items()}
    other = copy.deepcopy(aligned.tokenizer)
    other.get_vocab = lambda: {**table, names[300]: 301, names[301]: 300}
    aligned.tokenizer = other
    return Pair(base, aligned, PlainFormat(), PlainFormat()), {300: 301, 301: 300}


@pytest.fixture(scope="module")
def renamed():
    return renamed_pair()


def plain_logprobs(pair: Pair, names: dict[int, int], prompt, text: list[int]) -> torch.Tensor:
    """The aligned model's log-probabilities (n, V) of a text in base's ids, without any of
    Veneer's own reading."""
    before = pair.aligned.tokenizer(prompt.plain)["input_ids"]
    ids = torch.tensor([[*before, *(names.get(i, i) for i in text)]])
    logits = pair.aligned.model(ids).logits[0, len(before) - 1 : -1].detach()
    order = torch.arange(pair.vocabulary.size)
    order[300], order[301] = 301, 300
    return logits[:, order].log_softmax(-1)


def test_a_model_with_other_ids_reads_and_answers_in_the_texts_ids(renamed):
    pair, names = renamed
    prompt, text = prompts(1)[0], [300, 17, 301, 44]
    model = TextModel.aligned_of(pair)
    before = pair.aligned_format.encode(pair.aligned.tokenizer, prompt)
    (states,) = model.states([before], [text])
    expected = plain_logprobs(pair, names, prompt, text)
    torch.testing.assert_close(model.logits(states).log_softmax(-1), expected, rtol=1e-4, atol=1e-4)


def test_passages_sum_kl_and_nats_by_text(renamed):
    pair, names = renamed
    questions, texts = prompts(3), [(300, 17, 301), (44,), (9, 300)]
    passages = Passages(list(questions), texts, 0, (pair.aligned, pair.vocabulary))
    base = System("base", pair.base, pair.base_format, pair.stop_ids)
    aligned = System("aligned", pair.aligned, pair.aligned_format, pair.aligned_stop_ids)
    kl, nats = passages.kl(aligned, base), passages.nats(aligned)
    assert passages.lengths.tolist() == [3, 1, 2]
    for n, (prompt, text) in enumerate(zip(questions, texts, strict=True)):
        p = plain_logprobs(pair, names, prompt, list(text))
        before = pair.base.tokenizer(prompt.plain)["input_ids"]
        logits = pair.base.model(torch.tensor([[*before, *text]])).logits[0, len(before) - 1 : -1]
        q = logits.detach()[:, : pair.vocabulary.size].log_softmax(-1)
        assert np.isclose(kl[n], float(exact_kl(p, q).sum()), rtol=1e-3)
        assert np.isclose(
            nats[n], -float(p.gather(1, torch.tensor(text)[:, None]).sum()), rtol=1e-3
        )
    assert np.allclose(passages.kl(base, base), 0)


def test_texts_of_a_block_keep_its_order():
    block = {"prompt": torch.tensor([4, 4, 1, 1, 1]), "token": torch.tensor([7, 8, 5, 5, 6])}
    assert texts_of_block(block) == {4: [7, 8], 1: [5, 5, 6]}
    assert list(texts_of_block(block)) == [4, 1]


def test_plain_texts_are_each_read_once_behind_one_token():
    lm = tiny("llama")
    questions = [*prompts(2), *prompts(2)]
    texts = plain_texts(questions, lm)
    assert texts.prompts == [None, None] and texts.first == lm.tokenizer.bos_token_id
    assert lm.tokenizer.decode(list(texts.tokens[0])) == questions[0].messages[0]["content"]
