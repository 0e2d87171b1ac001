"""Log-probabilities in the replies of a server on loopback: their forms, how they are matched to
base's tokens, and what cannot be read."""

import json
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")

from endpoint_captures import HOW, capture_of, endpoint

from faulty_server import completion, serving
from pairs import prompts
from tiny import tiny, tokenizer
from veneer.capture.teachers.endpoint import RemoteTeacher, probe
from veneer.capture.teachers.reply_logprobs import (
    Matcher,
    Position,
    Untrue,
    checked,
    logprob_rows,
    read_logprob_reply,
)
from veneer.endpoint import EndpointConfig
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.token_texts import TokenTexts


@pytest.fixture(scope="module")
def base():
    return tiny("llama", rows=len(tokenizer()))


def test_tokens_of_another_tokenizer_are_matched_where_they_stand_alike(base):
    """Base reads the text itself; a distribution counts where one token has the same bytes, and the
    rest is one-hot."""
    matcher = Matcher(base)
    text = "The cat sat"
    own = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = [base.tokenizer.decode([i]) for i in own]
    first = Position(
        pieces[0].encode(),
        ((pieces[0].encode(), math.log(0.6)), (b"A", math.log(0.1)), (b"\x00none", math.log(0.1))),
    )
    rest = Position("".join(pieces[1:]).encode(), (("".join(pieces[1:]).encode(), math.log(0.5)),))
    assert len(own) > 2 and matcher.own_tokens([first, rest]) == []
    distributions = matcher.distributions(own, [first, rest], 4)
    assert distributions.ids[0].tolist()[:2] == [own[0], matcher.id(b"A")] and distributions.ids[
        0, 2:
    ].tolist() == [-1, -1]
    # the token that base has not got is a part of it
    assert float(distributions.tail[0].exp()) == pytest.approx(0.3, rel=1e-4)
    assert (distributions.logprobs[1:, 0] == 0).all() and (
        distributions.tail[1:] == -math.inf
    ).all()
    assert matcher.id(b"<|end|>") == base.end_of_turn


def test_parts_of_characters_are_matched_by_their_bytes(base):
    matcher, texts = Matcher(base), TokenTexts(base.tokenizer)
    ids = base.tokenizer("é", add_special_tokens=False)["input_ids"]
    if len(ids) < 2:
        pytest.skip("the tokenizer has this character whole")
    # "bytes:\\xc3", without `bytes`
    content = [{"token": texts.name(i), "logprob": -0.1, "top_logprobs": []} for i in ids]
    rows = read_logprob_reply(answered("é", {"content": content}))["told"]
    positions, spelt = checked(json.loads(json.dumps(rows)), "é")
    assert spelt == "é" and matcher.own_tokens(positions) == ids


def test_forms_that_are_none_are_named():
    for logprobs in ([{"token": 1}], [{"token": "a", "logprob": "x"}], [{"token": "a"}], ["a"]):
        reply = read_logprob_reply(answered("a", {"content": logprobs}))
        assert (
            reply["text"] == "a"
            and reply["told"] is None
            and re.search(r"token|log-prob", reply["untold"])
        )
    assert (
        read_logprob_reply({"choices": [{"finish_reason": "stop", "message": {"content": "a"}}]})[
            "told"
        ]
        is None
    )
    with pytest.raises(Untrue, match="tokens that spell"):
        checked([[[97], [[[97], -0.1]]]], "bcd")
    with pytest.raises(InputError, match="expected 0"):
        RemoteTeacher(tiny("llama"), EndpointConfig("http://localhost:1/v1", "m"), 50)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["token", "logprob", "bytes", "top_logprobs"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_whatever_a_server_sends_is_read_or_named(content):
    """Read, or named in `untold` or by Untrue; what is read is finite."""
    try:
        rows = read_logprob_reply(answered("a", {"content": content}))["told"]
        positions, _ = checked(rows or [], "a")
    except Untrue:
        return
    assert all(p <= 1e-3 for one in positions for _, p in one.likely)


def token_row(token: str, logprob: float | None, *others: tuple[str, float | None]) -> dict:
    every = [(token, logprob), *others]
    return {
        "token": token,
        "logprob": logprob,
        "top_logprobs": [{"token": t, "logprob": p} for t, p in every],
    }


def answered(text: str, logprobs, **more) -> dict:
    reply = completion(text, **more)
    reply["choices"][0]["logprobs"] = logprobs
    return reply


@pytest.mark.parametrize("nothing", [None, -9999.0, -9999.9, -1e30])
def test_a_candidate_without_a_probability_is_none(base, tmp_path, nothing):
    """sgl-project/sglang#20323 writes null for -inf, vllm-project/vllm#11073 -9999.0: the rest of
    the row is as the server tells it."""
    reply = answered(
        "No",
        {"content": [token_row("No", math.log(0.75), ("on", math.log(0.125)), ("the", nothing))]},
    )
    with serving(lambda c: c.json(reply)) as server:
        assert probe(endpoint(server), prompts(1)[0], HOW.sampling) == 3
        capture = capture_of(server, base, tmp_path / "c", top=3)
        assert len(server.calls) == 2, (
            "a reply that says so once says so always: it is not asked again"
        )
    matcher = Matcher(base)
    (block,) = capture.blocks(("token", "aligned_ids", "aligned_logprobs", "aligned_tail"), [0])
    own = [i for i in (matcher.id(b"No"), matcher.id(b"on")) if i is not None]
    if own == block["token"][:1].tolist() + own[1:]:  # the tokenizer has these words whole
        probabilities = dict(
            zip(
                block["aligned_ids"][0].tolist(),
                block["aligned_logprobs"][0].exp().tolist(),
                strict=True,
            )
        )
        assert probabilities[own[0]] == pytest.approx(0.75, rel=1e-4)
    total = block["aligned_logprobs"].exp().sum(1) + block["aligned_tail"].exp()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-4)


def test_one_token_with_few_candidates_does_not_cost_the_others_theirs():
    """OpenAI's page: in rare cases fewer than requested are returned."""
    sure = token_row("N", 0.0)
    unsure = token_row("o", -0.1, ("a", -3.0), ("e", -4.0))
    reply = answered("No", {"content": [sure, unsure]})
    with serving(lambda c: c.json(reply)) as server:
        assert probe(endpoint(server), prompts(1)[0], HOW.sampling) == 3


def test_of_two_candidates_with_one_text_the_likelier_stays():
    """SentencePiece's "I" with and without its blank, which some servers write alike."""
    twins = token_row("I", -0.1, ("You", -2.5), ("I", -7.0))
    ((token, likely),) = logprob_rows([twins])
    assert (bytes(token), dict((bytes(t), p) for t, p in likely)) == (
        b"I",
        {b"I": -0.1, b"You": -2.5},
    )


def test_log_probabilities_in_other_forms_are_the_same():
    """Text completions' columns, dictionaries of candidates, a bare list, and the
    tokens of a refusal."""
    rows = [token_row("Y", -0.1, ("N", -2.5)), token_row("es", -0.2, ("o", -2.0))]
    columns = {
        "tokens": ["Y", "es"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"Y": -0.1, "N": -2.5}, {"es": -0.2, "o": -2.0}],
    }
    as_dict = [
        {**row, "top_logprobs": {t["token"]: t["logprob"] for t in row["top_logprobs"]}}
        for row in rows
    ]
    wanted = logprob_rows({"content": rows})
    assert (
        wanted
        == logprob_rows(columns)
        == logprob_rows({"content": as_dict})
        == logprob_rows(rows)
        == logprob_rows({"content": None, "refusal": rows})
    )
    assert logprob_rows({"tokens": ["Y"], "token_logprobs": [-0.1], "top_logprobs": None}) == [
        [[89], [[[89], -0.1]]]
    ]
    assert logprob_rows(None) == logprob_rows({}) == logprob_rows({"content": []}) == []
    with pytest.raises(ValueError, match="1 log-probabilities for 2 tokens"):
        logprob_rows({"tokens": ["a", "b"], "token_logprobs": [-0.1]})


def test_a_token_whose_own_number_is_null_takes_it_from_the_candidates_or_is_one_hot(base):
    (row,) = logprob_rows(
        [{"token": "a", "logprob": None, "top_logprobs": [{"token": "a", "logprob": -0.5}]}]
    )
    assert row == [[97], [[[97], -0.5]]]
    positions, _ = checked(
        logprob_rows([{"token": "a", "logprob": None, "top_logprobs": None}]), "a"
    )
    matcher = Matcher(base)
    distributions = matcher.distributions([matcher.id(b"a")], positions, 3)
    assert distributions.logprobs[0, 0] == 0 and distributions.tail[0] == -math.inf


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "logprob": "-0.1"}]},
        {"content": [7]},
    ],
)
def test_log_probabilities_that_cannot_be_read_say_how_to_go_on(base, logprobs, tmp_path):
    with serving(lambda c: c.json(answered("a", logprobs))) as server:
        with pytest.raises(
            VeneerError, match=r"with its first answer; capture its text alone \(--top-logprobs 0\)"
        ):
            probe(endpoint(server), prompts(1)[0], HOW.sampling)
        assert len(server.calls) == 1, "the same would come again"
        capture = capture_of(server, base, tmp_path / "c")
    assert capture.one_hot and capture.responses()[0]["text"] == "a"
