"""Three answers to one question, decoded in step: base, base with its veneer, and aligned.

Both backbones read all three answers, so each token comes with the KL of the aligned model against
base and against the veneer at its place, exact over the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from veneer.foundation.errors import InputError
from veneer.head.recorded import chosen_format
from veneer.head.veneer import Veneer
from veneer.measures.given_texts import exact_kl
from veneer.models.formats import Format
from veneer.models.head import Head
from veneer.models.pair import Pair
from veneer.models.reader import Reader
from veneer.models.sampling import NO_TOKEN, Answer, Sampling, choose
from veneer.models.stream import TextStream
from veneer.prompts.prompt import Prompt

SYSTEMS = ("base", "veneer", "aligned")
SHOWN = 5  # most likely tokens of each system


@dataclass(frozen=True)
class Piece:
    """What one system said next.

    text: one token, or several whose bytes only together are characters. kl_base, kl_veneer:
    KL(aligned || base) and KL(aligned || veneer) in nats; the greatest where there are several
    tokens. likely: for each system the most likely next tokens with their probabilities, before the
    first of these tokens. tokens: how many they are, an end token included. end: "stop" or "length"
    with the last piece of the answer.
    """

    system: str
    text: str
    tokens: int
    kl_base: float
    kl_veneer: float
    likely: dict[str, list[tuple[str, float]]]
    end: str | None = None


@dataclass
class _Row:
    """One answer that is being decoded."""

    system: str
    answer: Answer
    stream: TextStream
    kl: list[tuple[float, float]] = field(default_factory=list)  # of tokens whose text is held
    likely: dict[str, list[tuple[str, float]]] = field(default_factory=dict)


class SideBySide:
    """base, veneer and aligned of one pair.

    base_format: how base and the veneer read a question; by default as the veneer recorded. Raises
    InputError where the veneer is of another head, or records several formats and none is given.
    """

    def __init__(self, pair: Pair, veneer: Veneer, base_format: Format | None = None):
        veneer.check_fits(pair.base)
        self.pair, self.veneer = pair, veneer
        self.base_format = base_format or chosen_format(veneer.facts)

    def prompts(self, question: str) -> tuple[list[int], list[int]]:
        """Token ids of the question as base reads it, and as the aligned model does."""
        prompt = Prompt.from_text("question", question)
        return (
            self.base_format.encode(self.pair.base.tokenizer, prompt),
            self.pair.aligned_format.encode(self.pair.aligned.tokenizer, prompt),
        )

    def check(self, question: str, sampling: Sampling) -> None:
        """Raises InputError for a question that is empty or no valid text, or that leaves no room
        for the answer."""
        if not question.strip():
            raise InputError("the question is empty; type one")
        try:
            question.encode()
        except UnicodeEncodeError:
            raise InputError(
                "the question holds half of a character, or bytes that are not UTF-8; expected "
                "text in UTF-8"
            ) from None
        models = (self.pair.base, self.pair.aligned)
        for lm, ids in zip(models, self.prompts(question), strict=True):
            needed = len(ids) + sampling.max_new_tokens
            if lm.longest is not None and needed > lm.longest:
                raise InputError(
                    f"the question has {len(ids)} tokens and the answer may have "
                    f"{sampling.max_new_tokens}; {lm.name} reads {lm.longest} at most: shorten them"
                )

    def answers(
        self, question: str, sampling: Sampling | None = None, *, alpha: float = 1.0
    ) -> Iterator[Piece]:
        """Yield what the systems say, one piece per system and step, until all answers end.

        alpha: strength of the veneer (W + alpha dW). Raises InputError as `check` does.
        """
        sampling = sampling or Sampling()
        self.check(question, sampling)
        head = self.veneer.apply(self.pair.base.head, alpha)
        texts = (*self.pair.stop, *self.veneer.facts.get("stop", ()))
        base_ids, aligned_ids = self.prompts(question)
        rows = [
            _Row(
                system,
                Answer(sampling, base_ids, "question"),
                TextStream(
                    self.pair.base.tokenizer,
                    stop_ids=self.pair.stop_ids,
                    stop_strings=() if system == "base" else texts,
                ),
            )
            for system in SYSTEMS
        ]
        with torch.inference_mode():
            base = Reader(self.pair.base, [base_ids] * len(rows))
            aligned = Reader(self.pair.aligned, [aligned_ids] * len(rows))
        while rows:
            with torch.inference_mode():
                logits = self._logits(base.hidden(), aligned.hidden(), head)
                chosen = self._chosen(rows, logits)
                pieces, going_on = self._taken(rows, logits, chosen)
                if going_on:
                    places = torch.tensor(going_on, device=chosen.device)
                    base.keep(places)
                    aligned.keep(places)
                    kept = chosen[places]
                    base.feed(kept)
                    aligned.feed(self._to_aligned(kept))
            rows = [rows[i] for i in going_on]
            yield from pieces

    def _logits(self, base: Tensor, aligned: Tensor, head: Head) -> dict[str, Tensor]:
        """Logits (B, V) of each system in base's ids, from the two backbones' states (B, d)."""
        pair, size = self.pair, self.pair.vocabulary.size
        return {
            "base": pair.base.head.logits(base)[:, :size],
            "veneer": head.logits(base)[:, :size],
            "aligned": pair.vocabulary.from_other(pair.aligned.head.logits(aligned)).to(
                base.device
            ),
        }

    def _chosen(self, rows: Sequence[_Row], logits: dict[str, Tensor]) -> Tensor:
        """The next token (B,) of each row, by its own system."""
        own = torch.stack([logits[row.system][i] for i, row in enumerate(rows)])
        return choose(own, [row.answer for row in rows], self.pair.stop_ids)

    def _taken(
        self, rows: Sequence[_Row], logits: dict[str, Tensor], chosen: Tensor
    ) -> tuple[list[Piece], list[int]]:
        """The pieces that the tokens complete, and the places of the rows that go on."""
        logprobs = {name: values.double().log_softmax(-1) for name, values in logits.items()}
        kl = [exact_kl(logprobs["aligned"], logprobs[name]).tolist() for name in SYSTEMS[:2]]
        likely = {name: self._likely(values) for name, values in logprobs.items()}
        pieces, going_on = [], []
        for i, (row, token) in enumerate(zip(rows, chosen.tolist(), strict=True)):
            if not row.kl:
                row.likely = {name: tokens[i] for name, tokens in likely.items()}
            row.kl.append((kl[0][i], kl[1][i]))
            end = self._end(row, token)
            text = row.stream.add(token) if token != NO_TOKEN else ""
            end = end or ("stop" if row.stream.stopped else None)
            if end:
                text += row.stream.finish()
            if text or end:
                of_base, of_veneer = (max(0.0, *values) for values in zip(*row.kl, strict=True))
                pieces.append(
                    Piece(row.system, text, len(row.kl), of_base, of_veneer, row.likely, end)
                )
                row.kl.clear()
            if not end:
                going_on.append(i)
        return pieces, going_on

    def _end(self, row: _Row, token: int) -> str | None:
        """Why the answer ends with this token, or None."""
        row.answer.tokens.append(token)
        if token == NO_TOKEN or token in self.pair.stop_ids:
            return "stop"
        return "length" if len(row.answer.tokens) >= row.answer.sampling.max_new_tokens else None

    def _likely(self, logprobs: Tensor) -> list[list[tuple[str, float]]]:
        """The most likely tokens of each row of log-probabilities (B, V)."""
        values, ids = logprobs.topk(min(SHOWN, logprobs.shape[-1]), dim=-1)
        decode = self.pair.base.tokenizer.decode
        return [
            [(decode([i]), p) for i, p in zip(row, probabilities, strict=True)]
            for row, probabilities in zip(ids.tolist(), values.exp().tolist(), strict=True)
        ]

    def _to_aligned(self, chosen: Tensor) -> Tensor:
        ids = self.pair.vocabulary.ids_to_other(chosen.tolist())
        return torch.tensor(ids, device=self.pair.aligned.device)
