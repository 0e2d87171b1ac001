"""The thread that owns the models. It decodes waiting answers together; several such batches take
turns, one token each."""

from __future__ import annotations

import bisect
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import torch

from veneer.foundation.memory import is_out_of_memory
from veneer.serve.batch import Batch, Seat
from veneer.serve.errors import ApiError, unavailable
from veneer.serve.job import ServeJob

GATHER = 0.005  # seconds that an idle worker waits for more: parallel clients start together
# rounds between two batches while others are under way: requests that come in between
# start together
WINDOW = 16
SINGLES = 8  # one place in so many of the queue is kept for requests of one answer
MOST_BYTES = 2**29  # that the requests in flight may hold: prompts and log-probabilities
log = logging.getLogger("veneer.serve")


class Scheduler:
    """most_rows: answers that are decoded at once, over all batches. most_waiting: answers that may
    wait; more are refused (503). most_bytes: what the requests in flight may hold.

    An idle worker starts what waits; a busy one looks every `WINDOW` rounds, and then whatever
    waits for one system starts as a new batch, as far as `most_rows` allows. All batches take
    turns, one token each. So an answer waits for others to end only where `most_rows` are under
    way, and a short answer never waits for the whole of a long one.

    The queue is in the order of arrival, but the k-th answer of a request lets k later requests go
    first: a request of one answer does not wait for the whole of one that asks for a hundred.

    Where a batch fails, its halves start again, down to the answer that fails alone: only its
    request gets the error.
    """

    def __init__(
        self, *, most_rows: int = 32, most_waiting: int = 256, most_bytes: int = MOST_BYTES
    ):
        self.most_rows, self.most_waiting, self.most_bytes = most_rows, most_waiting, most_bytes
        self._waiting: list[Seat] = []  # by turn
        self._reserved = 0  # answers whose prompts are being read
        self._arrivals = 0
        self._jobs: dict[int, int] = {}  # bytes of each job in flight
        self._batches: list[Batch] = []
        self._halves: list[Batch] = []  # of a batch that failed: they start with the next round
        # of one that ran out of memory: each starts when nothing else is under way
        self._alone: deque[Batch] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._rounds = 0
        self._thread = threading.Thread(target=self._run, name="veneer-models", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Give up all answers, and end the thread after its current step."""
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def reserve(self, rows: int) -> None:
        """Hold places in the queue for a request whose prompts are about to be read: `submit` takes
        them up, `release` gives them back. Raises ApiError (503) where they do not fit."""
        with self._change:
            if self._closing:
                raise _ending()
            taken = len(self._waiting) + self._reserved
            room = self.most_waiting - (0 if rows == 1 else self.most_waiting // SINGLES)
            # an empty queue takes whatever fits into it
            if taken + rows > (room if taken else self.most_waiting):
                raise unavailable(f"{taken} answers are waiting already; try again", "overloaded")
            self._reserved += rows

    def release(self, rows: int) -> None:
        with self._change:
            self._reserved -= rows

    def submit(self, job: ServeJob) -> None:
        """Queue all answers of a job, whose places are reserved. Raises ApiError (503) where the
        requests in flight hold too much."""
        with self._change:
            self._reserved -= len(job.rows)
            if self._closing or not self._thread.is_alive():
                raise _ending()
            size = job.bytes_held()
            if self._jobs and sum(self._jobs.values()) + size > self.most_bytes:
                raise unavailable(
                    "the prompts and log-probabilities in flight fill the server's memory; try "
                    "again",
                    "overloaded",
                )
            self._jobs[id(job)] = size
            for choice in range(len(job.rows)):
                seat = Seat(job, choice, self._arrivals + choice)
                bisect.insort(self._waiting, seat, key=lambda s: s.turn)
            self._arrivals += 1
            self._change.notify()

    def cancel(self, job: ServeJob) -> None:
        """Drop a job that is answered, or whose client has gone: its answers leave the queue, or
        their batch after the current step."""
        job.gone = True
        with self._change:
            self._jobs.pop(id(job), None)
            if any(s.job is job for s in self._waiting):
                self._waiting = [s for s in self._waiting if s.job is not job]

    def counts(self) -> dict[str, int]:
        """Return the answers running and waiting."""
        batches = (*self._batches, *self._halves, *self._alone)
        return {
            "running": sum(b.open_rows for b in batches),
            "waiting": len(self._waiting) + self._reserved,
        }

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while self._round():
                pass
        except Exception:  # of the scheduler itself: nobody shall wait for ever
            log.exception("the worker failed; restart the server")
        with self._change:
            self._closing = True
        batches = (*self._batches, *self._halves, *self._alone)
        for seat in (*self._waiting, *(s for b in batches for s in b.seats)):
            seat.job.send(_ending())
        for batch in batches:
            batch.close()
        self._waiting.clear()
        self._batches, self._halves = [], []
        self._alone.clear()

    def _round(self) -> bool:
        """Give every batch a step, after those that may start; return whether to continue."""
        with self._change:
            while not (self._waiting or self._batches or self._alone or self._closing):
                self._change.wait()
            if self._closing:
                return False
        if not (self._batches or self._alone):
            time.sleep(GATHER)
            self._rounds = 0
        if self._alone:
            if not self._batches:
                self._batches.append(self._alone.popleft())
        elif self._rounds % WINDOW == 0:
            self._admit()
        self._rounds += 1
        continuing = [b for b in self._batches if self._step(b)]
        self._batches, self._halves = [*continuing, *self._halves], []
        return True

    def _admit(self) -> None:
        """Start waiting answers in their turn, in batches of those that fit together."""
        while (room := self.most_rows - sum(b.open_rows for b in self._batches)) > 0:
            with self._change:
                self._waiting = [s for s in self._waiting if not s.job.gone]
                if not self._waiting:
                    return
                chosen = [s for s in self._waiting if s.goes_with(self._waiting[0])][:room]
                admitted = set(map(id, chosen))
                self._waiting = [s for s in self._waiting if id(s) not in admitted]
            self._batches.append(Batch(chosen))

    def _step(self, batch: Batch) -> bool:
        """Do a step of the batch, and return whether it continues."""
        try:
            return batch.step()
        except Exception as raised:
            error = raised
        batch.close()
        if is_out_of_memory(error):  # its traceback holds the tensors of the failed attempt
            error = error.with_traceback(None)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        self._divide([s for s in batch.seats if s.open], error)
        return False

    def _divide(self, seats: Sequence[Seat], error: Exception) -> None:
        """Start the halves of a batch that failed again; one answer alone gets the failure."""
        if len(seats) < 2:
            _give_up(seats, error)
            return
        out_of_memory = is_out_of_memory(error)
        reason = "ran out of memory" if out_of_memory else f"failed ({type(error).__name__})"
        log.warning("a batch of %d answers %s; its halves start again", len(seats), reason)
        half = len(seats) // 2
        halves = [Batch([s.again() for s in own]) for own in (seats[:half], seats[half:])]
        if out_of_memory:
            self._alone.extendleft(reversed(halves))
        else:
            self._halves.extend(halves)


def _ending() -> ApiError:
    return unavailable("the server is shutting down", "shutting_down")


def _give_up(seats: Sequence[Seat], error: Exception) -> None:
    """Send a failure to the client of an answer that failed alone. The cause goes to the log."""
    for seat in seats:
        if not is_out_of_memory(error):
            seat.fail(error)
            continue
        seat.job.send(
            unavailable("memory ran out; ask for fewer or shorter answers at once", "out_of_memory")
        )
        seat.job.gone = True
