"""Log-likelihoods against one plain forward pass a pair with the model's own logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pairs import prompts
from tiny import ARCHITECTURES, tiny
from veneer.foundation.errors import InputError, VeneerError
from veneer.head.veneer import Veneer
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.head import Head
from veneer.models.in_context import FencedFormat
from veneer.prompts.prompt import Prompt
from veneer.systems import likelihood
from veneer.systems.likelihood import encode_pair, loglikelihoods, score_pairs
from veneer.systems.system import System

CHOICES = [" bread", " one two three", " The cat sat on the mat.", " s", " help"]


def plain_loop(system: System, pairs) -> list[tuple[float, bool, int]]:
    """No batch, no cache, no chunk: the model's own logits, or W' h of another head on
    its hidden states."""
    out = []
    for context, following in pairs:
        ids = torch.tensor([[*context, *following]])
        with torch.inference_mode():
            if system.head is None:
                logits = system.lm.model(input_ids=ids, use_cache=False).logits[0].double()
            else:
                logits = system.head.logits(
                    system.lm.backbone(input_ids=ids, use_cache=False).last_hidden_state[0]
                ).double()
        part = logits[len(context) - 1 : -1].log_softmax(-1)
        wanted = torch.tensor(following)
        out.append(
            (
                float(part.gather(1, wanted[:, None]).sum()),
                bool((part.argmax(-1) == wanted).all()),
                len(following),
            )
        )
    return out


def pairs_of(system: System, prompts, choices=CHOICES):
    return [encode_pair(system, p, c) for p in prompts for c in choices]


def check(system: System, pairs, batch_size: int) -> None:
    scores = score_pairs(system, pairs, batch_size=batch_size)
    for a, b in zip(scores, plain_loop(system, pairs), strict=True):
        assert a.logprob == pytest.approx(b[0], abs=2e-3) and a[1:] == b[1:]


@pytest.mark.parametrize("kind", [k for k in ARCHITECTURES if k not in ("phi", "olmo2")])
def test_equal_to_a_plain_forward_pass(kind):
    system = System.of_model(tiny(kind))
    questions = [
        *prompts(5),
        Prompt.from_text("tail", "How do I help, "),
        Prompt.from_text("long", "The cat sat on the mat. " * 5),
    ]
    check(system, pairs_of(system, questions), 12)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_whatever_the_batch(batch_size):
    system = System.of_model(tiny())
    check(system, pairs_of(system, prompts(4)), batch_size)


@pytest.mark.parametrize(
    "form",
    [ChatFormat(), ChatFormat("help"), PlainFormat("one {prompt} two"), FencedFormat("x", "Help.")],
)
def test_in_every_format(form):
    system = System.of_model(tiny(), format=form)
    pairs = pairs_of(system, prompts(3))
    for context, _ in pairs:
        assert context.count(system.lm.tokenizer.bos_token_id) == 1
    check(system, pairs, 8)


def test_a_veneers_head_counts():
    lm = tiny()
    draw = torch.Generator().manual_seed(5)
    veneer = Veneer(
        lm.head.hash(), lm.head.rows, torch.randn(lm.head.rows, lm.head.width, generator=draw)
    )
    system = System.of_model(lm, veneer)
    pairs = pairs_of(system, prompts(3))
    check(system, pairs, 7)
    own = score_pairs(replace(system, head=None), pairs)
    assert all(
        abs(a.logprob - b.logprob) > 1e-3
        for a, b in zip(own, score_pairs(system, pairs), strict=True)
    )


def test_greedy_is_what_decoding_says():
    from veneer.models.decode import Sampling

    system = System.of_model(tiny())
    questions = prompts(4)
    answers = system.decode(questions, Sampling(max_new_tokens=4), (), [p.id for p in questions])
    contexts = [system.format.encode(system.lm.tokenizer, p) for p in questions]
    pairs = [(c, d.token_ids) for c, d in zip(contexts, answers, strict=True)]
    assert all(x.is_greedy for x in score_pairs(system, pairs))
    other = [(c, [*t[:-1], (t[-1] + 1) % 300]) for c, t in pairs]
    assert not any(x.is_greedy for x in score_pairs(system, other))


def test_probabilities_of_all_next_tokens_sum_to_one():
    system = System.of_model(tiny())
    context = system.format.encode(system.lm.tokenizer, prompts(1)[0])
    scores = score_pairs(
        system, [(context, [i]) for i in range(system.lm.head.rows)], batch_size=100
    )
    assert sum(
        torch.tensor([x.logprob for x in scores], dtype=torch.float64).exp()
    ) == pytest.approx(1, abs=1e-5)
    assert sum(x.is_greedy for x in scores) == 1


def test_pairs_are_tokenised_as_in_the_harness():
    """White space at the end of the context goes to the continuation; no second BOS; an
    empty context is BOS."""
    system = System.of_model(tiny())
    tok = system.lm.tokenizer
    context, following = encode_pair(system, Prompt.from_text("a", "How do I bake "), "bread")
    assert (context, following) == encode_pair(
        system, Prompt.from_text("a", "How do I bake"), " bread"
    )
    assert (
        tok.decode(following) == " bread"
        and context[0] == tok.bos_token_id
        and tok.bos_token_id not in following
    )
    assert encode_pair(system, Prompt.from_text("a", ""), "bread")[0] == [tok.bos_token_id]
    chat = replace(system, format=ChatFormat())
    context, following = encode_pair(chat, Prompt.from_text("a", "How"), "bread")
    assert (
        context == chat.format.encode(tok, Prompt.from_text("a", "How"))
        and tok.decode(following) == "bread"
    )


def test_soft_capped_and_scaled_logits_are_capped_and_scaled():
    lm = tiny("gemma2")
    assert lm.head.softcap and isinstance(lm.head, Head)
    check(System.of_model(lm), pairs_of(System.of_model(lm), prompts(2)), 10)


def test_memory_that_runs_out(monkeypatch):
    system = System.of_model(tiny())
    pairs = pairs_of(system, prompts(3))
    whole = score_pairs(system, pairs, batch_size=15)
    real, sizes = likelihood._score, []

    def score(system, some, size):
        if len(some) > limit:
            raise torch.OutOfMemoryError("out of memory")
        sizes.append(len(some))
        return real(system, some, size)

    monkeypatch.setattr(likelihood, "_score", score)
    limit = 4
    halved = score_pairs(system, pairs, batch_size=15)
    assert max(sizes) <= 4 and [x.logprob for x in halved] == pytest.approx(
        [x.logprob for x in whole], abs=1e-4
    )
    limit = 0
    with pytest.raises(VeneerError, match="memory ran out for a single continuation"):
        score_pairs(system, pairs)


def test_contexts_once_short_continuations_unpadded_equal_pairs_once(monkeypatch):
    """Counts the positions that the backbone reads."""
    system = System.of_model(tiny())
    contexts = [c for c, _ in pairs_of(system, prompts(3), ["x"])]
    draw = torch.Generator().manual_seed(0)
    long, short = (
        [torch.randint(5, 200, (n,), generator=draw).tolist() for _ in contexts] for n in (40, 3)
    )
    pairs = [(c, f) for fs in (long, short, long) for c, f in zip(contexts, fs, strict=True)]
    system.lm.abilities.way(0)  # its trials read too
    assert system.lm.abilities.shares
    positions, real = [], type(system.lm).hidden

    def hidden(lm, ids, mask, cache=None):
        positions.append(ids.numel())
        return real(lm, ids, mask, cache)

    monkeypatch.setattr(type(system.lm), "hidden", hidden)
    scores = score_pairs(system, pairs, batch_size=3)
    assert sum(positions) <= sum(map(len, contexts)) + 3 * (40 + 3)
    assert scores[:3] == scores[6:]
    monkeypatch.undo()
    for a, b in zip(scores, plain_loop(system, pairs), strict=True):
        assert a.logprob == pytest.approx(b[0], abs=2e-3) and a[1:] == b[1:]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_shared_contexts_score_as_one_plain_pass_of_each_architecture(kind):
    """Copies of a cache, its windows among them, hold what a whole pass reads."""
    lm = tiny(kind)
    draw = torch.Generator().manual_seed(3)
    contexts, answers = (
        [torch.randint(10, 200, (n,), generator=draw).tolist() for n in lengths]
        for lengths in ((5, 9, 14), (1, 4, 17, 6))
    )
    pairs = [(c, f) for f in answers for c in contexts]
    scores = score_pairs(System.of_model(lm), pairs, batch_size=2)
    for (context, answer), score in zip(pairs, scores, strict=True):
        with torch.inference_mode():
            logs = lm.model(torch.tensor([context + answer])).logits[0].float().log_softmax(-1)
        rows = range(len(context) - 1, len(context) + len(answer) - 1)
        expected = sum(float(logs[row, token]) for row, token in zip(rows, answer, strict=True))
        assert score.logprob == pytest.approx(expected, abs=2e-3)


def test_done_names_every_pair_once():
    system = System.of_model(tiny())
    pairs = pairs_of(system, prompts(4)) * 2
    by_number = {}

    def done(numbers, scores):
        assert not set(numbers) & set(by_number)
        by_number.update(zip(numbers, scores, strict=True))

    result = score_pairs(system, pairs, batch_size=2, done=done)
    assert [by_number[i] for i in range(len(pairs))] == result


def test_bad_input():
    system = System.of_model(tiny())
    questions = prompts(1)
    with pytest.raises(InputError, match="no tokens"):
        loglikelihoods(system, questions, [["one", ""]])
    with pytest.raises(InputError, match="batch_size is 0"):
        loglikelihoods(system, questions, [["one"]], batch_size=0)
    with pytest.raises(InputError, match="do not fit"):
        small = System.of_model(tiny(max_position_embeddings=16))
        loglikelihoods(small, [Prompt.from_text("a", "bread " * 30)], [["one"]])


def test_shape_of_the_answer():
    scores = loglikelihoods(System.of_model(tiny()), prompts(3), [["one"], ["one", " two"], []])
    assert [len(x) for x in scores] == [1, 2, 0]
