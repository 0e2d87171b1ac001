"""A model behind an OpenAI-compatible endpoint as a System."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from veneer.endpoint import ChatRequest, Endpoint, EndpointConfig, Reply
from veneer.foundation.errors import InputError, VeneerError
from veneer.models.decode import Decoded, Sampling
from veneer.models.thoughts import cut
from veneer.prompts.prompt import Prompt
from veneer.reasoning import split_reasoning

# of ordinary text in common vocabularies, on the safe side; only batches by length depend on it
BYTES_A_TOKEN = 3
LEAVE_OUT = "shorten or change the prompt, or leave it out"
MOST_STOPS = 4  # stop strings that the OpenAI API takes; all of them are cut here anyway


class EndpointSystem:
    """style "chat": the endpoint applies its model's chat template to the prompt's messages;
    "completion": it continues the plain text, as a base model does. system: a system text in
    front of the messages. arguments: values for its chat template, sent as `chat_template_kwargs`
    (vLLM, SGLang and llama.cpp know it).

    What it answers has no token ids, and its randomness is the server's: seed and temperature are
    passed, and whether equal seeds give equal answers is the server's promise. Raises MissingExtra
    without the package `openai`.
    """

    def __init__(
        self,
        config: EndpointConfig,
        *,
        name: str | None = None,
        style: Literal["chat", "completion"] = "chat",
        system: str | None = None,
        stop: Sequence[str] = (),
        arguments: Mapping[str, Any] | None = None,
    ):
        self.name = name or config.model
        self.config, self.style, self.system, self.stop = config, style, system, tuple(stop)
        self.arguments = dict(arguments or {})
        self.endpoint = Endpoint(config)

    def prompt_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """An estimate from the prompts' bytes, since the tokenizer is unknown. Raises InputError
        for a prompt whose answer is to begin with a forced text."""
        if any(p.forced for p in prompts):
            raise InputError(
                f"found a forced beginning of the answers of {self.name}, which answers behind an "
                "endpoint: servers do not agree on how an answer is continued; load the model here "
                "instead, without a URL"
            )
        return [
            1 + len(self._text(p).encode("utf-8", errors="replace")) // BYTES_A_TOKEN
            for p in prompts
        ]

    def longest(self) -> int | None:
        return None

    def decode(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        stop_strings: Sequence[str],
        keys: Sequence[str],
    ) -> list[Decoded]:
        """Answer one batch, its requests in parallel. Raises VeneerError where an answer could not
        be had: none is left out."""
        stops = (*stop_strings, *self.stop)
        replies = self.endpoint.chat_many(
            [self._request(p, sampling, stops, k) for p, k in zip(prompts, keys, strict=True)]
        )
        for prompt, reply in zip(prompts, replies, strict=True):
            if reply.error is not None and reply.finish_reason != "content_filter":
                mend = LEAVE_OUT if reply.own else "run the same command again to resume"
                raise VeneerError(
                    f"{self.name} gave no answer to {prompt.task} {prompt.id!r}: "
                    f"{reply.error}; {mend}"
                )
        _warn_of_thoughts(self.name, prompts, replies)
        return [_decoded(r, stops) for r in replies]

    def record(self) -> dict[str, Any]:
        """How its replies differ from what was requested, for the manifest; see
        `Endpoint.record`."""
        return self.endpoint.record()

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.config.facts(),
            "style": self.style,
            "system": self.system,
            **({"stop": list(self.stop)} if self.stop else {}),
            **({"arguments": self.arguments} if self.arguments else {}),
        }

    def _text(self, prompt: Prompt) -> str:
        if self.style == "completion":
            return prompt.plain
        return "\n".join(
            [*([self.system] if self.system else []), *(m["content"] for m in prompt.messages)]
        )

    def _request(
        self, prompt: Prompt, sampling: Sampling, stops: Sequence[str], key: str
    ) -> ChatRequest:
        parameters: dict[str, Any] = {
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.temperature > 0:
            parameters["seed"] = _seed(sampling.seed, key)
            # 1 has no effect, and some servers refuse it beside a temperature
            if sampling.top_p < 1:
                parameters["top_p"] = sampling.top_p
        parameters |= _further(sampling)
        if stops:
            parameters["stop"] = list(dict.fromkeys(stops))[:MOST_STOPS]
        if self.style == "completion":
            return ChatRequest(parameters=parameters, prompt=prompt.plain)
        if self.arguments:
            parameters["chat_template_kwargs"] = self.arguments
        head = [] if self.system is None else [{"role": "system", "content": self.system}]
        return ChatRequest([*head, *prompt.messages], parameters)


def _decoded(reply: Reply, stops: Sequence[str]) -> Decoded:
    """An answer that the endpoint's filter withheld keeps that finish reason, and what came of it.
    What the server returns as reasoning, and what stands as a thought in its text, is kept apart
    from the answer. An answer that holds only reasoning is not finished, whatever the server
    says."""
    parts = split_reasoning(reply.text)
    thoughts = [t for t in (reply.reasoning, parts.reasoning) if t is not None]
    if not thoughts and reply.unfinished:  # the server counts a thought that it does not show
        thoughts = [""]
    text = cut(parts.answer, stops)
    finish = (
        "stop" if text != parts.answer else "length" if reply.unfinished else reply.finish_reason
    )
    return Decoded((), text, finish, "\n\n".join(thoughts) if thoughts else None)


def _warn_of_thoughts(name: str, prompts: Sequence[Prompt], replies: Sequence[Reply]) -> None:
    """A warning where the model thought and gave no answer: its text is empty, and that is no
    answer of the model."""
    lost = [p for p, r in zip(prompts, replies, strict=True) if r.unfinished]
    if lost:
        logging.getLogger("veneer").warning(
            "veneer: %s gave no answer to %d of %d prompts (the first is %s %r): all that came is "
            "reasoning (reasoning_content); these answers are kept as unfinished; give a larger "
            "--max-new-tokens",
            name,
            len(lost),
            len(prompts),
            lost[0].task,
            lost[0].id,
        )


def _further(sampling: Sampling) -> dict[str, Any]:
    """Options beyond the usual ones, where they are used: OpenAI's names, and for what its API
    lacks those of vLLM and `veneer serve`. An endpoint refuses an option that it lacks; none is
    left out silently."""
    names = {
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "top_k": "top_k",
        "min_p": "min_p",
        "repetition_penalty": "repetition_penalty",
        "min_new_tokens": "min_tokens",
    }
    used = sampling.facts()
    out = {there: used[here] for here, there in names.items() if here in used}
    return out | (
        {"logit_bias": {str(i): b for i, b in sampling.logit_bias}} if sampling.logit_bias else {}
    )


def _seed(seed: int, key: str) -> int:
    """A seed of its own for each answer, so that samples of one prompt differ."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{key}".encode()).digest()[:4], "big") >> 1
