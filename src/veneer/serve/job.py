"""A request on its way: what the worker is to do for it, and how its pieces come back
to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from veneer.models.decode import Row
from veneer.serve.answers import Piece
from veneer.serve.served import PromptIds, Served

Event = Sequence[Piece] | BaseException


@dataclass(eq=False)
class ServeJob:
    """rows: one an answer; answers of one prompt stand together, `per_prompt` of them. top: None
    for no log-probabilities, otherwise how many alternatives a position. echo: the prompt's own
    tokens and its text (texts) come first. stream: pieces as they come, otherwise one an answer.
    max_tokens: of an answer; 0 ends with the echo. hide_end: an end token has no log-probability.
    apart: reasoning is told apart from the answer, as in a chat; otherwise the text is told as it
    was written. gone: nobody waits any more; the worker looks at it.
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

    def listen(self) -> None:
        """To be called in the event loop that will read the pieces, before the
        worker has the job."""
        self._loop = asyncio.get_running_loop()

    def prompt(self, choice: int) -> PromptIds:
        return self.prompts[choice // self.per_prompt]

    @property
    def prompt_tokens(self) -> int:
        return sum(len(p.ids) for p in self.prompts)

    def send(self, event: Event) -> None:
        """From the worker: some pieces, or why there will be no more."""
        if not self.gone:
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._events.put_nowait, event)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self.gone = True

    async def pieces(self) -> AsyncIterator[Piece]:
        """All pieces, until each answer has ended. Raises what the worker told."""
        left = len(self.rows)
        while left:
            event = await self._events.get()
            if isinstance(event, BaseException):
                raise event
            for piece in event:
                left -= piece.finish is not None
                yield piece
