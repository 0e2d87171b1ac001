"""Answers of one served system that are decoded together, each with its own sampling."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from veneer.foundation.errors import VeneerError
from veneer.models.decode import FAILED, Token, decode_steps, response_parts
from veneer.models.stream import PartsStream, TextStream
from veneer.models.thoughts import Thoughts
from veneer.serve.answers import Piece, ScoredToken
from veneer.serve.errors import failed
from veneer.serve.job import ServeJob
from veneer.serve.scoring import first_token, score_prompts

SCORED_AT_ONCE = 1024  # tokens of prompts that are scored in one step
log = logging.getLogger("veneer.serve")


class Seat:
    """One answer of a job, waiting or under way. turn: its place in the queue. replay: tokens that
    an earlier attempt made, whose pieces the client has."""

    def __init__(self, job: ServeJob, choice: int, turn: int = 0, replay: Sequence[int] = ()):
        self.job, self.choice, self.turn = job, choice, turn
        self._replay = deque(replay)
        self.prompt, self.row = job.prompt(choice), job.rows[choice]
        self.over = False
        self._stops = frozenset(job.served.system.stop_ids)
        how: dict[str, Any] = {"stop_ids": self._stops, "stop_strings": self.row.stop_strings}
        tokenizer = job.served.lm.tokenizer
        self._stream = (
            PartsStream(tokenizer, **how, prompt=self.prompt.ids)
            if job.apart
            else TextStream(tokenizer, **how)
        )
        self._reasoning = ""  # the part of the thought that is not sent yet
        self._thinks = False
        self._ids: list[int] = []
        # sent with the first piece
        self._echo = job.texts[choice // job.per_prompt] if job.echo else ""
        self._text = ""  # the part of the answer that is not sent yet
        self._sent_bytes = 0  # bytes that were
        self._begin = 0  # bytes in front of the next token's
        # tokens, with the byte at which they begin, whose text is not sent yet
        self._held: deque[tuple[int, ScoredToken]] = deque()
        self._scored: list[ScoredToken] = []

    @property
    def scores_prompt(self) -> bool:
        return self.job.echo and self.job.top is not None

    def goes_with(self, other: Seat) -> bool:
        """Return whether one batch may hold both: answers do not wait while others have their
        prompts scored."""
        return self.job.served is other.job.served and self.scores_prompt == other.scores_prompt

    @property
    def open(self) -> bool:
        return not (self.over or self.job.gone)

    def scored_prompt(self, scored: Sequence[ScoredToken]) -> None:
        self._scored += [s._replace(top=s.top[: self.job.top]) for s in scored]

    def again(self) -> Seat:
        """Return a seat that answers from the beginning and sends only what was not sent: an answer
        does not depend on its neighbours, so the second attempt makes the same tokens."""
        return Seat(self.job, self.choice, self.turn, self._ids if self.job.stream else ())

    def fail(self, error: Exception) -> None:
        """End the job of this answer, whose client gets a 500. The cause goes to the log."""
        log.error("an answer of %s failed", self.job.served.id, exc_info=error)
        self.job.send(failed())
        self.job.gone = True

    def take(self, token: Token) -> Piece | None:
        """Add a token and return the piece that it completes, or None. Raises VeneerError where
        no token could be chosen."""
        if token.finish_reason == FAILED:
            raise VeneerError(
                f"the logits of {self.job.served.id} are not finite behind {len(self._ids)} tokens "
                "of an answer; its weights may be damaged, or its half precision overflows"
            )
        piece = self._take(token)
        if not self._replay:
            return piece
        if self._replay.popleft() != token.id:
            raise VeneerError("a second attempt at an answer made other tokens than the first")
        return None

    def _take(self, token: Token) -> Piece | None:
        job, last = self.job, token.finish_reason is not None
        self._ids.append(token.id)
        if job.stream:
            self._text += self._stream.add(token.id) + (self._stream.finish() if last else "")
            if isinstance(self._stream, PartsStream):
                self._reasoning, self._thinks = (
                    self._reasoning + self._stream.reasoning(),
                    self._stream.thinks,
                )
        elif last:
            self._whole()
        if job.top is not None:
            self._score(token, last)
        return self._piece(token.finish_reason)

    def _whole(self) -> None:
        """Set the text of an answer that has ended: without the thought for a chat, as written for
        a completion."""
        lm, stops = self.job.served.lm, self.row.stop_strings
        if not self.job.apart:
            self._text = Thoughts.of(lm.tokenizer).raw(
                [i for i in self._ids if i not in self._stops], stops
            )
            return
        parts = response_parts(lm, self._ids, self._stops, stops, self.prompt.ids)
        self._text, self._reasoning, self._thinks = (
            parts.answer,
            parts.reasoning or "",
            parts.reasoning is not None,
        )

    def end(self) -> Piece:
        """Return the last piece of an answer that may have no tokens."""
        piece = self._piece("length")
        assert piece is not None
        return piece

    def _score(self, token: Token, last: bool) -> None:
        """Send a token's log-probability with its text; behind the beginning of a stop string it is
        never sent."""
        is_end = token.id in self._stops
        if not (is_end and self.job.hide_end):
            self._held.append(
                (self._begin, ScoredToken(token.id, token.logprob, token.top[: self.job.top]))
            )
        self._begin += len(self.job.served.tokens.text_bytes(token.id))
        sent_bytes = self._sent_bytes + len(self._text.encode("utf-8", "replace"))
        # the tokens of a thought are sent as well
        whole = self._thinks or (last and (is_end or token.finish_reason == "length"))
        while self._held and (whole or self._held[0][0] < sent_bytes):
            self._scored.append(self._held.popleft()[1])

    def _piece(self, finish: str | None) -> Piece | None:
        self.over = finish is not None
        if not (
            self.over
            or (self.job.stream and (self._text or self._scored or self._echo or self._reasoning))
        ):
            return None
        piece = Piece(
            self.choice,
            self._echo + self._text,
            tuple(self._scored),
            finish,
            len(self._ids),
            self._reasoning,
        )
        self._sent_bytes += len(self._text.encode("utf-8", "replace"))
        self._echo, self._text, self._scored, self._reasoning = "", "", [], ""
        return piece


class Batch:
    """Seats that one batch may hold. `step` adds a token to each and sends the jobs their pieces;
    prompts to be scored come first, several per step."""

    def __init__(self, seats: Sequence[Seat]):
        self.seats = list(seats)
        self._unscored = deque(s for s in seats if s.scores_prompt)
        self._decoding: list[Seat] = []
        self._given_up: set[int] = set()
        self._steps: Iterator[list[Token]] | None = None

    @property
    def open_rows(self) -> int:
        return sum(s.open for s in self.seats)

    def step(self) -> bool:
        """Do one step, and return whether the batch continues."""
        if self._unscored:
            self._score()
        elif self._steps is None:
            self._start()
        else:
            tokens = next(self._steps, [])
            self._send([(self._decoding[t.row], t) for t in tokens])
            self._given_up.update(n for n, s in enumerate(self._decoding) if not s.open)
        return self.open_rows > 0

    def close(self) -> None:
        if isinstance(self._steps, Generator):
            self._steps.close()

    def _start(self) -> None:
        self._send([(s, None) for s in self.seats if s.open and s.job.max_tokens == 0])
        self._decoding = [s for s in self.seats if s.open]
        if not self._decoding:
            return
        served = self._decoding[0].job.served
        tops = [s.job.top for s in self._decoding if s.job.top is not None]
        self._steps = decode_steps(
            served.stepper([s.prompt for s in self._decoding]),
            [s.row for s in self._decoding],
            stop_ids=served.system.stop_ids,
            logprobs=max(tops, default=None),
            given_up=self._given_up,
            apart=True,
        )

    def _score(self) -> None:
        """Score the next prompts; an answer of one token ends with them, in the same pass."""
        seats, size = [self._unscored.popleft()], 0
        while self._unscored and (size := size + len(seats[-1].prompt.ids)) < SCORED_AT_ONCE:
            seats.append(self._unscored.popleft())
        seats = [s for s in seats if s.open]
        if not seats:
            return
        try:
            self._send(self._score_together(seats))
        except VeneerError:  # of one of them
            for seat in seats:
                if seat.open:
                    self._score_alone(seat)

    def _score_together(self, seats: Sequence[Seat]) -> list[tuple[Seat, Token | None]]:
        """Score the prompts of these seats, and return the tokens of answers that may have one."""
        served = seats[0].job.served
        scores = score_prompts(
            served, [s.prompt for s in seats], max(s.job.top or 0 for s in seats)
        )
        tokens: list[tuple[Seat, Token | None]] = [
            (s, first_token(served, s.row, s.prompt, logits, s.job.top or 0))
            for s, (_, logits) in zip(seats, scores, strict=True)
            if s.job.max_tokens == 1
        ]
        for seat, (scored, _) in zip(seats, scores, strict=True):
            seat.scored_prompt(scored)
        return tokens

    def _score_alone(self, seat: Seat) -> None:
        try:
            self._send(self._score_together([seat]))
        except VeneerError as error:
            seat.fail(error)

    def _send(self, tokens: Sequence[tuple[Seat, Token | None]]) -> None:
        """Add a token (None: the answer has none) to each seat, and send each job one message with
        its pieces. A seat that fails ends its own job only."""
        by_job: dict[int, tuple[ServeJob, list[Piece]]] = {}
        for seat, token in tokens:
            if not seat.open:
                continue
            try:
                piece = seat.end() if token is None else seat.take(token)
            except Exception as error:
                seat.fail(error)
                continue
            if piece is not None:
                by_job.setdefault(id(seat.job), (seat.job, []))[1].append(piece)
        for job, pieces in by_job.values():
            job.send(pieces)
