"""A request under way: the work for the worker thread, and the queue that returns its pieces to the
event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from veneer.models.decode import Row
from veneer.serve.answers import Piece
from veneer.serve.served import PromptIds, Served

BYTES_PER_ID = 36  # a Python integer and its place in a tuple
BYTES_PER_LOGPROB = 120  # a pair of an id and a number
Event = Sequence[Piece] | BaseException


@dataclass(eq=False)
class ServeJob:
    """The answers to one request.

    rows: one per answer; the `per_prompt` answers of one prompt are neighbours. top: number of
    alternatives per position, None for no log-probabilities. echo: the prompt's own tokens and its
    text (texts) come first. stream: send pieces as they come, otherwise one per answer. max_tokens:
    longest answer; 0 ends with the echo. hide_end: an end token has no log-probability. apart:
    reasoning is separated from the answer, as in a chat; otherwise the text stays as it was
    written. gone: the client no longer waits; the worker checks it.
    """

    served: Served
    prompts: Sequence[PromptIds]
    rows: Sequence[Row]
    per_prompt: int = 1
    top: int | None = None
    echo: bool = False
    texts: Sequence[str] = ()
    stream: bool = False
    max_tokens: int = 0
    hide_end: bool = False
    apart: bool = False
    gone: bool = False
    _events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    _loop: asyncio.AbstractEventLoop | None = None

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Attach the job to the event loop that reads the pieces, before the worker gets it."""
        self._loop = loop

    def prompt(self, choice: int) -> PromptIds:
        return self.prompts[choice // self.per_prompt]

    @property
    def prompt_tokens(self) -> int:
        return sum(len(p.ids) for p in self.prompts)

    def bytes_held(self) -> int:
        """Return about how many bytes the job holds at most, until it is answered."""
        return BYTES_PER_ID * self.prompt_tokens + BYTES_PER_LOGPROB * self.logprobs

    @property
    def logprobs(self) -> int:
        """Log-probabilities in all answers together, at most."""
        if self.top is None:
            return 0
        tokens = len(self.rows) * self.max_tokens
        if self.echo:
            tokens += self.per_prompt * self.prompt_tokens
        return tokens * (1 + self.top)

    def send(self, event: Event) -> None:
        """Queue pieces, or the reason why no more will come. The worker calls it."""
        if not self.gone:
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._events.put_nowait, event)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self.gone = True

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield all pieces, until each answer has ended. Raises the failure that the worker
        sent."""
        left = len(self.rows)
        while left:
            event = await self._events.get()
            if isinstance(event, BaseException):
                raise event
            for piece in event:
                left -= piece.finish is not None
                yield piece
