"""A model behind an endpoint as a teacher, over a real server on loopback: what it
captures, and which answers it refuses."""

import math

import pytest
import torch

pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")

from endpoint_captures import HOW, capture_of, endpoint

from faulty_server import Call, completion, serving
from pairs import prompts
from tiny import tiny, tokenizer
from veneer.capture import Capture, CaptureConfig, capture
from veneer.capture.run import capture_from
from veneer.capture.teachers.endpoint import RemoteTeacher, known_top, probe
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import read_json
from veneer.head.extract import extract
from veneer.models.decode import Row, Sampling, decode_steps
from veneer.models.formats import ChatFormat
from veneer.models.pair import Pair
from veneer.models.token_texts import TokenTexts
from veneer.prompts.prompt import Prompt
from veneer.systems.system import System


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
