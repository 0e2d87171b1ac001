"""Any local System as a model of lm-evaluation-harness:
`lm_eval.simple_evaluate(model=VeneerLM(system), tasks=[...])`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.progress import Progress
from veneer.models.formats import ChatFormat, Format, TextFormat, one_bos
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.systems.likelihood import encode_pair, score_pairs
from veneer.systems.respond import respond
from veneer.systems.system import System

try:
    from lm_eval.api.model import TemplateLM
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError:
    raise MissingExtra("lm_eval", "lm-eval", "running tasks of lm-evaluation-harness") from None

Message = dict[str, str]
# the harness' names, by precedence
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
# options of transformers that change an answer
NOT_HAD = ("typical_p", "epsilon_cutoff", "eta_cutoff", "no_repeat_ngram_size")


@dataclass(frozen=True, slots=True)
class RenderedFormat:
    """The format of a text that a chat template has rendered already: read unchanged, special
    tokens included."""

    def text(self, prompt: Prompt) -> str:
        return prompt.plain

    def encode_text(self, tokenizer: Any, text: str) -> list[int]:
        return one_bos(list(tokenizer(text, add_special_tokens=False)["input_ids"]), tokenizer)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        return self.encode_text(tokenizer, prompt.plain)

    def facts(self) -> dict[str, Any]:
        return {"kind": "rendered"}


@dataclass(frozen=True, slots=True)
class CutFormat:
    """The last `most` tokens of another format, which is the harness' way with prompts that are too
    long."""

    inner: Format
    most: int

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        return self.inner.encode(tokenizer, prompt)[-self.most :]

    def facts(self) -> dict[str, Any]:
        return {"kind": "cut", "most": self.most, "inner": self.inner.facts()}


class VeneerLM(TemplateLM):
    """A System under lm-evaluation-harness.

    A task's text (few-shot examples included) is one user message in the system's own format: plain
    text for base and its veneer, the chat template for an aligned model, fences for an in-context
    one. With the harness' `apply_chat_template` its messages go through the system's format instead
    (through the tokenizer's template for a plain one). A prompt that is too long loses its
    beginning, as with the harness' own models, with one warning.

    batch_size: continuations or prompts read together. max_gen_toks: longest answer where a task
    names none. seed: seed of sampling.
    """

    def __init__(
        self,
        system: System,
        *,
        batch_size: int = 32,
        max_gen_toks: int = 256,
        seed: int = 0,
        progress: Progress | None = None,
    ):
        super().__init__()
        self.system, self.batch_size, self.max_gen_toks, self.seed = (
            system,
            batch_size,
            max_gen_toks,
            seed,
        )
        self.tokenizer = system.lm.tokenizer
        self._device = system.lm.device
        self._progress = progress
        self._rendered: set[str] = set()
        self._warned_of_cut = False

    # what the harness asks about the model

    @property
    def eot_token_id(self) -> int:
        return (
            self.tokenizer.eos_token_id
            if self.tokenizer.eos_token_id is not None
            else self.system.lm.pad_id
        )

    @property
    def prefix_token_id(self) -> int:
        return (
            self.tokenizer.bos_token_id
            if self.tokenizer.bos_token_id is not None
            else self.eot_token_id
        )

    @property
    def max_length(self) -> int:
        return self.system.longest() or 2048

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return (self.tokenizer.chat_template or "") if chat_template else ""

    def apply_chat_template(
        self, chat_history: list[Message], add_generation_prompt: bool = True
    ) -> str:
        form = self.system.format
        if isinstance(form, TextFormat) and form.facts()["kind"] != "plain":
            begun = "" if add_generation_prompt else chat_history[-1]["content"]
            turns = chat_history if add_generation_prompt else chat_history[:-1]
            text = form.text(Prompt("chat", tuple(turns), "")) + begun
        else:
            if (
                isinstance(form, ChatFormat)
                and form.system is not None
                and chat_history[0]["role"] != "system"
            ):
                chat_history = [{"role": "system", "content": form.system}, *chat_history]
            text = self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
                **(form.words(self.tokenizer) if isinstance(form, ChatFormat) else {}),
            )
        self._rendered.add(text)
        return text

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        return list(
            self.tokenizer(string, add_special_tokens=bool(add_special_tokens))["input_ids"]
        )

    # the three requests

    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        pairs = []
        for context, continuation in (r.args for r in requests):
            system = self._reading(context)
            if not isinstance(system.format, TextFormat):
                # behind a generation prompt stands no space
                continuation = continuation.lstrip() or continuation
            pairs.append(
                ((context, continuation), *encode_pair(system, _prompt("0", context), continuation))
            )
        return self._loglikelihood_tokens(pairs)

    def _loglikelihood_tokens(
        self, requests: Sequence[Any], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        pairs = [
            (self._cut(context, self.max_length + 1 - len(following)), following)
            for _, context, following in requests
        ]
        count = 0

        def done(batch: Sequence[int], scored: Any) -> None:
            nonlocal count
            count += len(batch)
            if self._progress:
                self._progress(count, len(pairs), self.system.name)

        scores = score_pairs(self.system, pairs, batch_size=self.batch_size, done=done)
        return [(x.logprob, x.is_greedy) for x in scores]

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Return log-likelihoods of texts by themselves, in no format: each token once, behind BOS
        or an end token, in windows of the model's context."""
        owners, pairs = [], []
        for number, (text,) in enumerate(r.args for r in requests):
            ids = self.tok_encode(text)
            for window in get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, 1):
                owners.append(number)
                pairs.append((None, *make_disjoint_window(window)))
        out = [0.0] * len(requests)
        for owner, (logprob, _) in zip(owners, self._loglikelihood_tokens(pairs), strict=True):
            out[owner] += logprob
        return out

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        groups: dict[tuple[bool, tuple[str, ...], Sampling], list[int]] = {}
        for i, request in enumerate(requests):
            context, words = request.args
            groups.setdefault((context in self._rendered, *self._sampling(words)), []).append(i)
        out = [""] * len(requests)
        for (_, until, sampling), numbers in groups.items():
            prompts = [_prompt(str(i), requests[i].args[0]) for i in numbers]
            system = self._reading(requests[numbers[0]].args[0])
            room = self.max_length - sampling.max_new_tokens
            if room < 1:
                raise InputError(
                    f"a task asks for answers of {sampling.max_new_tokens} tokens, but the "
                    f"model's context holds {self.max_length}; lower max_gen_toks in the task"
                )
            if max(system.prompt_tokens(prompts)) > room:
                self._warn_of_cut()
                system = replace(system, format=CutFormat(system.format, room))
            answers = respond(
                system,
                prompts,
                sampling,
                stop_strings=until,
                batch_size=self.batch_size,
                progress=self._progress,
            )
            for i, answer in zip(numbers, answers, strict=True):
                out[i] = answer.text
        return out

    # helpers

    def _reading(self, context: str) -> System:
        """Return the system in the format of this context: an already rendered text, or the
        system's own format."""
        return (
            replace(self.system, format=RenderedFormat())
            if context in self._rendered
            else self.system
        )

    def _sampling(self, words: Mapping[str, Any]) -> tuple[tuple[str, ...], Sampling]:
        """Return stop strings and sampling from a task's `generation_kwargs`."""
        until = words.get("until") or []
        until = [until] if isinstance(until, str) else list(until)
        longest = next((words[k] for k in LENGTHS if words.get(k) is not None), self.max_gen_toks)
        # greedy unless it says so
        temperature = float(words.get("temperature", 1.0)) if words.get("do_sample", False) else 0.0
        if int(words.get("num_beams") or 1) > 1:
            raise InputError(
                "a task asks for beam search (num_beams), which Veneer has not; set num_beams to "
                "1 in the task"
            )
        if temperature > 0 and (unsupported := [k for k in NOT_HAD if words.get(k) is not None]):
            raise InputError(
                f"a task samples with {', '.join(unsupported)}, which Veneer has not; leave it out "
                "of the task"
            )
        how = Sampling(
            int(longest),
            seed=self.seed,
            repetition_penalty=float(words.get("repetition_penalty") or 1.0),
        )
        if temperature:
            how = replace(
                how,
                temperature=temperature,
                top_p=float(words.get("top_p") or 1.0),
                top_k=int(words.get("top_k") or 0),
                min_p=float(words.get("min_p") or 0.0),
            )
        return tuple(u for u in until if u), how

    def _cut(self, context: Sequence[int], most: int) -> Sequence[int]:
        if len(context) <= most:
            return context
        self._warn_of_cut()
        return context[-max(1, most) :]

    def _warn_of_cut(self) -> None:
        if not self._warned_of_cut:
            logging.getLogger("veneer").warning(
                "veneer: some prompts are longer than the %s tokens that %s reads; they lose "
                "their beginning",
                self.max_length,
                self.system.name,
            )
            self._warned_of_cut = True


def _prompt(id: str, text: str) -> Prompt:
    return Prompt.from_text(id, text, task="lm-eval")
