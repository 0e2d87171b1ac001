"""The stages of a run, where it is among them, and how much time it still needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

ENOUGH_SECONDS = 10.0  # of measured work, before a time is estimated
ENOUGH_SHARE = 0.02  # of all work
PRIOR_SHARE = 0.1  # of all work, as which a pace counts that was tried before
OWN_SHARE = 0.1  # of a stage's work, before its own speed is used instead of the run's
LONGEST_SHARE = 0.9  # of a stage without counted prompts that counts as done while it runs


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a run's plan.

    name: as `Run.stage` names it, or the first words of that: "measure" is also "measure base".
    also: further first words that belong to it. prompts: task -> prompts that each of `systems`
    reads `samples` times; progress within recorded stages of the stage's own name counts their
    product, task after task and in each of them system after system. tokens: new tokens of an
    answer at most, by task, or one number for all. likely: new tokens of one of a system's answers
    where fewer are expected, by system, or "" where a stage names none. reading: work to read one
    prompt, in decoded tokens. weight: work of an answer, as a multiple of reading and decoding it.
    share: other work, in decoded tokens. unknown: nobody can tell its work in advance, so no time
    is estimated before it ends. writes: files and folders that it writes, relative to the run's
    folder.
    """

    name: str
    also: tuple[str, ...] = ()
    prompts: Mapping[str, int] = field(default_factory=dict)
    systems: tuple[str, ...] = ()
    samples: int = 1
    tokens: Mapping[str, int] | int = 0
    likely: Mapping[str, float] = field(default_factory=dict)
    reading: float = 0.0
    weight: float = 1.0
    share: float = 0.0
    unknown: bool = False
    writes: tuple[str, ...] = ()

    @property
    def answers(self) -> int:
        """How many answers, or other units, progress counts within the stage."""
        return sum(self.prompts.values()) * max(1, len(self.systems)) * self.samples

    @property
    def new_tokens(self) -> int:
        """New tokens at most, of all answers."""
        longest = sum(n * self._most(task) for task, n in self.prompts.items())
        return longest * max(1, len(self.systems)) * self.samples

    @property
    def work(self) -> float:
        """What an estimate of time weighs the stage by, in decoded tokens."""
        return self.work_of(self.answers) + self.share

    def work_of(self, answers: int) -> float:
        """Work of so many answers, the first ones."""
        work = 0.0
        for task, prompts in self.prompts.items():
            for system in self.systems or ("",):
                count = min(answers, prompts * self.samples)
                tokens = min(self._most(task), self.likely.get(system, math.inf))
                work += count * (self.reading + tokens)
                answers -= count
        return self.weight * work

    def _most(self, task: str) -> int:
        return self.tokens if isinstance(self.tokens, int) else self.tokens.get(task, 0)

    def counts(self, name: str) -> bool:
        """Whether progress within a recorded stage is of this stage's answers."""
        return self.answers > 0 and _begins(name, self.name)

    def holds(self, name: str) -> int:
        """How many characters of a recorded stage's name are this stage's; 0 where it is not of
        this stage."""
        fits = [w for w in (self.name, *self.also) if _begins(name, w)]
        return max(map(len, fits), default=0)


@dataclass
class _Spent:
    """What was measured of one stage. counted: activity -> (units at its first report, now)."""

    seconds: float = 0.0
    counted: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def units(self) -> int:
        return sum(now for _, now in self.counted.values())

    @property
    def measured(self) -> int:
        """Units without those that an interrupted run had made."""
        return sum(now - first for first, now in self.counted.values())


class Course:
    """Where a run is among its stages, and the seconds that it still needs.

    The estimate weighs what is left by the speed of what was measured: the current stage's own,
    once a tenth of it is measured, otherwise that of all stages so far, together with the pace that
    the run expects, where one was tried. Units that an interrupted run had made count as done, and
    their time does not count. clock: seconds.
    """

    def __init__(self, stages: Sequence[Stage] = (), clock: Callable[[], float] = time.monotonic):
        self.stages = list(stages)
        self.number = 0  # of the current stage, from 1; 0 before the first
        self._clock = clock
        self._names: list[str] = []  # recorded stages that are open, the innermost last
        self._spent = [_Spent() for _ in stages]
        self._alone = _Spent()  # of work that is in no plan
        self._total = 0  # units of that work
        self._pace: float | None = None  # seconds for the work of a decoded token, tried before
        self._since = clock()
        self.began = clock()  # the current stage

    def enter(self, name: str) -> bool:
        """A recorded stage begins. Returns whether the run is now at another stage of its plan."""
        self._names.append(name)
        number = self._number_of(name)
        if number <= self.number:
            return False
        self._settle()
        self.number, self.began = number, self._clock()
        return True

    def leave(self) -> None:
        """The innermost recorded stage ends."""
        self._names.pop()

    def revise(self, stage: Stage) -> None:
        """Replace the stage of that name, once more is known of it."""
        self.stages = [stage if s.name == stage.name else s for s in self.stages]

    def expect(self, pace: float) -> None:
        """Estimate the time by this many seconds for the work of a decoded token, which count like
        a tenth of the work, beside what is measured of the run itself."""
        self._pace = pace

    @property
    def _planned(self) -> bool:
        """Whether the plan says how much work there is; an activity is otherwise estimated by
        itself."""
        return any(s.answers or s.unknown for s in self.stages)

    @property
    def stage(self) -> Stage | None:
        """The current stage; None before the first one, and without a plan."""
        return self.stages[self.number - 1] if self.number else None

    @property
    def where(self) -> str:
        """The place in the plan, such as "3/8 measure"; empty without one."""
        return f"{self.number}/{len(self.stages)} {self.stage.name}" if self.stage else ""

    def count(self, done: int, total: int, what: str) -> None:
        """Progress: `done` of `total` units of an activity."""
        if not self._planned:
            if what not in self._alone.counted:  # an activity after the other
                self._alone, self._since, self._total = _Spent(), self._clock(), total
            self._note(self._alone, done, total, what)
        elif self.stage is not None and self._names and self.stage.counts(self._names[-1]):
            self._note(self._spent[self.number - 1], done, total, what)

    def seconds_left(self) -> float | None:
        """Seconds that the run still needs; None where too little is known."""
        self._settle()
        if not self._planned:
            return self._left_alone()
        if any(s.unknown for s in self.stages[max(0, self.number - 1) :]):
            return None
        work = sum(stage.work for stage in self.stages)
        measured = [self._measured(i) for i in range(len(self.stages))]
        seconds = sum(s.seconds for s, m in zip(self._spent, measured, strict=True) if m)
        done = sum(measured)
        if self._pace is not None:
            prior = PRIOR_SHARE * work
            seconds, done = seconds + prior * self._pace, done + prior
        elif seconds < ENOUGH_SECONDS or done <= ENOUGH_SHARE * work:
            return None
        rate = seconds / done
        return sum(self._left(i, rate) for i in range(max(0, self.number - 1), len(self.stages)))

    def _number_of(self, name: str) -> int:
        fits = [stage.holds(name) for stage in self.stages]
        return fits.index(max(fits)) + 1 if any(fits) else 0

    def _settle(self) -> None:
        """Add the seconds since the last call to the current stage."""
        now = self._clock()
        if self.number:
            self._spent[self.number - 1].seconds += now - self._since
            self._since = now
        elif self.stages:
            self._since = now

    @staticmethod
    def _note(spent: _Spent, done: int, total: int, what: str) -> None:
        first, before = spent.counted.get(what, (done, -1))
        if done < before or done == before == total:  # another activity of the same name
            spent.counted[f"{what} {len(spent.counted)}"] = (first, before)
            first = done
        spent.counted[what] = (first, done)

    def _measured(self, i: int) -> float:
        """Work of a stage whose time was measured, in decoded tokens."""
        spent = self._spent[i]
        return self._done(i) * spent.measured / spent.units if spent.units else 0.0

    def _done(self, i: int) -> float:
        """Work of a stage that is done; its other work is spread over its answers."""
        stage, units = self.stages[i], self._spent[i].units
        whole = stage.work_of(stage.answers)
        done = stage.work_of(units) / whole if whole else min(1.0, units / stage.answers)
        return stage.work * done

    def _left(self, i: int, rate: float) -> float:
        """Seconds that a stage still needs. rate: seconds for the work of a decoded token, of all
        stages so far."""
        stage, spent = self.stages[i], self._spent[i]
        if not stage.answers:
            gone = spent.seconds if i == self.number - 1 else 0.0
            whole = stage.work * rate
            return max(whole - gone, whole * (1 - LONGEST_SHARE)) if whole else 0.0
        if i == self.number - 1 and self._measured(i) >= OWN_SHARE * stage.work:
            rate = spent.seconds / self._measured(i)
        return rate * (stage.work - self._done(i))

    def _left_alone(self) -> float | None:
        spent, total = self._alone, self._total
        seconds = self._clock() - self._since
        if not total or seconds < ENOUGH_SECONDS or spent.measured < ENOUGH_SHARE * total:
            return None
        return seconds / spent.measured * max(0, total - spent.units) if spent.measured else None


def _begins(name: str, words: str) -> bool:
    return name == words or name.startswith((f"{words} ", f"{words}:"))


def time_left(seconds: float) -> str:
    """Seconds in words, no more exact than an estimate is: "about 40 s left"."""
    if seconds < 10:
        return "less than 10 s left"
    if seconds < 55:
        return f"about {round(seconds, -1):.0f} s left"
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return f"about {minutes} min left"
    minutes = round(minutes, -1)
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min left" if rest else f"about {hours} h left"
