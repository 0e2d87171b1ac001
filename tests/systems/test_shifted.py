"""A large model shifted by a small one's veneer: equal to what is known in the planted cases, and
to the formula in the others."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace

import pytest
import torch

from pairs import prompts
from shifting import padded, reordered, some_veneer
from tiny import tiny, tokenizer
from veneer.foundation.errors import InputError, VeneerError
from veneer.head.veneer import Veneer
from veneer.models.decode import Row, Sampling, decode_steps, decode_with
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.head import Head
from veneer.models.language_model import LanguageModel
from veneer.systems import System
from veneer.systems.alpha import Alpha
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem

GREEDY, SAMPLED = Sampling(14), Sampling(14, 1.0, 0.9, 3, top_k=50)
KINDS = ("rows", "all", "rank", "rank on rows", "bias", "only bias")


def ids(answers):
    return [(a.token_ids, a.text, a.finish_reason) for a in answers]


def formula(system: ShiftedSystem, prompt, response) -> torch.Tensor:
    """Logits (n, V) from which an answer's tokens are predicted, from both models' own forward
    passes over the whole text, the shift in float64, as large as in the small model's logits,
    between the large head's matrix and its scale and cap. Both models share their ids here."""
    (own,), (small,) = system.encode([prompt])
    n = len(response)
    with torch.inference_mode():
        hidden, small_hidden = (
            lm.backbone(
                input_ids=torch.tensor([[*p, *response]]), use_cache=False
            ).last_hidden_state[0, len(p) - 1 : -1]
            for lm, p in ((system.large, own), (system.small, small))
        )
    head, veneer = system.large.head, system.made_of
    raw = Head(head.weight, head.bias).logits(hidden).double()
    alpha = torch.tensor([system.alpha.at(t) for t in range(1, n + 1)], dtype=torch.float64)
    shift = small_hidden.double() @ veneer.dense().double().T
    if veneer.bias is not None:
        shift[:, veneer.changed_rows()] += veneer.bias.double()
    shift[:, len(system.small.tokenizer) :] = 0  # padding rows
    shift *= system.small.head.scale / head.scale
    shift = (
        torch.nn.functional.pad(shift, (0, raw.shape[1] - shift.shape[1]))
        if raw.shape[1] > shift.shape[1]
        else shift
    )
    return head.transform(raw + alpha[:, None] * shift[:, : raw.shape[1]])


@pytest.mark.parametrize("how", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("kind", ["llama", "gemma2", "granite", "cohere", "mamba", "phi"])
def test_one_model_as_large_and_small_is_the_veneered_system(kind, how):
    """Token by token; a soft cap, a scale and a bias of the head come behind the shift."""
    lm = tiny(kind)
    veneer = some_veneer(lm)
    questions = prompts(7)
    veneered = respond(System.of_model(lm, veneer), questions, how, batch_size=4)
    assert ids(
        respond(ShiftedSystem.of_models(lm, lm, veneer), questions, how, batch_size=4)
    ) == ids(veneered)
    half = respond(System.of_model(lm, veneer, alpha=0.5), questions, how, batch_size=4)
    assert ids(
        respond(ShiftedSystem.of_models(lm, lm, veneer, alpha=0.5), questions, how, batch_size=4)
    ) == ids(half)
    base = System("base", lm, PlainFormat(), tuple({*lm.stop_ids, 9}))
    plain = respond(base, questions, how, batch_size=4)
    assert ids(plain) != ids(veneered)
    assert ids(
        respond(ShiftedSystem.of_models(lm, lm, veneer, alpha=0), questions, how, batch_size=4)
    ) == ids(plain)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_veneer_shifts(kind):
    lm = tiny()
    veneer = some_veneer(lm, kind)
    questions = prompts(5)
    expected = respond(System.of_model(lm, replace_padding(veneer, lm)), questions, GREEDY)
    assert ids(respond(ShiftedSystem.of_models(lm, lm, veneer), questions, GREEDY)) == ids(expected)


def replace_padding(veneer: Veneer, lm: LanguageModel) -> Veneer:
    """The veneer without what it does to rows that no tokenizer names, and whose effect a shifted
    system leaves out."""
    if veneer.rows is not None:
        return veneer
    dense = veneer.dense()
    dense[len(lm.tokenizer) :] = 0
    return Veneer(veneer.unembedding, veneer.vocabulary, dense, facts=veneer.facts)


@pytest.mark.parametrize("alpha", ["1", "-0.7", "2@3", "1.5>0@6", "1.5>0.2@4", "2~2"])
@pytest.mark.parametrize("kind", ["llama", "gemma2", "granite"])
def test_logits_are_the_formula_while_decoding_and_teacher_forced(kind, alpha):
    """A batch of different lengths in two formats: the logits that decoding saw, those of
    forced_logits, and both models' own."""
    large, small = tiny(kind, seed=1), tiny(seed=0)
    system = shifted_with(
        large, small, some_veneer(small, "bias"), alpha=alpha, format=ChatFormat()
    )
    questions = prompts(6)
    seen: list[list[torch.Tensor]] = [[] for _ in questions]

    def watch(rows, hidden, logits):
        for place, row in enumerate(rows):
            seen[row].append(logits[place])

    rows = [Row(Sampling(3 + i)) for i in range(6)]
    responses = [[] for _ in questions]
    for tokens in decode_steps(system.stepper(questions), rows, stop_ids=(), watch=watch):
        for t in tokens:
            responses[t.row].append(t.id)
    forced = list(system.forced_logits(questions, responses, chunk=7))
    assert max(len(c) for c in forced) <= 7
    forced = torch.cat(forced).split([len(r) for r in responses])
    for prompt, response, watched, read in zip(questions, responses, seen, forced, strict=True):
        own = formula(system, prompt, response)
        torch.testing.assert_close(torch.stack(watched).double(), own, rtol=1e-4, atol=2e-3)
        torch.testing.assert_close(read.double(), own, rtol=1e-4, atol=2e-3)
        assert torch.stack(watched).argmax(-1).tolist() == response
    assert list(system.forced_logits(questions[:2], [(), ()])) == []


def shifted_with(large, small, veneer, **words) -> ShiftedSystem:
    system = ShiftedSystem.of_models(large, small, veneer, **words)
    object.__setattr__(system, "made_of", veneer)
    return system


@pytest.mark.parametrize("how", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_padded_batch_answers_as_single_rows_do(how):
    system = ShiftedSystem.of_models(
        tiny(seed=1), tiny(), some_veneer(tiny()), format=ChatFormat(), alpha="1.5>0.5@6"
    )
    questions = prompts(9)
    alone = [respond(system, [p], how)[0] for p in questions]
    assert (
        ids(respond(system, questions, how, batch_size=9))
        == ids(respond(system, questions, how, batch_size=4))
        == ids(alone)
    )


def test_another_order_of_the_vocabulary_changes_no_word():
    small, large = tiny(), tiny(seed=1)
    veneer = some_veneer(small)
    questions = prompts(6)
    plain = respond(ShiftedSystem.of_models(large, small, veneer), questions, GREEDY)
    for a, b, to_new in (
        (reordered(large)[0], small, reordered(large)[1]),
        (large, reordered(small)[0], None),
    ):
        moved = veneer if b is small else in_new_order(veneer, b, reordered(small)[1])
        responses = respond(ShiftedSystem.of_models(a, b, moved), questions, GREEDY)
        assert [r.text for r in responses] == [r.text for r in plain]
        expected = [
            r.token_ids if to_new is None else tuple(to_new[list(r.token_ids)].tolist())
            for r in plain
        ]
        assert [r.token_ids for r in responses] == expected


def in_new_order(veneer: Veneer, lm: LanguageModel, new: torch.Tensor) -> Veneer:
    return Veneer(
        lm.head.hash(), veneer.vocabulary, veneer.dW, new[veneer.rows], facts=veneer.facts
    )


@pytest.mark.parametrize(("large_more", "small_more"), [(0, 5), (9, 2), (3, 3)])
def test_padding_rows_get_no_shift(large_more, small_more):
    """The large model may have fewer or more rows beyond the tokenizer; what a veneer does to
    them stays behind."""
    large, small = padded(more=large_more, seed=1), padded(more=small_more)
    system = shifted_with(large, small, some_veneer(small, "all", stop_ids=()))
    tokens = len(small.tokenizer)
    assert system.shift.rows.tolist() == list(range(tokens))
    (prompt,) = prompts(1)
    response = [30, 40, tokens - 1]
    logits = torch.cat(list(system.forced_logits([prompt], [response])))
    torch.testing.assert_close(
        logits.double(), formula(system, prompt, response), rtol=1e-4, atol=2e-3
    )
    with torch.inference_mode():
        alone = large.model(
            input_ids=torch.tensor([[*system.encode([prompt])[0][0], *response]])
        ).logits[0, -4:-1]
    torch.testing.assert_close(logits[:, tokens:], alone[:, tokens:], rtol=1e-4, atol=1e-4)


def test_a_padding_token_of_the_large_model_is_read_by_the_small_one():
    """Nothing forbids a model to choose a row that has no text; the small model may
    not even have it."""
    large, small = padded(more=20, seed=1), padded(more=2)
    system = ShiftedSystem.of_models(large, small, some_veneer(small))
    last = large.head.rows - 1
    assert system.shift.small_ids(torch.tensor([last, 5])).tolist() == [small.pad_id, 5]
    (answer,) = decode_with(
        system.stepper(prompts(1)), Sampling(4, logit_bias=((last, 1e6),)), stop_ids=system.stop_ids
    )
    assert answer.token_ids == (last,) * 4 and answer.text == ""


def test_an_end_token_in_a_spare_row_ends_answers():
    """An aligned model that took a spare row for its end of turn: no tokenizer here names it,
    the veneer does."""
    lm = tiny()
    spare = len(lm.tokenizer) + 1
    dense = torch.zeros(lm.head.rows, lm.head.width)
    questions = prompts(3)
    with torch.inference_mode():
        (own,) = System.of_model(lm).stepper(questions[:1])._reader.hidden()
    dense[spare] = 40 * own / own.norm() ** 2
    veneer = Veneer(lm.head.hash(), lm.head.rows, dense, facts={"stop_ids": [spare]})
    system = ShiftedSystem.of_models(lm, lm, veneer)
    assert spare in system.stop_ids
    (answer,) = respond(system, questions[:1], GREEDY)
    assert answer.token_ids == (spare,) and answer.finish_reason == "stop"


def test_the_small_model_rests_where_alpha_is_zero_for_good(monkeypatch):
    large, small = tiny(seed=1), tiny()
    passes = []
    real = LanguageModel.hidden
    monkeypatch.setattr(
        LanguageModel, "hidden", lambda self, *a: (passes.append(self), real(self, *a))[1]
    )
    for alpha, most in (("1", 12), ("1.5@4", 4), ("1>0@4", 3), ("0", 0)):
        passes.clear()
        system = ShiftedSystem.of_models(large, small, some_veneer(small), alpha=alpha)
        (out,) = decode_with(system.stepper(prompts(1)), Sampling(12), stop_ids=())
        assert len(out.token_ids) == 12
        assert sum(p is small for p in passes) == most and sum(p is large for p in passes) == 12


def test_stop_strings_and_barred_ends():
    lm = tiny()
    system = ShiftedSystem.of_models(lm, lm, some_veneer(lm), alpha=1)
    questions = prompts(6)
    free = respond(system, questions, GREEDY)
    piece = free[0].text[2:4]
    cut = respond(system, questions, GREEDY, stop_strings=(piece,))
    assert (
        cut[0].text == free[0].text[: free[0].text.index(piece)] and cut[0].finish_reason == "stop"
    )
    own = respond(replace(system, stop=(piece,)), questions, GREEDY)
    assert ids(own) == ids(cut) and replace(system, stop=(piece,)).facts()["stop"] == [piece]


def test_log_probabilities_come_with_the_tokens():
    """Of the shifted distribution itself, whatever sampling, penalties and bars make of it; rows
    can be given up."""
    large, small = tiny(seed=1), tiny()
    system = shifted_with(large, small, some_veneer(small), alpha="1.5~4")
    questions = prompts(4)
    rows = [
        Row(Sampling(10), "a"),
        Row(Sampling(10, 2.0, top_k=9, seed=1), "b"),
        Row(Sampling(10, repetition_penalty=1.8, min_new_tokens=9), "c"),
        Row(Sampling(5, 1.0), "d"),
    ]
    given_up: set[int] = set()
    by_row = [[] for _ in rows]
    for step, tokens in enumerate(
        decode_steps(system.stepper(questions), rows, stop_ids=(), logprobs=3, given_up=given_up),
        start=1,
    ):
        for t in tokens:
            by_row[t.row].append(t)
        if step == 6:
            given_up.add(1)
    assert [len(t) for t in by_row] == [10, 6, 10, 5]
    assert [t[-1].finish_reason for t in by_row] == ["length", None, "length", "length"]
    for prompt, tokens in zip(questions, by_row, strict=True):
        ids = [t.id for t in tokens]
        own = formula(system, prompt, ids).log_softmax(-1)
        assert [t.logprob for t in tokens] == pytest.approx(
            own.gather(-1, torch.tensor(ids)[:, None])[:, 0].tolist(), abs=2e-3
        )
        for t, row in zip(tokens, own, strict=True):
            best = row.topk(3)
            assert [p for _, p in t.top] == pytest.approx(best.values.tolist(), abs=2e-3)
            assert t.top[0][0] == int(best.indices[0])
    bare = next(decode_steps(system.stepper(questions), rows, stop_ids=(), logprobs=0))
    assert bare[0].top == () and bare[0].logprob == by_row[0][0].logprob
    none = next(decode_steps(system.stepper(questions), rows, stop_ids=()))
    assert none[0].top == () and none[0].logprob is None and none[0].id == by_row[0][0].id


def test_facts_hold_what_decides_answers():
    large, small = tiny(seed=1), tiny()
    veneer = some_veneer(small)
    make = ShiftedSystem.of_models
    plain = make(large, small, veneer)
    assert (
        plain.name == "shifted-1"
        and make(large, small, veneer, alpha="1.5@10").name == "shifted-1.5@10"
    )
    others = [
        make(tiny(seed=2), small, veneer),
        make(large, small, veneer.scaled(2.0)),
        make(large, small, veneer, alpha=0.5),
        make(large, small, veneer, format=ChatFormat()),
        make(large, small, veneer, small_format=ChatFormat()),
        make(large, tiny(), some_veneer(small, stop_ids=(8,))),
        replace(plain, stop=("x",)),
    ]
    texts = [json.dumps(s.facts() | {"name": ""}) for s in (plain, *others)]
    assert len(set(texts)) == len(texts)
    again = make(large, small, veneer, name="mine")
    assert again.name == "mine" and json.dumps(again.facts() | {"name": ""}) == texts[0]


def test_formats_lengths_and_the_shorter_context():
    small = tiny(max_position_embeddings=64)
    system = ShiftedSystem.of_models(
        tiny(seed=1), small, some_veneer(small, base_format={"kind": "chat", "system": "Be kind."})
    )
    assert system.format == PlainFormat() and system.small_format == ChatFormat("Be kind.")
    assert system.longest() == 64
    own, other = system.encode(prompts(3))
    assert system.prompt_tokens(prompts(3)) == [
        max(len(a), len(b)) for a, b in zip(own, other, strict=True)
    ]
    with pytest.raises(InputError, match="context"):
        respond(system, prompts(3), Sampling(60))


def test_what_does_not_fit_is_refused():
    large, small = tiny(seed=1), tiny()
    veneer = some_veneer(small)
    with pytest.raises(InputError, match="give the base"):
        ShiftedSystem.of_models(large, large, veneer)
    with pytest.raises(InputError, match=r"1\.5@10"):
        ShiftedSystem.of_models(large, small, veneer, alpha="much")
    other = LanguageModel("other", large.model, tokenizer(("<|more|>",)))
    with pytest.raises(InputError, match="expected two models with one tokenizer"):
        ShiftedSystem.of_models(other, small, veneer)


def test_weights_that_are_not_finite_are_named():
    large, small = tiny(seed=1), tiny()
    veneer = some_veneer(small)
    system = ShiftedSystem.of_models(large, small, veneer)
    with torch.no_grad():
        small.model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(VeneerError, match="not finite at response position 1"):
        respond(system, prompts(2), GREEDY)


def test_a_killed_run_resumes_and_ends_with_the_same_file(tmp_path, monkeypatch):
    """kill -9 between two batches, in a process of its own."""
    system = ShiftedSystem.of_models(tiny(seed=1), tiny(), some_veneer(tiny()), alpha="1~6")
    questions = prompts(8)
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    expected = respond(system, questions, SAMPLED, batch_size=2, out=whole)
    real, count = ShiftedSystem.decode, [0]

    def decode(self, *args):
        count[0] += 1
        if count[0] == 3:
            time.sleep(600)  # until it is killed
        return real(self, *args)

    monkeypatch.setattr(ShiftedSystem, "decode", decode)
    child = os.fork()
    if child == 0:
        respond(system, questions, SAMPLED, batch_size=2, out=cut)
        os._exit(0)
    part = tmp_path / "cut.jsonl.part"
    # it stops there until it is killed
    while not (part.is_file() and part.read_bytes().count(b"\n") >= 3):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended before two batches were kept"
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL and not cut.exists()
    count[0] = 10
    assert respond(system, questions, SAMPLED, batch_size=2, out=cut) == expected
    assert count[0] == 12, "two of four batches were there"
    assert cut.read_bytes() == whole.read_bytes() and not part.exists()
    with pytest.raises(InputError, match="other settings"):
        respond(
            ShiftedSystem.of_models(tiny(seed=1), tiny(), some_veneer(tiny()), alpha="1~7"),
            questions,
            SAMPLED,
            batch_size=2,
            out=cut,
        )


def test_alpha_may_be_an_object():
    lm = tiny()
    assert ShiftedSystem.of_models(
        lm, lm, some_veneer(lm), alpha=Alpha(1.5, steps=3)
    ).alpha == Alpha.parse("1.5@3")
