"""A model behind an OpenAI-compatible endpoint as the teacher of a capture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.capture.config import CaptureConfig
from veneer.capture.distributions import TopK
from veneer.capture.teachers.reply_logprobs import Matcher, Untrue, checked, read_logprob_reply
from veneer.capture.teachers.stored import MEASURE, StoredAnswer, end_of, one_hot, tokens_of
from veneer.endpoint.client import Endpoint
from veneer.endpoint.config import EndpointConfig
from veneer.endpoint.failure import Failure
from veneer.endpoint.reply import ChatRequest, is_unfinished
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import read_json, sha256_text
from veneer.models.decode import Decoded, Sampling
from veneer.models.formats import ChatFormat
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.prompt import Prompt

MOST = 20  # top log-probabilities that OpenAI's API gives


@dataclass(frozen=True)
class RemoteTeacher:
    """See teacher.py. The endpoint applies its model's chat template to the prompt's messages.

    top: log-probabilities per token (see `probe`), matched to base's tokens by their bytes; the
    remaining mass is the tail. 0: none, so that the targets are one-hot as for stored answers.
    system: a system text in front of the messages. arguments: values for the endpoint's chat
    template, sent as `chat_template_kwargs` (vLLM, SGLang and llama.cpp accept it). `config.cache`
    keeps the replies, so that a capture that resumes sends no request twice. Raises MissingExtra
    without the package `openai`.
    """

    base: LanguageModel
    config: EndpointConfig
    top: int
    system: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    _endpoint: Endpoint = field(init=False, repr=False)
    _matcher: Matcher = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.top <= MOST:
            raise InputError(
                f"{self.top} top log-probabilities are requested; expected 0 (the text alone) "
                f"to {MOST}"
            )
        object.__setattr__(self, "_endpoint", Endpoint(self.config))
        object.__setattr__(self, "_matcher", Matcher(self.base))

    @property
    def name(self) -> str:
        return self.config.model

    @property
    def size(self) -> int:
        return self.base.head.rows

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.base.stop_ids

    @property
    def models(self) -> tuple[LanguageModel, ...]:
        return ()

    def inputs(self, prompts: Sequence[Prompt]) -> list[list[dict[str, str]]]:
        """Return each prompt's chat messages."""
        head = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [[*head, *p.messages] for p in prompts]

    def lengths(self, inputs: Sequence[list[dict[str, str]]]) -> list[int]:
        """Return the prompts' lengths in bytes, not tokens: the endpoint's tokenizer is not
        available, and only the batches depend on the lengths."""
        return [
            sum(len(m["content"].encode("utf-8", errors="replace")) for m in messages)
            for messages in inputs
        ]

    def longest(self) -> int | None:
        return None

    def answer(
        self, prompts: Sequence[Prompt], keys: Sequence[str], config: CaptureConfig
    ) -> tuple[list[Decoded], list[TopK]]:
        """Send the requests of a batch in parallel.

        Raises VeneerError where an answer failed, is empty, holds reasoning alone, comes without
        the log-probabilities that earlier ones had, or with impossible ones: no prompt is left out.
        """
        calls = [
            _call(messages, config.sampling, self.top, self.arguments)
            for messages in self.inputs(prompts)
        ]
        pairs = [
            self._read(p, outcome, config)
            for p, (outcome, _) in zip(
                prompts, self._endpoint.call_many(calls, read_logprob_reply), strict=True
            )
        ]
        return [d for d, _ in pairs], [t for _, t in pairs]

    def facts(self) -> dict[str, Any]:
        targets = (
            {"targets": f"top-{self.top}"}
            if self.top
            else {"targets": "one-hot", "measure": MEASURE}
        )
        endpoint = self.config.facts()
        return {
            "aligned": {"name": self.name, "fingerprint": sha256_text(json.dumps(endpoint))},
            "aligned_format": ChatFormat(self.system, self.arguments).facts(),
            "vocabulary": match_vocabularies(self.base, self.base).facts(),
            "stop_ids": list(self.stop_ids),
            "teacher": {"kind": "endpoint", **targets, "endpoint": endpoint, "system": self.system},
        }

    def record(self) -> dict[str, Any]:
        """Return facts on replies that were not as requested, those of a former run too; see
        `Endpoint.record`."""
        return self._endpoint.record(everything=True)

    def _read(
        self, prompt: Prompt, outcome: dict[str, Any] | Failure, config: CaptureConfig
    ) -> tuple[Decoded, TopK]:
        where, which = f"{self.name} at {self.config.url}", f"{prompt.task} {prompt.id!r}"
        if isinstance(outcome, Failure):
            mend = "leave the prompt out" if outcome.own else "run the same command again to resume"
            raise VeneerError(f"{where} gave no answer to {which}: {outcome.message}; {mend}")
        text, end = outcome["text"], end_of(self.base)
        if is_unfinished(text, outcome.get("reasoning"), outcome.get("thought_tokens", 0)):
            raise VeneerError(
                f"{where} gave no answer to {which}: its content is empty, and all that came is "
                "reasoning (reasoning_content); give a larger --max-new-tokens, let the server "
                "leave the reasoning out, or leave the prompt out"
            )
        if not text.strip() and (end is None or outcome["finish_reason"] != "stop"):
            raise VeneerError(
                f"{where} gave an empty answer to {which} (it says {outcome['finish_reason']!r}); "
                "leave the prompt out"
            )
        if outcome["finish_reason"] == "content_filter":
            raise VeneerError(
                f"{where} withheld a part of its answer to {which} (it says 'content_filter'); "
                "leave the prompt out"
            )
        if self.top and text.strip() and not outcome.get("told"):
            raise VeneerError(
                f"{where} gave log-probabilities before, but {outcome.get('untold', 'none')} with "
                f"its answer to {which}; capture its text alone (--top-logprobs 0)"
            )
        try:
            positions, spelt = checked(outcome["told"] or [], text) if self.top else ([], text)
        except Untrue as error:
            raise VeneerError(
                f"{where} tells {error}, in its answer to {which}; capture its text alone "
                "(--top-logprobs 0)"
            ) from None
        ended = outcome["finish_reason"] == "stop"
        ids = self._matcher.own_tokens(positions) or tokens_of(
            self.base, StoredAnswer(spelt, None, ended=False)
        )
        if ended and end is not None and (not ids or ids[-1] not in self.stop_ids):
            ids.append(end)
        ids = ids[: config.sampling.max_new_tokens]
        thought = outcome.get("reasoning")  # apart from the text, so base does not read it
        decoded = Decoded(
            tuple(ids),
            text if thought else "",
            "stop" if ids[-1] in self.stop_ids else "length",
            thought,
        )
        return decoded, self._matcher.distributions(
            ids, positions, min(config.k, self.top + 1)
        ) if self.top else one_hot(ids)


def probe(
    config: EndpointConfig,
    prompt: Prompt,
    sampling: Sampling,
    *,
    top: int = MOST,
    system: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> int:
    """Return how many log-probabilities per token, of at most `top`, an endpoint gives in one trial
    request; 0 where it gives none. Raises what the endpoint's client raises where it gives no
    answer at all."""
    if not top:
        return 0
    head = [] if system is None else [{"role": "system", "content": system}]
    call = _call([*head, *prompt.messages], sampling, top, arguments or {})
    ((outcome, _),) = Endpoint(replace(config, cache=None)).call_many([call], read_logprob_reply)
    if isinstance(outcome, Failure):
        raise VeneerError(
            f"{config.model} at {config.url} gave no answer to its first prompt: {outcome.message}"
        )
    if "untold" in outcome:
        raise VeneerError(
            f"{config.model} at {config.url} gives {outcome['untold']} with its first answer; "
            "capture its text alone (--top-logprobs 0)"
        )
    # the token itself stands among them; where the rest is without mass, servers name fewer
    most = max((len(likely) for _, likely in outcome["told"] or ()), default=0)
    return min(top, most) if most > 1 else 0


def known_top(capture: Path, most: int) -> int | None:
    """Return the number that an earlier run recorded in this folder's manifest; None where the
    folder holds no capture. most: the number requested now."""
    path = capture / "manifest.json"
    manifest = read_json(path, "the manifest of a capture") if path.is_file() else {}
    targets = str(manifest.get("teacher", {}).get("targets")) if isinstance(manifest, dict) else ""
    if targets == "one-hot":
        return 0
    return (
        min(most, int(targets.removeprefix("top-")))
        if targets.removeprefix("top-").isdecimal()
        else None
    )


def _call(
    messages: list[dict[str, str]], sampling: Sampling, top: int, arguments: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    words: dict[str, Any] = {
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        # 1 says nothing
        words |= {"seed": sampling.seed} | ({"top_p": sampling.top_p} if sampling.top_p < 1 else {})
    if top:
        words |= {"logprobs": True, "top_logprobs": top}
    if arguments:
        words["chat_template_kwargs"] = dict(arguments)
    request = ChatRequest(messages, words)
    return request.path, request.body()
