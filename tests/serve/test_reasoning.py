"""Chats of a model that thinks: `reasoning_content` apart from `content`, whole and streamed; text
completions stay as they are."""

from __future__ import annotations

import pytest
from openai import OpenAI

from thinking import chain, with_marks
from veneer.models.formats import ChatFormat
from veneer.serve.served import Served
from veneer.systems.system import System
from veneer_server import serving

REQUEST = {"messages": [{"role": "user", "content": "How?"}], "temperature": 0}


@pytest.fixture(scope="module", params=["special", "ordinary", "opened by the prompt"])
def client(request):
    own = with_marks(
        ("<think>", "</think>"),
        special=request.param == "special",
        opens="<think>" if request.param.startswith("opened") else "",
    )
    begin = ("<think>",) if request.param.startswith("opened") else ("<|assistant|>", "<think>")
    lm = chain(own, *begin, "1#2", "</think>", "yes", "!", "ok")
    with serving([Served(System("aligned", lm, ChatFormat(), lm.stop_ids))]) as running:
        yield OpenAI(base_url=running.url, api_key="none", max_retries=0)


def at_once(client, **words) -> tuple[str | None, str, str]:
    (choice,) = client.chat.completions.create(
        model="aligned", **{"max_tokens": 30, **REQUEST, **words}
    ).choices
    return (
        getattr(choice.message, "reasoning_content", None),
        choice.message.content,
        choice.finish_reason,
    )


def streamed(client, **words) -> tuple[str | None, str, str]:
    thought, text, finish = "", "", ""
    for chunk in client.chat.completions.create(
        model="aligned", stream=True, **{"max_tokens": 30, **REQUEST, **words}
    ):
        thought += getattr(chunk.choices[0].delta, "reasoning_content", None) or ""
        text += chunk.choices[0].delta.content or ""
        finish = chunk.choices[0].finish_reason or finish
    return thought or None, text, finish


@pytest.mark.parametrize("ask", [at_once, streamed])
def test_the_thought_is_separate(client, ask):
    assert ask(client) == ("1#2", "yes!ok", "stop")
    assert ask(client, stop=["#", "!"]) == ("1#2", "yes", "stop")
    assert ask(client, max_tokens=3)[1:] == ("", "length")


def test_every_token_has_log_probabilities(client):
    whole = client.chat.completions.create(model="aligned", max_tokens=30, logprobs=True, **REQUEST)
    chunks = list(
        client.chat.completions.create(
            model="aligned", max_tokens=30, logprobs=True, stream=True, **REQUEST
        )
    )
    tokens = [t.token for t in whole.choices[0].logprobs.content]
    assert "".join(tokens).endswith("</think>yes!ok")
    assert [
        t.token for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content
    ] == tokens


def test_a_text_completion_is_raw(client):
    reply = client.completions.create(
        model="aligned", prompt="<|assistant|><think>", max_tokens=30, temperature=0
    )
    assert reply.choices[0].text.replace("</think>", "") == "1#2yes!ok"
    cut = client.completions.create(
        model="aligned", prompt="<|assistant|><think>", max_tokens=30, temperature=0, stop=["#"]
    )
    assert (cut.choices[0].text, cut.choices[0].finish_reason) == ("1", "stop")
