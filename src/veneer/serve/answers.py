"""Answers in OpenAI's forms: whole or in chunks, chat or text, with log-probabilities and usage."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from veneer.models.token_texts import TokenTexts


class ScoredToken(NamedTuple):
    """A token and its natural log-probability (None for the first token of an echoed prompt); top:
    the most likely (id, log-probability) at its position, best first."""

    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """An addition to one answer. choice: the answer's number. text: final text, never withdrawn.
    scored: tokens with log-probabilities, where they were requested. finish: "stop" or "length" on
    its last piece. tokens: its tokens so far, end token included. reasoning: the thought in front
    of the answer, sent once."""

    choice: int
    text: str = ""
    scored: tuple[ScoredToken, ...] = ()
    finish: str | None = None
    tokens: int = 0
    reasoning: str = ""


@dataclass
class Gathered:
    """All pieces of one answer."""

    text: str = ""
    scored: list[ScoredToken] = field(default_factory=list)
    finish: str | None = None
    tokens: int = 0
    reasoning: str = ""

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.reasoning += piece.reasoning
        self.scored += piece.scored
        self.finish, self.tokens = piece.finish, piece.tokens


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


class Form(ABC):
    """The form of one reply. `whole` and `chunk` give its JSON; `offsets` continue from chunk to
    chunk."""

    kind = chunk_kind = prefix = ""

    def __init__(self, model: str, tokens: TokenTexts, logprobs: bool):
        self.tokens, self.logprobs = tokens, logprobs
        self._head = {
            "id": f"{self.prefix}-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, answers: Sequence[Gathered], prompt_tokens: int) -> dict[str, Any]:
        choices = [self._choice(i, a, role=True, chunk=False) for i, a in enumerate(answers)]
        used = usage(prompt_tokens, sum(a.tokens for a in answers))
        return {**self._head, "object": self.kind, "choices": choices, "usage": used}

    def chunk(self, piece: Piece, *, role: bool, with_usage: bool) -> dict[str, Any]:
        """role: the answer's first chunk. with_usage: the client waits for a chunk with the counts,
        so that others carry a null."""
        choices = [self._choice(piece.choice, piece, role=role, chunk=True)]
        return {
            **self._head,
            "object": self.chunk_kind,
            "choices": choices,
            **({"usage": None} if with_usage else {}),
        }

    def last(self, prompt_tokens: int, completion_tokens: int) -> dict[str, Any]:
        """Return the chunk with the counts."""
        return {
            **self._head,
            "object": self.chunk_kind,
            "choices": [],
            "usage": usage(prompt_tokens, completion_tokens),
        }

    @abstractmethod
    def _choice(
        self, index: int, piece: Piece | Gathered, *, role: bool, chunk: bool
    ) -> dict[str, Any]:
        """Return one entry of `choices`."""


class ChatForm(Form):
    kind, chunk_kind, prefix = "chat.completion", "chat.completion.chunk", "chatcmpl"

    def _choice(
        self, index: int, piece: Piece | Gathered, *, role: bool, chunk: bool
    ) -> dict[str, Any]:
        text = piece.text
        thought = {"reasoning_content": piece.reasoning} if piece.reasoning else {}
        if chunk:
            content = {"content": text} if text or (role and not thought) else {}
            body: dict[str, Any] = {
                "delta": {**({"role": "assistant"} if role else {}), **thought, **content}
            }
        else:
            body = {"message": {"role": "assistant", "content": text, **thought, "refusal": None}}
        logprobs = (
            {"content": [self._entry(s) for s in piece.scored], "refusal": None}
            if self.logprobs
            else None
        )
        return {"index": index, **body, "logprobs": logprobs, "finish_reason": piece.finish}

    def _entry(self, scored: ScoredToken) -> dict[str, Any]:
        top = [self._token(i, p) for i, p in scored.top]
        return {**self._token(scored.id, scored.logprob), "top_logprobs": top}

    def _token(self, id: int, logprob: float | None) -> dict[str, Any]:
        return {
            "token": self.tokens.name(id),
            "logprob": logprob,
            "bytes": list(self.tokens.bytes(id)),
        }


class TextForm(Form):
    """A text completion. Offsets count the characters of the text before each token. An end token
    is among the tokens, though not in the text: clients that score an echoed prompt drop the last
    token (lm-eval's `local-completions`)."""

    kind, chunk_kind, prefix = "text_completion", "text_completion", "cmpl"

    def __init__(self, model: str, tokens: TokenTexts, logprobs: bool):
        super().__init__(model, tokens, logprobs)
        self._bytes: dict[int, bytes] = {}

    def _choice(
        self, index: int, piece: Piece | Gathered, *, role: bool, chunk: bool
    ) -> dict[str, Any]:
        logprobs = self._logprobs(index, piece.scored) if self.logprobs else None
        return {
            "index": index,
            "text": piece.text,
            "logprobs": logprobs,
            "finish_reason": piece.finish,
        }

    def _logprobs(self, index: int, scored: Sequence[ScoredToken]) -> dict[str, Any]:
        offsets = []
        held = self._bytes.get(index, b"")
        chars = len(held.decode("utf-8", "ignore"))
        pending = b""
        for one in scored:
            offsets.append(chars)
            pending += self.tokens.text_bytes(one.id)
            text = pending.decode("utf-8", "ignore")
            chars += len(text)
            pending = pending[len(text.encode()) :] if text else pending
        self._bytes[index] = held + b"".join(self.tokens.text_bytes(s.id) for s in scored)
        return {
            "tokens": [self.tokens.name(s.id) for s in scored],
            "token_logprobs": [s.logprob for s in scored],
            "top_logprobs": [self._top(s) for s in scored],
            "text_offset": offsets,
        }

    def _top(self, scored: ScoredToken) -> dict[str, float] | None:
        """Return the most likely tokens, and the token itself where it is not among them. Where two
        tokens have one text, the likelier stays."""
        if scored.logprob is None:
            return None
        logprobs: dict[str, float] = {}
        for id, logprob in (*scored.top, (scored.id, scored.logprob)):
            logprobs.setdefault(self.tokens.name(id), logprob)
        return logprobs
