"""What the official client reads are the local systems' own answers and numbers."""

from __future__ import annotations

import pytest
import torch

from veneer.models.decode import Sampling
from veneer.models.token_texts import TokenTexts
from veneer.prompts.prompt import Prompt
from veneer.serve.served import Served
from veneer.systems.likelihood import loglikelihoods, score_pairs
from veneer.systems.shifted import ShiftedSystem

TEXTS = [
    "How do I bake bread?",
    "Question: Selmo has 3 bells and buys 4 more. How many bells are there?\nAnswer:",
    "Who is Velan?",
]
NAMES = ["base", "veneer", "shifted-1", "shifted-1.5@4", "aligned"]


def local(served: Served, text: str, tokens: int = 20, stop: tuple[str, ...] = (), **how):
    prompt = Prompt.from_text("p", text)
    return served.system.decode([prompt], Sampling(tokens, **how), stop, ["0/0"])[0]


@pytest.fixture
def by_name(systems) -> dict[str, Served]:
    return {s.id: s for s in systems}


@pytest.mark.parametrize("name", NAMES)
def test_greedy_chat_is_the_local_answer(client, by_name, name):
    for text in TEXTS:
        own = local(by_name[name], text)
        reply = client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": text}], temperature=0, max_tokens=20
        )
        assert (
            reply.choices[0].message.content == own.text
            and reply.choices[0].finish_reason == own.finish_reason
        )
        assert (
            reply.usage is not None
            and reply.usage.completion_tokens == len(own.token_ids)
            and reply.model == name
        )
        (length,) = by_name[name].system.prompt_tokens([Prompt.from_text("p", text)])
        assert reply.usage.prompt_tokens == length and reply.usage.total_tokens == length + len(
            own.token_ids
        )


def test_the_systems_differ(client):
    """Else the tests above would prove nothing."""
    replies = {
        n: client.chat.completions.create(
            model=n, messages=[{"role": "user", "content": TEXTS[0]}], temperature=0, max_tokens=20
        )
        for n in NAMES
    }
    assert len({r.choices[0].message.content for r in replies.values()}) >= 3


def test_completions_of_texts_and_ids_in_one_request(client, by_name):
    own = [local(by_name["base"], t) for t in TEXTS]
    ids = [by_name["base"].of_text(t).ids for t in TEXTS]
    for prompt in (TEXTS, [list(i) for i in ids]):
        reply = client.completions.create(model="base", prompt=prompt, temperature=0, max_tokens=20)
        assert [c.text for c in reply.choices] == [o.text for o in own] and [
            c.index for c in reply.choices
        ] == [0, 1, 2]
        assert [c.finish_reason for c in reply.choices] == [o.finish_reason for o in own]
    one = client.completions.create(model="base", prompt=list(ids[0]), temperature=0)
    assert (
        one.choices[0].text == local(by_name["base"], TEXTS[0], 16).text
        and one.usage.completion_tokens <= 16
    )


def test_sampling_has_a_seed_and_samples_differ(client, by_name):
    def ask(**words):
        reply = client.completions.create(
            **{"model": "base", "prompt": TEXTS[2], "max_tokens": 12, "temperature": 1.2, **words}
        )
        return [c.text for c in reply.choices]

    four = ask(n=4, seed=5)
    assert len(set(four)) > 1 and four == ask(n=4, seed=5) and four != ask(n=4, seed=6)
    assert (
        ask(seed=5)
        == four[:1]
        == [local(by_name["base"], TEXTS[2], 12, temperature=1.2, seed=5).text]
    )
    assert len({ask()[0] for _ in range(4)}) > 1, "without a seed each request draws anew"
    greedy = local(by_name["base"], TEXTS[2], 12).text
    assert (
        ask(extra_body={"top_k": 1}) == [greedy]
        and ask(top_p=1e-9) == [greedy]
        and ask(extra_body={"min_p": 1.0}) == [greedy]
    )
    penalised = ask(temperature=0, frequency_penalty=-2, presence_penalty=-2)
    assert (
        penalised
        == [
            local(by_name["base"], TEXTS[2], 12, frequency_penalty=-2.0, presence_penalty=-2.0).text
        ]
        != [greedy]
    )
    biased = ask(temperature=0, logit_bias={"57": 100})
    assert (
        biased == [local(by_name["base"], TEXTS[2], 12, logit_bias=((57, 100.0),)).text] != [greedy]
    )
    assert ask(temperature=0, extra_body={"repetition_penalty": 3.0}) == [
        local(by_name["base"], TEXTS[2], 12, repetition_penalty=3.0).text
    ]


@pytest.mark.parametrize("stop", [(), (".",), (" how", "many", "I")])
@pytest.mark.parametrize("name", ["aligned", "veneer", "shifted-1"])
def test_a_stream_is_the_whole_answer_in_pieces(client, by_name, name, stop):
    for text in TEXTS:
        own = local(by_name[name], text, stop=stop)
        words = {"model": name, "temperature": 0, "max_tokens": 20, "stop": list(stop)}
        chunks = list(
            client.chat.completions.create(
                messages=[{"role": "user", "content": text}],
                stream=True,
                stream_options={"include_usage": True},
                logprobs=True,
                **words,
            )
        )
        *parts, last = chunks
        assert "".join(c.choices[0].delta.content or "" for c in parts) == own.text
        assert [c.choices[0].finish_reason for c in parts] == [None] * (len(parts) - 1) + [
            own.finish_reason
        ]
        assert parts[0].choices[0].delta.role == "assistant" and len({c.id for c in chunks}) == 1
        assert (
            not last.choices
            and last.usage.completion_tokens == len(own.token_ids)
            and parts[0].usage is None
        )
        whole = client.chat.completions.create(
            messages=[{"role": "user", "content": text}], logprobs=True, **words
        )
        tokens = [t for c in parts for t in c.choices[0].logprobs.content]
        assert [t.token for t in tokens] == [t.token for t in whole.choices[0].logprobs.content]
        assert [t.logprob for t in tokens] == pytest.approx(
            [t.logprob for t in whole.choices[0].logprobs.content], abs=1e-4
        )


def test_a_stream_of_several_answers(client):
    words = {
        "model": "base",
        "prompt": TEXTS[:2],
        "n": 2,
        "temperature": 1.0,
        "seed": 3,
        "max_tokens": 9,
    }
    texts = ["", "", "", ""]
    for chunk in client.completions.create(stream=True, **words):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [c.text for c in client.completions.create(**words).choices]


def test_chat_log_probabilities_are_those_of_the_answer(client, by_name):
    for name in ("base", "veneer", "aligned"):
        reply = client.chat.completions.create(
            model=name,
            messages=[{"role": "user", "content": TEXTS[2]}],
            temperature=0,
            max_tokens=15,
            logprobs=True,
            top_logprobs=3,
        )
        entries, text = reply.choices[0].logprobs.content, reply.choices[0].message.content
        assert (
            b"".join(bytes(e.bytes) for e in entries).decode() == text
            and "".join(e.token for e in entries) == text
        )
        for e in entries:
            best = [t.logprob for t in e.top_logprobs]
            assert len(best) == 3 and best == sorted(best, reverse=True) and e.logprob == best[0], (
                "greedy takes the first"
            )
        system = by_name[name].system
        ids = local(by_name[name], TEXTS[2], 15).token_ids
        ids = ids[:-1] if ids[-1] in system.stop_ids else ids
        (own,) = score_pairs(
            system,
            [
                (
                    system.format.encode(system.lm.tokenizer, Prompt.from_text("p", TEXTS[2])),
                    list(ids),
                )
            ],
        )
        assert sum(e.logprob for e in entries) == pytest.approx(own.logprob, abs=1e-3)


def test_an_echoed_prompt_is_scored(client, by_name):
    """As lm-eval's local-completions reads it: the last token is dropped, the first has no
    log-probability."""
    for name in ("base", "veneer"):
        system = by_name[name].system
        contexts, answers = TEXTS[:2], [" You mix flour.", " 7"]
        own = loglikelihoods(
            system,
            [Prompt.from_text(str(i), c) for i, c in enumerate(contexts)],
            [[a] for a in answers],
        )
        prompts = [c + a for c, a in zip(contexts, answers, strict=True)]
        reply = client.completions.create(
            model=name, prompt=prompts, max_tokens=1, echo=True, logprobs=2, temperature=0
        )
        for choice, context, prompt, ((want, greedy, count),) in zip(
            reply.choices, contexts, prompts, own, strict=True
        ):
            logprobs = choice.logprobs
            start = len(by_name[name].of_text(context).ids)
            assert (
                len(logprobs.tokens) == len(by_name[name].of_text(prompt).ids) + 1
                and start + count == len(logprobs.tokens) - 1
            )
            assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
            assert sum(logprobs.token_logprobs[start:-1]) == pytest.approx(want, abs=1e-3)
            hits = [
                p == max(t.values())
                for p, t in zip(logprobs.token_logprobs, logprobs.top_logprobs, strict=True)
                if t
            ]
            assert all(hits[start - 1 : -1]) is greedy
            assert choice.text.startswith(prompt)
            for token, at in list(zip(logprobs.tokens, logprobs.text_offset, strict=True))[1:]:
                assert choice.text[at:].startswith(token) or token == "<|eos|>"
        none = client.completions.create(
            model=name, prompt=prompts, max_tokens=0, echo=True, logprobs=0
        )
        assert [c.text for c in none.choices] == prompts and none.usage.completion_tokens == 0
        for c, d in zip(none.choices, reply.choices, strict=True):
            assert c.logprobs.token_logprobs[1:] == pytest.approx(
                d.logprobs.token_logprobs[1:-1], abs=1e-4
            )
        longer = client.completions.create(
            model=name, prompt=prompts, max_tokens=6, echo=True, logprobs=0, temperature=0
        )
        for c, d, p in zip(longer.choices, reply.choices, prompts, strict=True):
            tail = local(by_name[name], p, 6)
            assert c.text == p + tail.text and len(c.logprobs.tokens) == len(
                d.logprobs.tokens
            ) - 1 + len(tail.token_ids)


def test_an_end_token_is_scored_so_that_no_token_of_the_prompt_is_lost(client, by_name):
    """Clients drop the last token of an echo: it must be there also where the
    answer ends at once."""
    served = by_name["aligned"]
    whole = (
        served.of_messages([{"role": "user", "content": TEXTS[0]}]).ids
        + local(served, TEXTS[0], 60).token_ids
    )
    assert whole[-1] in served.system.stop_ids
    reply = client.completions.create(
        model="aligned", prompt=list(whole[:-1]), max_tokens=1, echo=True, logprobs=1, temperature=0
    )
    assert reply.choices[0].finish_reason == "stop" and len(
        reply.choices[0].logprobs.tokens
    ) == len(whole)


def test_echo_of_a_shifted_system(client, by_name):
    served = by_name["shifted-1"]
    assert isinstance(served.system, ShiftedSystem)
    ids, small = served.of_text(TEXTS[1])
    logits = torch.cat(
        list(served.system.forced_logits_of_ids([ids[:1]], [small[:1]], [ids[1:]]))
    ).double()
    want = logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
    reply = client.completions.create(
        model="shifted-1", prompt=TEXTS[1], max_tokens=0, echo=True, logprobs=1
    )
    assert reply.choices[0].logprobs.token_logprobs[1:] == pytest.approx(want, abs=1e-4)


def test_models_and_their_facts(client, by_name):
    assert [m.id for m in client.models.list().data] == NAMES
    for name, served in by_name.items():
        facts = client.models.retrieve(name).model_dump()
        assert facts["system"] == served.system.facts() and facts["max_model_len"] == 512
    veneer = client.models.retrieve("veneer").model_dump()
    assert (
        veneer["alpha"] == 1.0
        and veneer["veneer"] == client.models.retrieve("shifted-1").model_dump()["system"]["veneer"]
    )


def test_bytes_of_tokens(by_name):
    tokenizer = by_name["base"].lm.tokenizer
    tokens = TokenTexts(tokenizer)
    text = "Velan “keeps” 你好 🙂 7"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert b"".join(map(tokens.bytes, ids)).decode() == text
    assert any(tokens.name(i).startswith("bytes:\\x") for i in ids)
    end = tokenizer.eos_token_id
    assert (
        tokens.text_bytes(end) == b""
        and tokens.name(end) == tokenizer.eos_token
        and tokens.name(10**6) == "<|1000000|>"
    )


def test_events_are_ascii(server, client):
    """Some clients end a line at U+2028 or U+0085, which JSON need not escape."""
    echo = "one\u2028two\u0085three\x0bfour"
    words = {"model": "base", "prompt": echo, "echo": True, "max_tokens": 0, "stream": True}
    assert [c.choices[0].text for c in client.completions.create(**words)] == [echo]
    raw = client.completions.with_raw_response.create(**words).http_response.read()
    assert raw.isascii() and raw.count(b"\n\n") == 2
