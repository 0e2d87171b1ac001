"""A judge model that runs in this process. It stands apart from the endpoint's, because it needs
torch and transformers, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from veneer.endpoint import ChatRequest, Reply, Usage
from veneer.endpoint.cache import Cache, key_of
from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.judges.asker import FILE
from veneer.judges.config import JudgeConfig
from veneer.models.computation import chat_computation, check_unchanged
from veneer.models.formats import ChatFormat
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.systems.respond import respond
from veneer.systems.system import System


def local_asker(name: str, config: JudgeConfig) -> LocalAsker:
    """Load the model of that name, once for all rubrics of a run."""
    return LocalAsker(_load(name, config.device, config.dtype), config)


class LocalAsker:
    """A chat model in this process, with greedy decoding. Raises InputError where it computes
    something else than when its replies in the cache were made.

    Its name in results carries a part of its fingerprint, because two folders may have one name. It
    is not constrained to a JSON schema, so that weak models give many unreadable judgements; these
    are counted like all others.
    """

    def __init__(self, lm: LanguageModel, config: JudgeConfig):
        fingerprint = lm.fingerprint()
        name = Path(lm.name).name if Path(lm.name).exists() else lm.name
        self.model = f"{name}-{fingerprint[:8]}"
        self.usage = Usage(models=[self.model])
        self._system = System("judge", lm, ChatFormat(), lm.stop_ids)
        self._facts = {"local": fingerprint, "dtype": str(lm.head.weight.dtype)}
        self._batch_size = config.batch_size
        self._cache = Cache(None if config.cache is None else config.cache / FILE)
        self._computation = chat_computation(lm)
        recorded = {self.model: self._cache.note(self.model)}
        check_unchanged(
            self._cache.path,
            recorded,
            {self.model: self._computation},
            f"give another --judge-cache or --out, or delete {self._cache.path}",
        )
        self._with_system = self._takes_system_text()

    def ask(
        self,
        requests: Sequence[ChatRequest],
        progress: Progress | None = None,
        what: str = "judgements",
    ) -> list[Reply]:
        keys = [key_of(**self._facts, body=r.body()) for r in requests]
        held = {k for k in keys if self._cache.get(k) is not None}
        first = {
            k: r for k, r in zip(reversed(keys), reversed(requests), strict=True) if k not in held
        }
        self.usage.cached += sum(k in held for k in keys)
        self.usage.shared += sum(k not in held for k in keys) - len(first)
        prompts = {
            k: Prompt(k, self._messages(first[k]), "", "judge")
            for k in dict.fromkeys(keys)
            if k in first
        }
        lengths = dict(
            zip(prompts, self._system.prompt_tokens(list(prompts.values())), strict=True)
        )
        errors = self._too_long({k: (lengths[k], _limit(first[k])) for k in prompts})
        self.usage.failed += len(errors)
        prompts = {k: prompt for k, prompt in prompts.items() if k not in errors}
        done, total = len(held) + len(errors), len(held) + len(first)
        for limit in sorted({_limit(first[k]) for k in prompts}):
            order = sorted(
                (k for k in prompts if _limit(first[k]) == limit), key=lambda k: (lengths[k], k)
            )
            for at in range(0, len(order), self._batch_size):
                batch = order[at : at + self._batch_size]
                for response in respond(
                    self._system,
                    [prompts[k] for k in batch],
                    Sampling(limit),
                    batch_size=self._batch_size,
                ):
                    self._keep(
                        response.prompt_id,
                        response.text,
                        response.finish_reason,
                        lengths,
                        len(response.token_ids),
                    )
                done += len(batch)
                if progress:
                    progress(done, total, what)
        return [
            Reply("", "too_long", error=errors[k])
            if k in errors
            else Reply(**{**(self._cache.get(k) or {}), "cached": k in held})
            for k in keys
        ]

    def _too_long(self, sizes: Mapping[str, tuple[int, int]]) -> dict[str, str]:
        """Key -> error of each request that exceeds the judge's context. sizes: key -> tokens of
        the prompt, most tokens of the reply."""
        longest = self._system.longest()
        return {
            key: f"the judge's prompt has {tokens} tokens, which with {limit} for the reply "
            f"exceeds its context of {longest}"
            for key, (tokens, limit) in sizes.items()
            if longest is not None and tokens + limit > longest
        }

    def _keep(self, key: str, text: str, finish: str, lengths: dict[str, int], tokens: int) -> None:
        self._cache.put_note(self.model, self._computation)
        self._cache.put(
            key,
            {
                "text": text,
                "finish_reason": finish,
                "prompt_tokens": lengths[key],
                "completion_tokens": tokens,
                "model": self.model,
            },
        )
        self.usage.requests += 1
        self.usage.replies += 1
        self.usage.prompt_tokens += lengths[key]
        self.usage.completion_tokens += tokens

    def _messages(self, request: ChatRequest) -> tuple[dict[str, str], ...]:
        messages = [dict(m) for m in request.messages]
        if not self._with_system and messages[0]["role"] == "system":
            head = messages.pop(0)["content"]
            messages[0] = {**messages[0], "content": f"{head}\n\n{messages[0]['content']}"}
        return tuple(messages)

    def _takes_system_text(self) -> bool:
        """Return whether the chat template accepts a system turn; otherwise that text goes before
        the user's. Raises InputError without a chat template."""
        turn = {"role": "user", "content": "a"}
        tokenizer = self._system.lm.tokenizer
        self._system.format.encode(tokenizer, Prompt("x", (turn,), ""))
        try:
            self._system.format.encode(
                tokenizer, Prompt("x", ({"role": "system", "content": "b"}, turn), "")
            )
        except InputError:
            return False
        return True


def _limit(request: ChatRequest) -> int:
    return int(request.parameters["max_tokens"])


@lru_cache(maxsize=1)
def _load(name: str, device: str, dtype: str) -> LanguageModel:
    """Load the judge model once for all rubrics of a run."""
    return load_model(name, device=device, dtype=dtype)
