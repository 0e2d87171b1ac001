"""Base, base with a veneer, or an aligned model as a model of inspect-ai:
`inspect eval TASK --model veneer/BASE -M veneer=FOLDER`."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.files import sha256_text
from veneer.models.formats import ChatFormat, Format, given_format
from veneer.models.load import load_model
from veneer.models.sampling import Sampling
from veneer.prompts.given import as_prompts
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import System

try:
    from anyio.to_thread import run_sync
    from inspect_ai.model import (
        ChatMessage,
        ContentReasoning,
        ContentText,
        GenerateConfig,
        ModelAPI,
        ModelOutput,
        ModelUsage,
    )
except ImportError:
    raise MissingExtra("inspect_ai", "inspect", "running tasks of inspect-ai") from None

# What a task or a command line may ask of a model that would change its answers, or add to them.
NOT_HAD = (
    "num_choices",
    "best_of",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "response_schema",
    "modalities",
    "verbosity",
    "effort",
    "reasoning_effort",
    "reasoning_tokens",
    "extra_body",
)
NEUTRAL = (("num_choices", 1), ("best_of", 1), ("modalities", ["text"]))
MAX_TOKENS = 512  # of an answer, where neither the task nor the command line names a number


class VeneerAPI(ModelAPI):
    """A local System under inspect-ai.

    model_name: what stands behind "veneer/", a name that `veneer.load_model` takes. veneer: the
    folder of a veneer for it. template: what the model reads, as with `--base-template`: "chat", a
    template's name, or a text with {prompt}; by default what the veneer was fitted behind, or
    without a veneer the chat template where the tokenizer has one. alpha: strength of the veneer.
    device, dtype, revision: as with `load_model`. Questions are answered one at a time, so that an
    answer depends on nothing but its question and the seed. Raises InputError for an unknown
    option, and while it works for messages that no language model reads (tools, pictures) and for
    settings that Veneer's models do not have (`NOT_HAD`).
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008
        veneer: str | None = None,
        template: str | None = None,
        alpha: float = 1.0,
        device: str = "auto",
        dtype: str = "auto",
        revision: str | None = None,
        **other: Any,
    ):
        super().__init__(model_name, base_url, api_key, [], config)
        if other:
            raise InputError(
                f"found the option {next(iter(other))!r} of a veneer model; expected veneer, "
                "template, alpha, device, dtype or revision"
            )
        lm = load_model(model_name, device=device, dtype=dtype, revision=revision)
        form: Format | None = None if template is None else given_format(template)
        if form is None and veneer is None and lm.tokenizer.chat_template:
            form = ChatFormat()
        self.system = System.of_model(lm, veneer, format=form, alpha=float(alpha))
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def max_connections(self) -> int:
        return 1

    async def generate(
        self, input: list[ChatMessage], tools: list[Any], tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        if tools:
            raise InputError(
                "a task gives its model tools, which Veneer's models do not call; take a task "
                "without tools"
            )
        given = {name: getattr(config, name, None) for name in NOT_HAD}
        if extra := [n for n, v in given.items() if v and (n, v) not in NEUTRAL]:
            raise InputError(
                f"a task or the command line sets {extra[0]}, which Veneer's models do not have; "
                "leave it out"
            )
        answer, read = await run_sync(partial(self._answer, input, config))
        content: list[Any] = [ContentText(text=answer.text)]
        if answer.reasoning is not None:
            content.insert(0, ContentReasoning(reasoning=answer.reasoning))
        reason = "max_tokens" if answer.finish_reason == "length" else "stop"
        output = ModelOutput.from_content(self.model_name, content, stop_reason=reason)
        written = len(answer.token_ids)
        output.usage = ModelUsage(
            input_tokens=read, output_tokens=written, total_tokens=read + written
        )
        return output

    def _answer(self, messages: list[ChatMessage], config: GenerateConfig) -> tuple[Response, int]:
        """Return an answer, and the length of its question in tokens. Who asks the same again
        (epochs) draws anew."""
        for message in messages:
            parts = [] if isinstance(message.content, str) else message.content
            if other := [p.type for p in parts if p.type not in ("text", "reasoning")]:
                raise InputError(
                    f"a message holds a part of the type {other[0]!r}; expected texts alone, which "
                    "are all that a language model reads"
                )
        turns = [{"role": m.role, "content": m.text} for m in messages]
        digest = sha256_text(repr(turns))
        sampling = Sampling(
            config.max_tokens or MAX_TOKENS,
            temperature=config.temperature or 0.0,
            top_p=1.0 if config.top_p is None else config.top_p,
            top_k=config.top_k or 0,
            seed=config.seed or 0,
            presence_penalty=config.presence_penalty or 0.0,
            frequency_penalty=config.frequency_penalty or 0.0,
            logit_bias=tuple((int(i), float(b)) for i, b in (config.logit_bias or {}).items()),
        )
        with self._lock:
            [prompt] = as_prompts([{"id": f"{digest}-{self._asked[digest]}", "messages": turns}])
            self._asked[digest] += 1
            read = self.system.prompt_tokens([prompt])[0]
            stops = config.stop_seqs or ()
            return respond(self.system, [prompt], sampling, stop_strings=stops)[0], read
