"""Parse and check an endpoint's log-probabilities, and map its token strings to base's token
ids."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from veneer.capture.distributions import TopK
from veneer.endpoint.reply import read_reply
from veneer.models.language_model import LanguageModel
from veneer.models.token_texts import TokenTexts

ROUNDING = 1e-3  # by which a server's rounded probabilities may be above 1
# how OpenAI writes a token that is a part of a character
BYTES = re.compile(r"bytes:((?:\\x[0-9a-f]{2})+)")
MOST = 1e6
# at or below it a log-probability stands for -inf (vLLM and OpenAI write -9999)
IMPOSSIBLE = -1000.0
LOST = "\ufffd".encode()

Candidate = tuple[bytes, float]  # a token's bytes, natural log of its probability


class Untrue(ValueError):
    """An endpoint's log-probabilities contradict themselves; the message gives the
    contradiction."""


@dataclass(frozen=True)
class Position:
    """One token of a reply: its bytes, and the likely tokens at its place, itself included."""

    token: bytes
    likely: tuple[Candidate, ...]


def read_logprob_reply(data: Any) -> dict[str, Any]:
    """Return a reply with its log-probabilities as `told` (a list of [token, [[token,
    log-probability], ...]], tokens as lists of bytes), None where it has none; where their form is
    unreadable, `untold` gives the reason. The two keys are those of replies.log since version
    0.1.0. Raises what `read_reply` raises."""
    reply = read_reply(data)
    try:
        return {**reply, "told": logprob_rows(data["choices"][0].get("logprobs")) or None}
    except (ValueError, TypeError) as error:
        return {**reply, "told": None, "untold": str(error)}


def logprob_rows(given: Any) -> list[Any]:
    """Return the positions of a choice's log-probabilities, in the forms of chat completions
    ({"content": [...]}, or {"refusal": [...]} where the answer is a refusal), of a bare list, and
    of text completions ({"tokens", "token_logprobs", "top_logprobs"}, which some servers give for
    chats as well). Raises ValueError or TypeError for another form."""
    if isinstance(given, dict) and isinstance(given.get("tokens"), list):
        return list(map(_position, _of_columns(given)))
    if isinstance(given, dict):
        given = given.get("content") or given.get("refusal")
    return [_position(one) for one in given or []]


def _of_columns(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the columns of a text completion as rows."""
    tokens = given["tokens"]
    own, top = given.get("token_logprobs") or [], given.get("top_logprobs") or [None] * len(tokens)
    if len(own) != len(tokens) or len(top) != len(tokens):
        raise ValueError(f"{len(own)} log-probabilities for {len(tokens)} tokens")
    return [
        {"token": t, "logprob": p, "top_logprobs": c}
        for t, p, c in zip(tokens, own, top, strict=True)
    ]


def _position(one: Any) -> list[Any]:
    """Return a token, and the likely tokens with it among them. Of two tokens with the same text
    (SentencePiece's "I" with and without its blank), the likelier stays."""
    token, logprob = _token(one)
    top = one.get("top_logprobs") or []
    if isinstance(top, dict):
        top = [{"token": t, "logprob": p} for t, p in top.items()]
    likely: dict[tuple[int, ...], float | None] = {}
    for text, p in map(_token, top):
        before = likely.get(tuple(text))
        likely[tuple(text)] = p if before is None or (p is not None and p > before) else before
    if (own := likely.get(tuple(token))) is None:
        own = logprob
    return [token, [[list(t), p] for t, p in {**likely, tuple(token): own}.items()]]


def _token(one: Any) -> tuple[list[int], float | None]:
    """Return the bytes that the server gives, or those of the token's text. None: the server writes
    null, for it has no number (SGLang: -inf)."""
    if not isinstance(one, dict) or not isinstance(one.get("token"), str):
        raise ValueError("log-probabilities without tokens")
    logprob, raw = one.get("logprob", "none"), one.get("bytes")
    if isinstance(logprob, bool) or not isinstance(logprob, int | float | None):
        raise ValueError("a token without a log-probability")
    # JSON knows whole numbers that no float holds
    logprob = None if logprob is None else float(max(min(logprob, MOST), -MOST))
    if isinstance(raw, list) and all(isinstance(b, int) and 0 <= b < 256 for b in raw):
        return raw, logprob
    if bytes_match := BYTES.fullmatch(one["token"]):
        return [int(b, 16) for b in bytes_match[1].split("\\x")[1:]], logprob
    return list(one["token"].encode("utf-8", errors="replace")), logprob


def checked(rows: Sequence[Any], text: str) -> tuple[list[Position], str]:
    """Return the positions of a reply, and its text as they spell it. A candidate without a number,
    or with one that stands for -inf, is none.

    Raises Untrue where a log-probability is none, they sum to more than 1, or the tokens do not
    make up the text (a closing special token aside).
    """
    out = []
    for number, (token, likely) in enumerate(rows, 1):
        candidates = tuple(
            (bytes(t), float(p)) for t, p in likely if p is not None and not p <= IMPOSSIBLE
        )
        mass = sum(math.exp(min(p, 1.0)) for _, p in candidates if not math.isnan(p))
        if any(math.isnan(p) or p > ROUNDING for _, p in candidates):
            worst = max((p for _, p in candidates), key=lambda p: math.inf if math.isnan(p) else p)
            raise Untrue(
                f"a log-probability of {worst:g} at response position {number}, expected 0 or less"
            )
        if mass > 1 + ROUNDING * len(candidates):
            raise Untrue(
                f"probabilities that sum to {mass:.4g} at response position {number}, expected "
                "1 at most"
            )
        out.append(Position(bytes(token), candidates))
    for positions in (out, out[:-1]):
        spelt = b"".join(p.token for p in positions).decode("utf-8", errors="replace")
        if spelt.strip() == text.strip():
            return out, spelt
    raise Untrue(
        f"tokens that spell {spelt.strip()[:40]!r} where its text is {text.strip()[:40]!r}"
    )


class Matcher:
    """Maps token strings to base's ids."""

    def __init__(self, base: LanguageModel):
        self.base = base
        self.texts = TokenTexts(base.tokenizer)
        self._ids: dict[bytes, int] = {}
        by_length = sorted(
            base.tokenizer.get_vocab().items(),
            key=lambda item: (item[0].startswith("<0x"), item[1]),
        )
        for id in (id for _, id in by_length if id < base.head.rows):
            if (raw := self.texts.bytes(id)) != LOST:
                # a byte's own piece only where no other token is that byte
                self._ids.setdefault(raw, id)

    def id(self, token: bytes) -> int | None:
        """Return the token of base with these bytes, special tokens by their name; None where there
        is none."""
        return self._ids.get(token)

    def own_tokens(self, positions: Sequence[Position]) -> list[int]:
        """Return the server's own tokens in base's ids, or nothing where base has not got each of
        them."""
        own = [self.id(p.token) for p in positions]
        return [] if None in own else [i for i in own if i is not None]

    def distributions(self, ids: Sequence[int], positions: Sequence[Position], k: int) -> TopK:
        """Return the top k at each of the tokens `ids`: the server's own where one of its tokens
        stands at the same bytes, otherwise (its tokens are cut differently, or it has no entry for
        the end of turn) one-hot."""
        ends = list(accumulate(len(p.token) for p in positions))
        by_place = {(end - len(p.token), end): p for p, end in zip(positions, ends, strict=True)}
        rows, at = [], 0
        for id in ids:
            size = len(self.texts.bytes(id))
            rows.append(self._row(id, by_place.get((at, at + size)), k))
            at += size
        return TopK(*(torch.stack(column) for column in zip(*rows, strict=True)))

    def _row(self, id: int, position: Position | None, k: int) -> TopK:
        """Return ids (k,), -1 for an empty entry, and their log-probabilities; a token that base
        lacks belongs to the tail."""
        logprob_of: dict[int, float] = {id: 0.0}
        if position is not None and position.likely and self.id(position.token) == id:
            candidates = [(self.id(token), p) for token, p in position.likely]
            logprob_of = {
                i: p for i, p in sorted(candidates, key=lambda item: -item[1]) if i is not None
            }
            # rounding above 1
            over = math.log(max(1.0, sum(math.exp(p) for _, p in position.likely)))
            logprob_of = {i: p - over for i, p in list(logprob_of.items())[:k] if p > -math.inf}
        ids, logprobs = torch.full((k,), -1, dtype=torch.int32), torch.full((k,), -torch.inf)
        ids[: len(logprob_of)] = torch.tensor(list(logprob_of), dtype=torch.int32)
        logprobs[: len(logprob_of)] = torch.tensor(list(logprob_of.values()))
        rest = 1 - math.fsum(math.exp(p) for p in logprob_of.values())
        return TopK(
            ids,
            logprobs,
            torch.tensor(math.log(rest) if rest > 1e-9 else -torch.inf),
            torch.tensor(0.0),
        )
