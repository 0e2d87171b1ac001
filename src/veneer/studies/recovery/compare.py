"""All systems on one scale: similarity to the teacher's sample 0, from base (0) to
the ceiling (1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from veneer.statistics import intervals
from veneer.studies.recovery.equivalence import LEAST, Verdict, equivalence
from veneer.studies.recovery.similarity import Measure, Progress, bests, common_count, means

# the ceiling that the teacher's own other samples make; no system can be called so
SELF = "\0teacher"


@dataclass(frozen=True)
class Entry:
    """A system's answers: one list a prompt, in the order of the prompts, without those that are
    errors. oracle: why its figures are no fair comparison, or None. peer: another aligned model,
    which makes a ceiling too."""

    name: str
    answers: Sequence[Sequence[str]]
    oracle: str | None = None
    peer: bool = False


@dataclass(frozen=True)
class Compared:
    """What a measure finds. similarity, best: system -> (n,) by prompt, NaN where there is none;
    the ceilings are among them under their own names. portions, best_portions: (system, ceiling) ->
    where the system stands between base and that ceiling. verdicts: the same keys. candidates: at
    how many the best is compared. n: prompts."""

    measure: str
    judge: str | None
    note: str | None
    n: int
    candidates: int
    similarity: dict[str, np.ndarray]
    best: dict[str, np.ndarray]
    portions: dict[tuple[str, str], intervals.Estimate] = field(default_factory=dict)
    best_portions: dict[tuple[str, str], intervals.Estimate] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    best_verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)


def compare(
    measure: Measure,
    teacher: Sequence[Sequence[str]],
    entries: Sequence[Entry],
    *,
    base: str = "base",
    fraction: float = 0.1,
    margin: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Compared:
    """teacher: its answers, one list a prompt; the first of each is the reference, the others the
    ceiling (never the first: a text is as similar to itself as can be, and that says nothing).

    A prompt without a reference must not be among them. Systems are held against each ceiling that
    is there: the teacher itself where it has a second sample, and every peer. Peers are held
    against the teacher's ceiling too.
    """
    references = [some[0] for some in teacher]
    answers: dict[str, Sequence[Sequence[str]]] = {e.name: e.answers for e in entries}
    own = [list(some[1:]) for some in teacher]
    if any(own):
        answers[SELF] = own
    found = {
        name: measure.similarities(references, texts, progress) for name, texts in answers.items()
    }
    peers = [e.name for e in entries if e.peer]
    return placed(
        found,
        measure.name,
        measure.judge,
        measure.note,
        base=base,
        peers=peers,
        fraction=fraction,
        margin=margin,
        seed=seed,
    )


def placed(
    found: Mapping[str, list[np.ndarray]],
    measure: str,
    judge: str | None = None,
    note: str | None = None,
    *,
    base: str = "base",
    peers: Sequence[str] = (),
    fraction: float = 0.1,
    margin: float | None = None,
    seed: int = 0,
) -> Compared:
    """The same from similarities that are there already. found: system (SELF: the teacher's other
    samples) -> of each prompt the similarity of each candidate to the reference."""
    count = common_count([[len(x) for x in some] for some in found.values()])
    similarity = {name: means(some) for name, some in found.items()}
    best = {
        name: bests(some, count) if count else np.full(len(some), np.nan)
        for name, some in found.items()
    }
    n = max((len(some) for some in found.values()), default=0)
    compared = Compared(measure, judge, note, n, count, similarity, best)
    if base in found:
        _hold(compared, base, peers, fraction, margin, seed)
    return compared


def _hold(
    c: Compared, base: str, peers: Sequence[str], fraction: float, margin: float | None, seed: int
) -> None:
    """Portions and verdicts of every system against every ceiling."""
    ceilings = [name for name in (SELF, *peers) if name in c.similarity]
    pairs: tuple[tuple[Mapping[str, np.ndarray], dict, dict], ...] = (
        (c.similarity, c.portions, c.verdicts),
        (c.best, c.best_portions, c.best_verdicts),
    )
    for ceiling in ceilings:
        asked = [name for name in c.similarity if name not in (base, ceiling, SELF)]
        for values, portions, verdicts in pairs:
            found = equivalence(
                {s: values[s] for s in asked},
                values[base],
                values[ceiling],
                fraction=fraction,
                margin=margin,
                seed=seed,
            )
            for system in asked:
                three = [values[x] for x in (system, base, ceiling)]
                keep = np.isfinite(np.array(three)).all(axis=0)
                portions[system, ceiling] = _portion(*(x[keep] for x in three), seed=seed)
                verdicts[system, ceiling] = found[system]


def _portion(
    system: np.ndarray, base: np.ndarray, ceiling: np.ndarray, *, seed: int
) -> intervals.Estimate:
    """Where the system stands between base (0) and the ceiling (1)."""
    if len(system) < LEAST:
        note = (
            f"{len(system)} prompts have all of system, base and ceiling; at least {LEAST} "
            "are needed"
        )
        return intervals.Estimate(None, None, None, len(system), "none", note)
    return intervals.portion(system, base, ceiling, seed=seed, names=("ceiling", "base"))
