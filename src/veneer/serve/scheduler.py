"""The thread that owns the models. It decodes waiting answers together; several such batches take
turns, one token each."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import torch

from veneer.foundation.memory import is_out_of_memory
from veneer.serve.batch import Batch, Seat
from veneer.serve.errors import ApiError, failed, unavailable
from veneer.serve.job import ServeJob

GATHER = 0.005  # seconds that an idle worker waits for more: parallel clients start together
# rounds between two batches while others are under way: requests that come in between
# start together
WINDOW = 16
log = logging.getLogger("veneer.serve")


class Scheduler:
    """most_rows: answers that are decoded at once, over all batches. most_waiting: answers that may
    wait; more are refused (503).

    An idle worker starts what waits; a busy one looks every `WINDOW` rounds, and then whatever
    waits for one system starts as a new batch, as far as `most_rows` allows, in the order of
    arrival. All batches take turns, one token each. So an answer waits for others to end only where
    `most_rows` are under way, and a short answer never waits for the whole of a long one.
    """

    def __init__(self, *, most_rows: int = 32, most_waiting: int = 256):
        self.most_rows, self.most_waiting = most_rows, most_waiting
        self._waiting: deque[Seat] = deque()
        self._batches: list[Batch] = []
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

    def submit(self, job: ServeJob) -> None:
        """Queue all answers of a job, or none. Raises ApiError (503) where they do not
        fit in the queue."""
        with self._change:
            if self._closing:
                raise _ending()
            if len(self._waiting) + len(job.rows) > self.most_waiting:
                raise unavailable(
                    f"{len(self._waiting)} answers are waiting already; try again", "overloaded"
                )
            self._waiting.extend(Seat(job, choice) for choice in range(len(job.rows)))
            self._change.notify()

    def cancel(self, job: ServeJob) -> None:
        """Drop a job whose client has gone: its answers leave the queue, or their batch after the
        current step."""
        job.gone = True
        with self._change:
            if any(s.job is job for s in self._waiting):
                self._waiting = deque(s for s in self._waiting if s.job is not job)

    def counts(self) -> dict[str, int]:
        return {"running": sum(b.open_rows for b in self._batches), "waiting": len(self._waiting)}

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._change:
                while not (self._waiting or self._batches or self._closing):
                    self._change.wait()
                if self._closing:
                    break
            if not self._batches:
                time.sleep(GATHER)
                self._rounds = 0
            if self._rounds % WINDOW == 0:
                self._admit()
            self._rounds += 1
            self._batches = [b for b in self._batches if self._step(b)]
        for seat in (*self._waiting, *(s for b in self._batches for s in b.seats)):
            seat.job.send(_ending())
        for batch in self._batches:
            batch.close()
        self._waiting.clear()
        self._batches = []

    def _admit(self) -> None:
        """Start waiting answers in the order of arrival, in batches of those that fit together."""
        while (room := self.most_rows - sum(b.open_rows for b in self._batches)) > 0:
            with self._change:
                self._waiting = deque(s for s in self._waiting if not s.job.gone)
                if not self._waiting:
                    return
                chosen = [s for s in self._waiting if s.goes_with(self._waiting[0])][:room]
                admitted = set(map(id, chosen))
                self._waiting = deque(s for s in self._waiting if id(s) not in admitted)
            self._batches.append(Batch(chosen))

    def _step(self, batch: Batch) -> bool:
        """Do a step of the batch, and return whether it continues."""
        try:
            return batch.step()
        except Exception as error:
            _give_up(batch.seats, error)
            return False


def _ending() -> ApiError:
    return unavailable("the server is shutting down", "shutting_down")


def _give_up(seats: Sequence[Seat], error: Exception) -> None:
    """Send a failure to every client of a batch that failed. The cause goes to the log."""
    if is_out_of_memory(error):
        refusal = unavailable(
            "memory ran out; ask for fewer or shorter answers at once", "out_of_memory"
        )
        torch.cuda.empty_cache()
    else:
        log.error("a batch of %d answers failed", len(seats), exc_info=error)
        refusal = failed()
    for job in {id(s.job): s.job for s in seats}.values():
        job.send(refusal)
        job.gone = True
