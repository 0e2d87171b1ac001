"""What figures rest on, in words: how many prompts, in how many clusters, and who judged."""

from __future__ import annotations

from collections.abc import Iterable

from veneer.foundation.results import Measurement


def in_clusters(rows: Iterable[Measurement | None]) -> str:
    """What stands behind the n of rows side by side: " in 4 clusters" where fewer clusters than
    prompts carry their intervals, otherwise nothing."""
    facts = [(r.n, (r.fact("estimate") or {}).get("groups")) for r in rows if r is not None]
    counts = sorted({groups for n, groups in facts if groups is not None and groups < n})
    if not counts:
        return ""
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f" in {span} cluster{'s' * (counts[-1] > 1)}"


def counted(rows: Iterable[Measurement | None], what: str = "") -> str:
    """The n of rows side by side, with their clusters: "20", "12 to 20", "20 in 4 clusters". what:
    a word behind n, such as prompts."""
    measured = [r for r in rows if r is not None]
    n = sorted({r.n for r in measured})
    if not n:
        return ""
    span = f"{n[0]:,} to {n[-1]:,}" if len(n) > 1 else f"{n[0]:,}"
    return f"{span} {what}".rstrip() + in_clusters(measured)


def judged_by(rows: Iterable[Measurement | None]) -> str:
    """The judges behind rows: "judge refusal-v3"; empty where no judge had a say."""
    judges = sorted({r.judge for r in rows if r is not None and r.judge})
    return f"judge{'s' * (len(judges) > 1)} {', '.join(judges)}" if judges else ""
