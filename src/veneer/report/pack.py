"""The data behind the response browser and the shift flows, small enough to send by mail.

Tokens are interned, KL are whole thousandths of a nat, probabilities whole thousandths, and all is
deflated (blob.py). The lists of most likely tokens stand in pieces that the page unpacks when they
are looked at. Where the page would still exceed its room, these lists go first, from the positions
with the least KL; then the last prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from veneer.report import blob
from veneer.report.load import CLASSES, GROUPS, Shift, TokenRow
from veneer.report.words import verdicts_of_answer

TOKEN_LIMIT = 200  # characters of one token that are kept
PROMPT_LIMIT = 4000
TEXT_LIMIT = 20_000
SHIFT_LIMIT = 3000
PIECE = 24  # responses whose lists of most likely tokens are unpacked together


@dataclass
class Packed:
    """data: for `blob.element`. tops: the pieces of the lists of most likely tokens, packed. notes:
    what was left out."""

    data: dict[str, Any]
    tops: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def pack_shifts(shifts: Sequence[Shift]) -> Packed:
    """Kinds of shift, the frequent ones first: [base, veneer, aligned, count, class,
    restored, group, task]."""
    rows = sorted(shifts, key=lambda s: -s.count)
    kept = rows[:SHIFT_LIMIT]
    table, tasks = _Tokens(), sorted({s.task[:200] for s in kept if s.task})
    groups = [g for g in GROUPS if any(s.group == g for s in kept)]
    data = [
        [
            table.id(s.base),
            table.id(s.veneer),
            table.id(s.aligned),
            s.count,
            _index(CLASSES, s.shift),
            int(s.restored),
            _index(groups, s.group),
            _index(tasks, s.task[:200]),
        ]
        for s in kept
    ]
    notes = []
    if len(kept) < len(rows):
        left = sum(s.count for s in rows[SHIFT_LIMIT:])
        notes.append(
            f"The {len(kept):,} most frequent of {len(rows):,} kinds of shift are here; the rest "
            f"stand for {left:,} places."
        )
    return Packed({"rows": data, "tasks": tasks, "groups": groups, **table.data()}, notes=notes)


def pack_responses(responses: Sequence[TokenRow], room: int) -> Packed:
    """Pack responses into `room` bytes of page."""
    kept = list(responses)
    while True:
        table = _Tokens()
        data = _rows(kept, table)
        size = len(blob.pack(data | table.data()))
        if size <= 0.9 * room or not kept:
            break
        kept = _whole_prompts(kept, min(int(len(kept) * 0.9 * room / size), len(kept) - 1))
    notes = []
    if len(kept) < len(responses):
        notes.append(
            f"{len(kept):,} of {len(responses):,} responses are on this page, to keep it below 5 "
            f"MB: {len(responses) - len(kept):,} are left out; tokens.jsonl has them all."
        )
    tops = _tops(kept, table, room - size, notes)
    return Packed(data | table.data() | {"piece": PIECE}, tops, notes)


def _rows(responses: Sequence[TokenRow], table: _Tokens) -> dict[str, Any]:
    prompts: dict[tuple[str, str], int] = {}
    heads: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    tasks = sorted({r.task[:200] for r in responses})
    compared = list(dict.fromkeys(s for r in responses if r.tokens for s in r.kl))
    for r in responses:
        key = (r.task, r.prompt_id)
        if key not in prompts:
            prompts[key] = len(heads)
            head = {
                "i": r.prompt_id[:200],
                "k": tasks.index(r.task[:200]),
                "p": r.prompt[:PROMPT_LIMIT],
                "n": len(r.prompt),
            }
            heads.append(head)
        row: dict[str, Any] = {
            "q": prompts[key],
            "s": r.system[:200],
            "f": r.finish_reason[:80],
            "t": [table.id(t) for t in r.tokens],
        }
        row |= {
            "k": [_milli(r.kl[s]) if s in r.kl else None for s in compared],
            "c": "".join(str(_index(CLASSES, c)) for c in r.shift),
        }
        if any(r.group):
            row["g"] = "".join(str(_index(GROUPS, g)) for g in r.group)
        if r.scores:
            row["d"] = verdicts_of_answer(r.scores)
        if r.unfinished:
            row["u"] = 1
        if "".join(r.tokens) != r.text:
            row["x"] = r.text[:TEXT_LIMIT]
            row["n"] = len(r.text)
        rows.append(row)
    return {
        "tasks": tasks,
        "groups": list(GROUPS),
        "prompts": heads,
        "rows": rows,
        "compared": compared,
        "yardstick": next((r.yardstick for r in responses if r.tokens), "aligned"),
    }


def _whole_prompts(responses: Sequence[TokenRow], size: int) -> list[TokenRow]:
    """The responses to as many first prompts as fit into `size` responses."""
    counts: dict[tuple[str, str], int] = {}
    for r in responses:
        counts[r.task, r.prompt_id] = counts.get((r.task, r.prompt_id), 0) + 1
    kept, total = set(), 0
    for key, count in counts.items():
        total += count
        if total > size:
            break
        kept.add(key)
    return [r for r in responses if (r.task, r.prompt_id) in kept]


def _tops(responses: Sequence[TokenRow], table: _Tokens, room: int, notes: list[str]) -> list[str]:
    """Pieces of PIECE responses; a response has one entry per position: a flat list [token, p,
    token, p, ...] of each system, or 0."""
    places = sorted(
        (-most, i, t)
        for i, r in enumerate(responses)
        for t, most in enumerate(r.kl_most)
        if any(r.top[t] or ())
    )
    whole, count = len(places), len(places)
    entries_before, bytes_before = len(table), len(blob.pack(table.data()))
    while True:
        kept: dict[int, set[int]] = {}
        for _, i, t in places[:count]:
            kept.setdefault(i, set()).add(t)
        pieces = [
            blob.pack(
                [
                    _top_lists(r, kept.get(i, set()), table)
                    for i, r in enumerate(responses[first : first + PIECE], first)
                ]
            )
            for first in range(0, len(responses), PIECE)
        ]
        size = sum(len(p) + 90 for p in pieces) + len(blob.pack(table.data())) - bytes_before
        if size <= room or not count:
            break
        count = max(0, min(int(count * 0.97 * room / size), count - 1))
        table.cut(entries_before)
    if count < whole:
        notes.append(
            f"The five most likely tokens are kept at the {count:,} of {whole:,} positions with "
            "the greatest KL, to keep the page below 5 MB."
        )
    return pieces


def _top_lists(row: TokenRow, kept: set[int], table: _Tokens) -> list[Any]:
    lists: list[Any] = []
    for t, top in enumerate(row.top):
        if t not in kept or top is None:
            lists.append(0)
        else:
            lists.append(
                [
                    [x for token, p in pairs for x in (table.id(token), round(p * 1000))]
                    for pairs in top
                ]
            )
    return lists if any(lists) else []


class _Tokens:
    """Strings by number; long ones are cut, their length kept aside."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def cut(self, size: int) -> None:
        """Forget all but the first `size`."""
        self._ids = dict(list(self._ids.items())[:size])

    def id(self, token: str) -> int:
        return self._ids.setdefault(token, len(self._ids))

    def data(self) -> dict[str, Any]:
        long = {i: len(t) for t, i in self._ids.items() if len(t) > TOKEN_LIMIT}
        return {"tokens": [t[:TOKEN_LIMIT] for t in self._ids], "long": long}


def _milli(values: Sequence[float | None]) -> list[int | None]:
    return [None if x is None else round(x * 1000) for x in values]


def _index(names: Sequence[str], name: str | None) -> int:
    """Place of a name; one more than the last for none of them."""
    return names.index(name) if name in names else len(names)
