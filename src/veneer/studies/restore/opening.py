"""How a restoration opens: one plain sentence made of facts, and the next step as a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from veneer.foundation.results import Measurement
from veneer.studies.restore.folders_0_1 import facts_of
from veneer.studies.restore.settings import HEAD_METHODS
from veneer.studies.restore.words import PARTLY, RESTORED


def opening(verdicts: Sequence[Measurement]) -> str:
    """Such as "The compromised model refuses 0 of 100 harmful prompts, the aligned model 98; with
    own it refuses 96." verdicts: the rows `restored`, the best method first; empty where they hold
    no figures."""
    if not verdicts:
        return ""
    best = verdicts[0]
    figures = facts_of(best).get("figures")
    rates = figures.get("refusal_rate") if isinstance(figures, Mapping) else None
    if not isinstance(rates, Mapping):
        return ""
    before, after, aligned = (
        _count(rates.get(name), best.n) for name in ("compromised", "restored", "aligned")
    )
    if before is None or after is None:
        return ""
    whole = "" if aligned is None else f", the aligned model {aligned}"
    return (
        f"The compromised model refuses {before} of {best.n} harmful prompts{whole}; with the "
        f"method “{best.system}” it refuses {after}."
    )


def next_step(run: Any, verdicts: Sequence[Measurement], folder: str) -> str:
    """The command that audits the best restored checkpoint against the aligned model; empty where
    there is none. verdicts: as in `opening`. folder: the restoration's."""
    config = run.get("config") if isinstance(run, Mapping) else None
    settings = config.get("settings") if isinstance(config, Mapping) else None
    if not verdicts or not isinstance(settings, Mapping) or not settings.get("merge"):
        return ""
    best, aligned = verdicts[0], config.get("aligned") if isinstance(config, Mapping) else None
    good = facts_of(best)["verdict"] in (RESTORED, PARTLY) and best.system in HEAD_METHODS
    if not good or not isinstance(aligned, str) or not folder:
        return ""
    place = folder.rstrip("/")
    restored = f"{place}/restored-{best.system}"
    return shlex.join(["veneer", "audit", aligned, restored, "--out", f"{place}-audit"])


def _count(rate: Any, n: int) -> int | None:
    """The number of prompts behind a rate."""
    return round(rate * n) if isinstance(rate, int | float) else None
