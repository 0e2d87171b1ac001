"""All systems on one scale: similarity to the teacher's sample 0, from base (0) to the ceiling
(1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from veneer.foundation.progress import Progress
from veneer.measures.clusters import kept
from veneer.statistics import bootstrap, intervals
from veneer.studies.recovery.equivalence import LEAST, Equivalence, equivalence
from veneer.studies.recovery.similarity import Measure, bests, common_count, means

# the ceiling that the teacher's own other samples make; no system can have this name
SELF = "\0teacher"
TOO_FEW = "none"  # the method of a portion of fewer than LEAST prompts or clusters


@dataclass(frozen=True)
class RecoveryScale:
    """How systems are placed between base and the ceilings.

    base: name of the system at 0. fraction: the margin of the equivalence test as a share of the
    distance from base to ceiling. margin: an absolute one instead, in the measure's unit. clusters:
    (n,) one id per prompt, the same for prompts that are not independent; None where all are.
    """

    base: str = "base"
    fraction: float = 0.1
    margin: float | None = None
    seed: int = 0
    clusters: np.ndarray | None = None


@dataclass(frozen=True)
class Entry:
    """A system's answers.

    answers: one list per prompt, in the order of the prompts, without those that are errors.
    oracle: what it has seen that makes its figures no fair comparison (a key of words.ORACLES), or
    None. peer: whether it is another aligned model, which makes a ceiling too.
    """

    name: str
    answers: Sequence[Sequence[str]]
    oracle: str | None = None
    peer: bool = False


@dataclass(frozen=True)
class PlacedSystems:
    """The figures of one measure.

    similarity, best: system -> (n,) by prompt, NaN where there is none; the ceilings are among
    them under their own names. portions, best_portions: (system, ceiling) -> where the system
    stands between base and that ceiling. verdicts, best_verdicts: the same keys. candidates: the
    number of candidates of which the best is taken. n: prompts. note: what a reader must know of
    the measure, or None.
    """

    measure: str
    judge: str | None
    note: str | None
    n: int
    candidates: int
    similarity: dict[str, np.ndarray]
    best: dict[str, np.ndarray]
    scale: RecoveryScale = RecoveryScale()
    portions: dict[tuple[str, str], intervals.Estimate] = field(default_factory=dict)
    best_portions: dict[tuple[str, str], intervals.Estimate] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], Equivalence] = field(default_factory=dict)
    best_verdicts: dict[tuple[str, str], Equivalence] = field(default_factory=dict)


def compare(
    measure: Measure,
    teacher: Sequence[Sequence[str]],
    entries: Sequence[Entry],
    scale: RecoveryScale = RecoveryScale(),
    progress: Progress | None = None,
) -> PlacedSystems:
    """Compare every system with the teacher by one measure.

    teacher: its answers, one list per prompt, none empty; the first of each is the reference, the
    others the ceiling (never the first: a text is as similar to itself as can be, and that says
    nothing). Systems are held against each ceiling: the teacher itself where it has a second
    sample, and every peer. Peers are held against the teacher's ceiling too.
    """
    references = [samples[0] for samples in teacher]
    answers: dict[str, Sequence[Sequence[str]]] = {e.name: e.answers for e in entries}
    own = [list(samples[1:]) for samples in teacher]
    if any(own):
        answers[SELF] = own
    similarities = {
        name: measure.similarities(references, texts, progress) for name, texts in answers.items()
    }
    peers = [e.name for e in entries if e.peer]
    return placed(similarities, measure.name, measure.judge, measure.note, scale, peers)


def placed(
    similarities: Mapping[str, list[np.ndarray]],
    measure: str,
    judge: str | None = None,
    note: str | None = None,
    scale: RecoveryScale = RecoveryScale(),
    peers: Sequence[str] = (),
) -> PlacedSystems:
    """The same from existing similarities.

    similarities: system (SELF: the teacher's other samples) -> for each prompt the similarity of
    each candidate to the reference.
    """
    count = common_count([[len(x) for x in prompts] for prompts in similarities.values()])
    similarity = {name: means(prompts) for name, prompts in similarities.items()}
    best = {
        name: bests(prompts, count) if count else np.full(len(prompts), np.nan)
        for name, prompts in similarities.items()
    }
    n = max((len(prompts) for prompts in similarities.values()), default=0)
    comparison = PlacedSystems(measure, judge, note, n, count, similarity, best, scale)
    if scale.base in similarities:
        _place(comparison, peers)
    return comparison


def _place(c: PlacedSystems, peers: Sequence[str]) -> None:
    """Add portions and verdicts of every system against every ceiling."""
    scale = c.scale
    statistics: tuple[tuple[Mapping[str, np.ndarray], dict, dict], ...] = (
        (c.similarity, c.portions, c.verdicts),
        (c.best, c.best_portions, c.best_verdicts),
    )
    for ceiling in (name for name in (SELF, *peers) if name in c.similarity):
        systems = [name for name in c.similarity if name not in (scale.base, ceiling, SELF)]
        for values, portions, verdicts in statistics:
            outcomes = equivalence(
                {s: values[s] for s in systems},
                values[scale.base],
                values[ceiling],
                fraction=scale.fraction,
                margin=scale.margin,
                seed=scale.seed,
                clusters=scale.clusters,
            )
            for system in systems:
                three = values[system], values[scale.base], values[ceiling]
                portions[system, ceiling] = _portion(three, scale)
                verdicts[system, ceiling] = outcomes[system]


def _portion(three: Sequence[np.ndarray], scale: RecoveryScale) -> intervals.Estimate:
    """Where a system stands between base (0) and the ceiling (1), on the prompts where all three
    have a value. three: system, base, ceiling, (n,) each."""
    keep = np.isfinite(np.array(three)).all(axis=0)
    n, ids = int(keep.sum()), kept(scale.clusters, keep)
    if bootstrap.count_groups(n, ids) < LEAST:
        return intervals.Estimate(None, None, None, n, TOO_FEW)
    s, b, c = (values[keep] for values in three)
    return intervals.portion(s, b, c, seed=scale.seed, clusters=ids, names=("ceiling", "base"))
