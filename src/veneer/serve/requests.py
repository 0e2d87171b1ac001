"""Turn a request into a job: its model, its prompts as token ids, its limits, and each answer's
sampling."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from veneer.models.decode import Row, Sampling
from veneer.serve.errors import ApiError
from veneer.serve.job import ServeJob
from veneer.serve.schema import Body, ChatBody, TextBody
from veneer.serve.served import PromptIds, Served

DEFAULT_TOKENS = 16  # default of a text completion, as at OpenAI
# A longer text is refused unread: only runs of spaces and the like have tokens of more bytes.
BYTES_PER_TOKEN = 32
MOST_LOGPROBS_AT_ONCE = 2**18  # of one request: 131,072 prompt tokens with one alternative each


Wanted = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """max_tokens: longest answer. max_rows: most answers to one request (prompts times n).
    max_body: bytes of a request. max_prompt_tokens: tokens over all prompts of one request; the
    model's context bounds a single one anyway."""

    max_tokens: int = 1024
    max_rows: int = 128
    max_body: int = 4 * 2**20
    max_prompt_tokens: int = 2**17


def find(systems: Mapping[str, Served], name: str) -> Served:
    """Return the system of a request. Raises ApiError (404) that names those served."""
    if name not in systems:
        served = ", ".join(systems)
        raise ApiError(
            404,
            f"there is no model {name[:80]!r} here; expected one of {served}",
            param="model",
            code="model_not_found",
        )
    return systems[name]


def rows_of(body: Body, limits: Limits) -> int:
    """Return the number of answers to a request, before its prompts are read. Raises ApiError (400)
    where they are too many."""
    prompts = len(body.prompts()) if isinstance(body, TextBody) else 1
    if (rows := prompts * body.choices) > limits.max_rows:
        raise ApiError(
            400,
            f"the request asks for {rows} answers; expected {limits.max_rows} at most",
            param="n" if body.choices > 1 else "prompt",
        )
    return rows


def make_job(body: Body, served: Served, limits: Limits, wanted: Wanted) -> ServeJob:
    """Return the job of a request. wanted: called before each prompt is read; it raises where
    nobody waits for the answer any more. Raises ApiError (400) for what the system cannot read."""
    if isinstance(body, ChatBody):
        job = _chat_job(body, served, limits, wanted)
    else:
        assert isinstance(body, TextBody)
        job = _text_job(body, served, limits, wanted)
    if job.logprobs > MOST_LOGPROBS_AT_ONCE:
        raise ApiError(
            400,
            f"the request asks for up to {job.logprobs} log-probabilities; this server gives "
            f"{MOST_LOGPROBS_AT_ONCE} at most to one request: ask for fewer answers, tokens or "
            "alternatives",
            param="logprobs",
        )
    return job


def _chat_job(body: ChatBody, served: Served, limits: Limits, wanted: Wanted) -> ServeJob:
    messages = [m.turn() for m in body.messages]
    _check_length(served, [m["content"] for m in messages], limits, "messages", together=True)
    wanted()
    prompt = served.of_messages(messages)
    named = (
        body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    )
    field = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    tokens = _room(served, [prompt], named, limits, "messages", field)
    top = (body.top_logprobs or 0) if body.logprobs else None
    return ServeJob(
        served,
        [prompt],
        _rows(body, served, 1, tokens),
        body.choices,
        top,
        stream=bool(body.stream),
        max_tokens=tokens,
        hide_end=True,
        apart=True,
    )


def _text_job(body: TextBody, served: Served, limits: Limits, wanted: Wanted) -> ServeJob:
    prompts = body.prompts()
    _check_length(served, prompts, limits, "prompt")
    read_prompts: list[PromptIds] = []
    tokens = 0
    for prompt in prompts:
        wanted()
        read_prompts.append(
            served.of_text(prompt) if isinstance(prompt, str) else served.of_ids(prompt)
        )
        if (tokens := tokens + len(read_prompts[-1].ids)) > limits.max_prompt_tokens:
            raise ApiError(
                400,
                f"the prompts have more than {limits.max_prompt_tokens} tokens together; send "
                "fewer",
                param="prompt",
            )
    echo = bool(body.echo)
    if body.max_tokens == 0 and not echo:
        raise ApiError(
            400,
            "max_tokens is 0 without echo, so there is nothing to answer; expected 1 or more",
            param="max_tokens",
        )
    length = _room(
        served,
        read_prompts,
        DEFAULT_TOKENS if body.max_tokens is None else body.max_tokens,
        limits,
        "prompt",
        "max_tokens",
    )
    if echo and body.logprobs is not None and not served.can_score():
        raise ApiError(
            400,
            f"{served.id!r} shifts by the position in the answer, so a prompt's own tokens have "
            "no log-probabilities; ask a system with a constant alpha, or leave out echo",
            param="echo",
        )
    texts = (
        [
            p if isinstance(p, str) else served.lm.tokenizer.decode(p, skip_special_tokens=True)
            for p in prompts
        ]
        if echo
        else []
    )
    return ServeJob(
        served,
        read_prompts,
        [replace(row, raw=True) for row in _rows(body, served, len(prompts), length)],
        body.choices,
        body.logprobs,
        echo,
        texts,
        bool(body.stream),
        length,
    )


def _check_length(
    served: Served,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    limits: Limits,
    param: str,
    together: bool = False,
) -> None:
    """Raise ApiError (400) for prompts that cannot fit the context, before any is read: to read a
    text takes a second per megabyte. together: the texts make one prompt."""
    longest = served.system.longest()
    tokens = limits.max_prompt_tokens if longest is None else longest
    for given in ["".join(map(str, prompts))] if together else prompts:
        if isinstance(given, str):
            length, most = len(given.encode()), tokens * BYTES_PER_TOKEN
            unit = "bytes of text"
        else:
            length, most, unit = len(given), tokens, "token ids"
        if length > most:
            raise ApiError(
                400,
                f"the prompt has {length} {unit}; {served.id!r} reads {most} at most, because its "
                f"context holds {tokens} tokens; shorten it",
                param=param,
                code="context_length_exceeded",
            )


def _room(
    served: Served,
    prompts: list[PromptIds],
    named: int | None,
    limits: Limits,
    param: str,
    field: str,
) -> int:
    """Return the longest answer. field: the one that names it. Raises ApiError (400) where prompt
    and answer do not fit the context, or the request exceeds a limit."""
    length = max(max(len(a.ids), len(a.small or ())) for a in prompts)
    longest = served.system.longest()
    if named is not None and named > limits.max_tokens:
        raise ApiError(
            400,
            f"{field} is {named}; this server gives {limits.max_tokens} at most (its --max-tokens)",
            param=field,
        )
    if longest is None:
        return limits.max_tokens if named is None else named
    room = longest - length
    if room < (1 if named is None else named):
        wanted = "" if named is None else f" and {named} tokens of answer"
        raise ApiError(
            400,
            f"the context of {served.id!r} holds {longest} tokens, but the prompt has "
            f"{length}{wanted}; shorten them",
            param=param,
            code="context_length_exceeded",
        )
    return min(limits.max_tokens, room) if named is None else named


def _rows(body: Body, served: Served, prompts: int, max_tokens: int) -> list[Row]:
    """Return one row per answer. Without a seed each request draws its own; answers of one request
    draw from streams of their own."""
    system = served.system
    biases = tuple((int(i), b) for i, b in (body.logit_bias or {}).items())
    if biases and (largest := max(i for i, _ in biases)) >= served.lm.head.rows:
        raise ApiError(
            400,
            f"logit_bias names the token {largest}; {served.id!r} has {served.lm.head.rows}",
            param="logit_bias",
        )
    own = served.settings
    sampling = Sampling(
        max_new_tokens=max(1, max_tokens),
        temperature=(own.temperature or 1.0) if body.temperature is None else body.temperature,
        top_p=body.top_p or own.top_p,
        seed=secrets.randbits(63) if body.seed is None else body.seed,
        barred=own.barred,
        barred_steps=own.barred_steps,
        also_barred=(
            *own.also_barred,
            *((i, getattr(system, "barred_steps", 0)) for i in getattr(system, "barred", ())),
        ),
        top_k=max(0, own.top_k if body.top_k is None else body.top_k),
        min_p=own.min_p if body.min_p is None else body.min_p,
        repetition_penalty=body.repetition_penalty or own.repetition_penalty,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        min_new_tokens=min(own.min_new_tokens, max(1, max_tokens)),
        logit_bias=(*own.logit_bias, *biases),
    )
    stops = (*body.stops, *(s for s in system.stop if s not in body.stops))
    return [
        Row(sampling, f"{p}/{sample}", stops)
        for p in range(prompts)
        for sample in range(body.choices)
    ]
