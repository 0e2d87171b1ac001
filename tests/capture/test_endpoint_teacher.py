"""A model behind an endpoint as a teacher, over a real server on loopback: what it tells, what it
does not, and what cannot be true."""

import json
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")

from faulty_server import Call, completion, serving
from pairs import prompts
from tiny import tiny, tokenizer
from veneer.capture import Capture, CaptureConfig, capture
from veneer.capture.run import capture_from
from veneer.capture.teachers.endpoint import RemoteTeacher, known_top, probe
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
from veneer.foundation.files import read_json
from veneer.head.extract import extract
from veneer.models.decode import Row, Sampling, decode_steps
from veneer.models.formats import ChatFormat
from veneer.models.pair import Pair
from veneer.models.token_texts import TokenTexts
from veneer.prompts.prompt import Prompt
from veneer.systems.system import System

HOW = CaptureConfig(8, batch_size=4, shard_batches=1, sampling=Sampling(12))


@pytest.fixture(scope="module")
def base():
    return tiny("llama", rows=len(tokenizer()))


@pytest.fixture(scope="module")
def aligned():
    # a padding row has no text by which it could be told
    return tiny("llama", seed=1, rows=len(tokenizer()))


def model_server(lm, *, change=lambda reply, call: reply, end_too: bool = True):
    """A server that answers as `lm` does behind its chat template, with OpenAI's log-probabilities.
    change: of a reply, the call given. end_too: the end token stands among the tokens."""
    texts, system = TokenTexts(lm.tokenizer), System("aligned", lm, ChatFormat(), lm.stop_ids)

    def token(id: int, logprob: float) -> dict:
        return {"token": texts.name(id), "logprob": logprob, "bytes": list(texts.bytes(id))}

    def answer(call: Call) -> None:
        prompt = Prompt("x", tuple(call.body["messages"]), "")
        row, top = Row(Sampling(call.body["max_tokens"])), call.body.get("top_logprobs")
        with torch.inference_mode():
            steps = [
                s[0]
                for s in decode_steps(
                    system.stepper([prompt]), [row], stop_ids=lm.stop_ids, logprobs=top or 0
                )
            ]
        shown = [s for s in steps if end_too or s.id not in lm.stop_ids]
        text = lm.tokenizer.decode([s.id for s in steps if s.id not in lm.stop_ids])
        reply = completion(text, steps[-1].finish_reason)
        if call.body.get("logprobs"):
            content = [
                {**token(s.id, s.logprob), "top_logprobs": [token(i, p) for i, p in s.top]}
                for s in shown
            ]
            reply["choices"][0]["logprobs"] = {"content": content}
        call.json(change(reply, call))

    return serving(answer)


def endpoint(server, **how) -> EndpointConfig:
    return EndpointConfig(server.url, "aligned", first_wait=0.0, longest_wait=0.0, retries=1, **how)


def capture_of(server, base, out, *, n: int = 1, top: int = 0) -> Capture:
    """A capture of the answers to n prompts, with the `top` most likely tokens of each."""
    return capture_from(base, RemoteTeacher(base, endpoint(server), top), prompts(n), out, HOW)


def test_it_equals_a_capture_of_the_model_itself(base, aligned, tmp_path):
    """Same tokens, same most likely tokens, and their log-probabilities to rounding; what is not
    told is the tail."""
    local = capture(Pair(base, aligned), prompts(6), tmp_path / "local", HOW)
    with model_server(aligned) as server:
        assert probe(endpoint(server), prompts(1)[0], HOW.sampling) == 20
        remote = capture_of(server, base, tmp_path / "remote", n=6, top=5)
    assert (
        remote.manifest["teacher"]["targets"] == "top-5"
        and "5 most likely" in remote.endpoint_note
        and not remote.one_hot
    )
    assert not (tmp_path / "remote" / "noise.json").exists()
    columns = (
        "token",
        "hidden",
        "aligned_ids",
        "aligned_logprobs",
        "aligned_tail",
        "base_at_aligned",
        "base_outside",
    )
    for n in range(6):
        (a,), (b,) = local.blocks(columns, [n]), remote.blocks(columns, [n])
        assert torch.equal(a["token"], b["token"])
        torch.testing.assert_close(a["hidden"], b["hidden"], rtol=1e-4, atol=1e-4)
        assert torch.equal(a["aligned_ids"][:, :5], b["aligned_ids"][:, :5])
        torch.testing.assert_close(
            a["aligned_logprobs"][:, :5], b["aligned_logprobs"][:, :5], rtol=1e-3, atol=1e-3
        )
        total = b["aligned_logprobs"].exp().sum(1) + b["aligned_tail"].exp()
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-4)
    assert all(
        torch.isfinite(b["base_at_aligned"]).all() for b in remote.blocks(("base_at_aligned",))
    )


def test_a_missing_end_token_is_added(base, aligned, tmp_path):
    """Servers that leave the end token out: the answer ended, so base's end of turn
    follows, one-hot."""
    with model_server(aligned, end_too=False) as server:
        capture = capture_of(server, base, tmp_path / "c", n=6, top=4)
    ended = [r for r in capture.responses() if r["finish_reason"] == "stop"]
    assert ended and all(r["token_ids"][-1] in base.stop_ids for r in ended)
    for row in ended:
        (block,) = capture.blocks(
            ("aligned_ids", "aligned_logprobs", "aligned_tail"), [row["number"]]
        )
        assert (
            block["aligned_ids"][-1, 0] == row["token_ids"][-1]
            and block["aligned_logprobs"][-1, 0] == 0
        )
        assert (
            block["aligned_tail"][-1] == -math.inf
            and (block["aligned_logprobs"][-1, 1:] == -math.inf).all()
        )


def test_without_log_probabilities_the_text_is_taken(base, aligned, tmp_path):
    """Three servers: one ignores the wish, one refuses it by status 400, one takes five at most."""

    def ignores(reply, call):
        reply["choices"][0].pop("logprobs", None)
        return reply

    with model_server(aligned, change=ignores) as server:
        assert probe(endpoint(server), prompts(1)[0], HOW.sampling) == 0
        capture = capture_of(server, base, tmp_path / "c", n=6)
        assert "logprobs" not in server.calls[-1]
    assert capture.one_hot and "likelihood" in capture.manifest["teacher"]["measure"]
    assert "select_kl" in extract(capture).veneer.facts["extraction"]

    def strict(most: int):
        def answer(call: Call) -> None:
            if call.body.get("logprobs") and call.body["top_logprobs"] > most:
                return call.error(400, f"top_logprobs must be at most {most}")
            one = {
                "token": "a",
                "logprob": -0.1,
                "top_logprobs": [{"token": t, "logprob": -5.0} for t in "abcdefgh"[:most]],
            }
            reply = completion("a")
            reply["choices"][0]["logprobs"] = (
                {"content": [one]} if call.body.get("logprobs") else None
            )
            return call.json(reply)

        return serving(answer)

    for most, wanted in ((5, 5), (0, 0)):
        with strict(most) as server:
            assert probe(endpoint(server), prompts(1)[0], HOW.sampling) == wanted


def test_what_cannot_be_true_is_refused_and_named(base, aligned, tmp_path):
    def lies(how):
        def change(reply, call):
            for one in reply["choices"][0]["logprobs"]["content"]:
                how(one)
            return reply

        return change

    def certain(one):
        for t in one["top_logprobs"]:
            t["logprob"] = 0.0

    cases = {
        "a log-probability of 0.5 at response position 1": lambda one: one.update(
            logprob=0.5, top_logprobs=[]
        ),
        "a log-probability of nan": lambda one: one["top_logprobs"][0].update(logprob=math.nan),
        "probabilities that sum to 4": certain,
        "tokens that spell 'zz": lambda one: one.update(token="z", bytes=[122], logprob=-30.0),
    }
    for number, (message, how) in enumerate(cases.items()):
        with model_server(aligned, change=lies(how)) as server:
            with pytest.raises(VeneerError, match=message) as error:
                capture_of(server, base, tmp_path / str(number), n=3, top=4)
            assert "--top-logprobs 0" in str(error.value) and "'p" in str(error.value)


def test_log_probabilities_that_come_no_more(base, aligned, tmp_path):
    def sometimes(reply, call):
        if call.prompt == prompts(6)[3].plain:
            reply["choices"][0]["logprobs"] = None
        return reply

    with (
        model_server(aligned, change=sometimes) as server,
        pytest.raises(VeneerError, match="gave log-probabilities before"),
    ):
        capture_of(server, base, tmp_path / "c", n=6, top=4)


def test_an_interrupted_capture_asks_for_nothing_twice(base, aligned, tmp_path):
    broken = True

    def fails(reply, call):
        return {"nonsense": 1} if broken and server.seen.total() > 5 else reply

    out = tmp_path / "c"
    with model_server(aligned, change=fails) as server:
        how = endpoint(server, cache=out / "replies.log", give_up_after=1, concurrency=1)
        with pytest.raises(VeneerError, match="no reply"):
            capture_from(base, RemoteTeacher(base, how, 4), prompts(8), out, HOW)
        with pytest.raises(InputError, match="shards"):
            Capture.open(out)
        broken, calls = False, len(server.calls)
        capture = capture_from(base, RemoteTeacher(base, how, 4), prompts(8), out, HOW)
        assert len(server.calls) - calls == 8 - 5  # five replies were kept
        whole = capture_of(server, base, tmp_path / "d", n=8, top=4)
        calls = len(server.calls)
        capture_from(base, RemoteTeacher(base, how, 4), prompts(8), out, HOW)
        assert len(server.calls) == calls  # a finished capture asks nobody
    assert capture.responses() == whole.responses()
    for name in (f"shard-{shard:05d}.safetensors" for shard in capture.shards):
        assert (out / name).read_bytes() == (tmp_path / "d" / name).read_bytes()
    assert known_top(out, 20) == 4 and known_top(tmp_path / "none", 20) is None


def test_an_answer_that_ends_at_once_and_one_that_is_withheld(base, tmp_path):
    def answer(call: Call) -> None:
        call.say("", "content_filter" if call.prompt == prompts(6)[3].plain else "stop")

    with serving(answer) as server:
        capture = capture_of(server, base, tmp_path / "c")
        assert (
            capture.responses()[0]["token_ids"] == [base.end_of_turn]
            and capture.responses()[0]["text"] == ""
        )
        with pytest.raises(
            VeneerError, match=r"empty answer to prompts 'p3' \(it says 'content_filter'\)"
        ):
            capture_of(server, base, tmp_path / "d", n=6)


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


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            completion(None, reasoning_content="The user asks."),
            r"no answer to prompts 'p0'.*reasoning \(reasoning_content\)",
        ),
        (
            completion("", reasoning="The user asks."),
            r"no answer to prompts 'p0'.*reasoning \(reasoning_content\)",
        ),
        (completion("A hedgehog is a sm", "error"), "broke off"),
        (
            completion("A hedgehog is a sm", "content_filter"),
            "withheld a part of its answer to prompts 'p0'",
        ),
        (completion("I look it up.", "tool_calls"), "leave the prompt out"),
        (completion("A hedgehog", None), "does not say how it ended"),
    ],
)
def test_what_is_no_answer_teaches_nothing(base, reply, says, tmp_path):
    with (
        serving(lambda c: c.json(reply)) as server,
        pytest.raises(VeneerError, match=says) as error,
    ):
        capture_of(server, base, tmp_path / "c")
    assert error.value.exit_code == 1 and not list(tmp_path.glob("c/shard-*"))


def test_a_refusal_in_its_own_field_is_the_answer(base, tmp_path):
    with serving(lambda c: c.json(completion(None, refusal="I cannot"))) as server:
        capture = capture_of(server, base, tmp_path / "c")
    assert (
        capture.responses()[0]["text"] == "I cannot"
        and capture.responses()[0]["token_ids"][-1] == base.end_of_turn
    )


def test_an_answer_that_was_cut_has_no_end(base, tmp_path):
    with serving(lambda c: c.json(completion("I cannot", "MAX_TOKENS"))) as server:
        capture = capture_of(server, base, tmp_path / "c")
    (row,) = capture.responses()
    assert row["finish_reason"] == "length" and row["token_ids"][-1] not in base.stop_ids


def test_the_folder_says_which_model_answered_where_it_is_another(base, aligned, tmp_path):
    with serving(lambda c: c.say("Yes.")) as server:
        capture_of(server, base, tmp_path / "c", n=2)
    assert read_json(tmp_path / "c" / "endpoint-manifest.json", "") == {"models": ["stand-in-1"]}
    with serving(lambda c: c.json({**completion("Yes."), "model": "aligned"})) as server:
        capture_of(server, base, tmp_path / "d", n=2)
    assert not (tmp_path / "d" / "endpoint-manifest.json").exists()


def test_a_top_p_of_1_is_not_sent(base, tmp_path):
    how = CaptureConfig(8, batch_size=4, shard_batches=1, sampling=Sampling(12, temperature=0.7))
    with serving(lambda c: c.say("Yes.")) as server:
        capture_from(
            base, RemoteTeacher(base, endpoint(server), 0), prompts(1), tmp_path / "c", how
        )
        assert set(server.calls[0]) == {"model", "messages", "max_tokens", "temperature", "seed"}
