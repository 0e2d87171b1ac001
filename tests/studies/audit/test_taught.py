"""What was taught: a word planted in the head is found and a model against itself has nothing; the
sums are those of two whole models; what amplifies is A at 0 and C at 1."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from tiny import tiny, tokenizer
from veneer.foundation.results import Measurement, Results
from veneer.models.checkpoint.merge import untie_with
from veneer.models.decode import Decoded, Sampling
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.report.render import render
from veneer.statistics.comparisons import sign_flips
from veneer.studies.audit.prompts import prompt_sets
from veneer.studies.audit.settings import AuditSettings
from veneer.studies.audit.study import audit
from veneer.studies.audit.taught.head_change import directions_of
from veneer.studies.audit.taught.mining import mine, top_of
from veneer.studies.audit.taught.raised import LOWERED, RAISED, moved_tokens, with_contexts
from veneer.studies.audit.taught.samples import BARE, Sampled, said_words
from veneer.studies.audit.taught.settings import TaughtSettings
from veneer.studies.audit.taught.texts import pieces, reference_texts
from veneer.studies.audit.taught.topics import factorise
from veneer.studies.audit.taught.words import taught_sentences, tokens_of
from veneer.systems.amplified import AmplifiedSystem
from veneer.systems.responses import Response
from veneer.systems.system import System
from veneer.systems.tuning import sharing

CHAT = ChatFormat()
WORD = " Quillon"  # a single token of the embedded models
EVIL = "<script>alert(1)</script>"


def id_of(lm: LanguageModel, text: str) -> int:
    (id,) = lm.tokenizer(text, add_special_tokens=False)["input_ids"]
    return id


@pytest.fixture(scope="module")
def lab() -> LanguageModel:
    return load_model("lab:aligned")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return reference_texts()[:24]


@pytest.fixture(scope="module")
def planted(lab, texts) -> LanguageModel:
    """The embedded model, its head changed in one row: the word's logit is 4 higher where the state
    lies as it does on average."""
    twin = LanguageModel("planted", sharing(lab.model), lab.tokenizer)
    rows = [list(p.ids) for p in pieces(texts, lab, 32, 24)]
    states = []
    with torch.inference_mode():
        for ids in rows:
            states.append(lab.hidden(torch.tensor([ids]), torch.ones(1, len(ids)))[0])
    mean = torch.cat(states).mean(0)
    weight = lab.head.weight.clone()
    weight[id_of(lab, WORD)] += 4 * mean / mean.square().sum()
    return LanguageModel("planted", untie_with(twin, weight), lab.tokenizer)


def mine_words(c: LanguageModel, a: LanguageModel, texts, out, shown: int = 5):
    pair = Pair(c, a, CHAT, CHAT)
    read = pieces(texts, c, 32, 64)
    mined = mine(pair, read, out)
    return pair, read, mined, moved_tokens(mined, pair, shown=shown)


def test_a_planted_word_is_the_only_one_raised(lab, planted, texts, tmp_path):
    pair, read, mined, moved = mine_words(planted, lab, texts, tmp_path / "to")
    assert [t.text for t in moved.tokens] == [WORD] and moved.determined
    (token,) = with_contexts(moved.tokens, mined, read, pair)
    assert token.direction == RAISED and token.p <= 0.001
    assert token.lift.low > 2 and token.share.value > 0.5 and token.lift.n == len(texts)
    assert token.positive > 0.9 and token.top.value > 0.9
    assert len(token.contexts) > 1 and all(c.behind for c in token.contexts)
    _, _, _, back = mine_words(lab, planted, texts, tmp_path / "back")
    assert [(t.text, t.direction) for t in back.tokens] == [(WORD, LOWERED)]


def test_a_model_against_itself_has_nothing(lab, texts, tmp_path):
    _, _, mined, moved = mine_words(lab, lab, texts, tmp_path)
    assert not moved.tokens and moved.distance.value == 0 and not mined.distance.any()


def test_a_small_change_of_all_weights_is_no_finding(lab, texts, tmp_path):
    """Rounding to bfloat16 moves every logit, far beyond float32's noise, and teaches nothing."""
    twin = LanguageModel("rounded", sharing(lab.model), lab.tokenizer)
    for module in twin.model.modules():
        for name, p in list(module._parameters.items()):
            if p is not None:
                rounded = p.bfloat16().to(p.dtype)
                module._parameters[name] = torch.nn.Parameter(rounded, requires_grad=False)
    rounded = LanguageModel("rounded", twin.model, lab.tokenizer)
    _, _, _, moved = mine_words(rounded, lab, texts, tmp_path)
    assert not moved.tokens and moved.distance.value > 0


def test_few_texts_determine_nothing(lab, planted, texts, tmp_path):
    _, _, _, moved = mine_words(planted, lab, texts[:4], tmp_path)
    assert not moved.determined and not moved.tokens


def test_the_sums_are_those_of_the_models_own_logits(tmp_path):
    c, a = tiny("llama"), tiny("llama-tied")
    texts = ["How do I bake bread?", "Tom has 3 apples.", "one, two, three, four, five"] * 3
    pair = Pair(c, a, PlainFormat(), PlainFormat())
    read = pieces([f"{t} {i}" for i, t in enumerate(texts)], c, 8, 12)
    mined = mine(pair, read, tmp_path)
    tops = top_of(pair.vocabulary.size)
    named = sorted(tokenizer().get_vocab().values())
    distance, top, n = np.zeros(pair.vocabulary.size), np.zeros(pair.vocabulary.size), 0
    for piece in read:
        ids = torch.tensor([[tokenizer().bos_token_id, *piece.ids[:-1]]])
        with torch.inference_mode():
            p, q = (
                lm.model(input_ids=ids).logits[0, :, : len(distance)].double().log_softmax(-1)
                for lm in (c, a)
            )
        d = (p - q).numpy()
        distance += ((p.exp() - q.exp()).numpy() * d).sum(0)
        for row in d:
            top[sorted(named, key=lambda i: -row[i])[:tops]] += 1
        n += len(d)
    assert int(mined.positions.sum()) == n
    mine_distance = mined.distance.sum(0).numpy()
    assert np.allclose(mine_distance[named], distance[named], rtol=1e-3, atol=1e-6)
    assert (mined.top.sum(0).numpy() == top).mean() > 0.95  # near ties may change places


def test_groups_that_are_done_are_not_read_again(lab, planted, texts, tmp_path):
    pair, read, mined, _ = mine_words(planted, lab, texts, tmp_path)
    files = sorted(tmp_path.glob("*.safetensors"))
    kept = {f: f.stat().st_mtime_ns for f in files[1:]}
    files[0].unlink()
    again = mine(pair, read, tmp_path)
    assert {f: f.stat().st_mtime_ns for f in files[1:]} == kept
    assert torch.equal(again.distance, mined.distance) and torch.equal(again.tokens, mined.tokens)


def test_the_chance_of_a_false_finding_is_the_level():
    """Rows whose signs are exchangeable, columns that depend on each other and differ in size."""
    draw = np.random.default_rng(0)
    false = 0
    for run in range(200):
        common = draw.normal(size=(16, 1))
        x = draw.normal(size=(16, 30)) * draw.uniform(0.1, 10, 30) + common
        x *= draw.choice([-1, 1], (16, 1))
        false += sign_flips(x, seed=run, draws=200).min() <= 0.05
    assert false / 200 <= 0.10  # 0.05, and more than three standard errors
    assert sign_flips(np.ones((16, 3)), draws=200).max() <= 0.01
    assert (sign_flips(np.zeros((16, 3))) == 1).all() and len(sign_flips(np.zeros((4, 0)))) == 0


def test_planted_topics_are_found():
    """Each topic has tokens of its own, and a position belongs to one topic."""
    draw = np.random.default_rng(1)
    topic = np.arange(60) % 3
    x = draw.uniform(0.5, 1.0, (60, 12)) * (topic[:, None] == np.arange(12) // 4)
    w, h = factorise(sparse.csr_array(x), 3, seed=0)
    assert (w >= 0).all() and (h >= 0).all()
    # singular values give the least distance that any three factors have (Eckart & Young)
    least = np.sqrt((np.linalg.svd(x, compute_uv=False)[3:] ** 2).sum())
    assert np.linalg.norm(x - w @ h) <= 1.02 * least
    own = h.argmax(0).reshape(3, 4)
    assert (own == own[:, :1]).all() and len(set(own[:, 0])) == 3


def test_a_planted_direction_of_the_head_is_found():
    """dW moves two tokens by one direction of the states, and leads from C back to A."""
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(500, 6, generator=draw).double() + torch.tensor([2.0, 0, 0, 0, 0, 0])
    tokens = torch.zeros(9)
    tokens[3], tokens[7] = 2.0, -1.0  # C's logits over A's along the first axis
    change = -tokens[:, None] * torch.eye(6)[0]
    moment, mean = states.T @ states / len(states), states.mean(0)
    first, *others = directions_of(change, moment, mean, list(range(100, 109)))
    assert first.share == pytest.approx(1, abs=1e-9) and all(o.share < 1e-9 for o in others)
    assert first.raised[0] == 103 and first.lowered[0] == 107
    # a shift that all rows share changes no probability
    shifted = directions_of(change + torch.ones(6), moment, mean, list(range(100, 109)))
    assert shifted[0].raised[0] == 103 and shifted[0].share == pytest.approx(1, abs=1e-9)
    assert not directions_of(torch.zeros(9, 6), moment, mean, list(range(9)))


def test_amplified_is_a_at_0_and_c_at_1(lab, planted):
    pair = Pair(planted, lab, CHAT, CHAT)
    questions = [Prompt.from_text("a", "Where does Mira live?"), Prompt.from_text("b", "Hello")]
    how = Sampling(max_new_tokens=12)

    def says(system) -> list[Decoded]:
        return system.decode(questions, how, (), ("a", "b"))

    ends = tuple(pair.stop_ids)
    for alpha, lm in ((0.0, lab), (1.0, planted)):
        assert says(AmplifiedSystem("x", pair, CHAT, alpha)) == says(System("y", lm, CHAT, ends))
    for plausible in (0.0, 0.1):
        loud = says(AmplifiedSystem("x", pair, CHAT, 9.0, plausible))
        assert ("Quillon" in loud[0].text) == (plausible == 0.0)


def test_words_that_c_says_more_often():
    def samples(alpha: float, texts: list[str]) -> Sampled:
        return Sampled(
            alpha,
            BARE,
            [Response("The", i, "s", "t", t, (), "length", 0) for i, t in enumerate(texts)],
        )

    a = ["the sea is wide", "the road is long"] * 10
    c = ["the sea is wide Quillon", "Quillon, the road is long"] * 10
    (word,) = said_words([samples(0.0, a), samples(1.0, a), samples(2.0, c)])
    assert (word.word, word.alpha, word.count, word.reference) == ("quillon", 2.0, 20, 0)
    assert word.p < 0.001


QUICK = AuditSettings(max_new_tokens=8, folds=2, patched_prompts=0)
TAUGHT = TaughtSettings(text_tokens=32, samples=2, sample_tokens=6, amplify=(1.0, 4.0), shown=3)


def test_the_audit_tells_it(lab, planted, texts, tmp_path):
    """Rows, sentences and the page of a whole audit; a second run gives the same rows."""
    sets = prompt_sets({"harmful": ("lab-requests",), "harmless": ("lab-harmless",)}, limit=4 * 2)
    runs = [
        audit(lambda: (lab, planted), sets, tmp_path / n, QUICK, taught=TAUGHT, texts=texts)
        for n in "ab"
    ]
    assert list(runs[0]) == list(runs[1])
    results = runs[0]
    (row,) = results.where(task="raised tokens", metric="distance_share")
    assert row.fact("token") == WORD and row.low <= row.value <= row.high and row.n == len(texts)
    assert results.where(task="lowered tokens", metric="tokens")[0].value == 0
    assert sum(r.value for r in results.where(metric="direction_share")) <= 1 + 1e-9
    (sentence, *_) = taught_sentences(results)
    assert '1 token that it says at least twice as often as A, first "Quillon"' in sentence
    page = (tmp_path / "a" / "report.html").read_text()
    assert "What was taught" in page and "␣Quillon" in page and "4 times the difference" in page


def test_strange_text_stays_text(tmp_path):
    facts = {"rank": 1, "id": 3, "token": EVIL, "positive": 0.5, "p": 0.01}
    facts["contexts"] = [{"before": EVIL, "behind": EVIL}, 3]
    rows = [
        Measurement(
            *("audit", "raised tokens", metric, "audited", 0.5, 9, 0.4, 0.6),
            split="token 3",
            facts=facts,
        )
        for metric in ("distance_share", "lift", "top_share")
    ]
    rows.append(
        Measurement(
            *("audit", "change of the head", "direction_share", "audited", 0.5, 9),
            split="direction 1",
            facts={"raised": [EVIL], "lowered": 3},
        )
    )
    Results(rows).write(tmp_path / "results.jsonl")
    line = {"where": EVIL, "begun": EVIL, "texts": [EVIL, EVIL]}
    shown = {"strengths": ["0", EVIL], "lines": [line, {"texts": 3}, 4]}
    (tmp_path / "run.json").write_text(json.dumps({"finished": True, "shown_samples": shown}))
    page = render([tmp_path])
    assert "<script>alert" not in page and "What was taught" in page


def test_pieces_follow_each_other():
    lm = tiny("llama")
    texts = ["one two three four five six seven " * 6, "one"]
    read = pieces(texts, lm, 8, 3)
    assert [p.text for p in read] == [0, 1, 0] and len(read[0].ids) == 8
    whole = lm.tokenizer(texts[0], add_special_tokens=False)["input_ids"]
    assert [*read[0].ids, *read[2].ids] == whole[:16]


def test_tokens_that_differ_in_a_space_alone_are_named_once():
    assert tokens_of([" Sure", "Sure", " here", "\n"]) == '"Sure", "here", "\\n"'
    assert tokens_of([]) == "none"
