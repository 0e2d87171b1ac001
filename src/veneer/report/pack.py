"""The data that the page's script reads, small enough to send by mail.

Tokens are interned, KL are whole thousandths of a nat, probabilities whole ten-thousandths. Where the page would still
exceed its budget, the top-five lists go first, from the positions with the least KL; then the last responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from veneer.report.load import CLASSES, Study, TokenRow

BUDGET = 4_600_000  # bytes of JSON; the page is promised to stay below 5 MB
TOKEN_LIMIT = 200  # characters of one token that are kept
PROMPT_LIMIT = 4000
TEXT_LIMIT = 20_000
SHIFT_LIMIT = 2000


@dataclass
class Packed:
    """The responses of one study, ready for JSON, and what was left out."""

    data: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def pack_shifts(study: Study) -> Packed:
    """Kinds of shift, the frequent ones first: [base, veneer, aligned, count, class, restored]."""
    rows = sorted(study.shifts, key=lambda s: -s.count)
    kept = rows[:SHIFT_LIMIT]
    table = _Tokens()
    data = [[table.id(s.base), table.id(s.veneer), table.id(s.aligned), s.count, _class(s.shift), int(s.restored)] for s in kept]
    notes = []
    if len(kept) < len(rows):
        notes.append(f"The {len(kept):,} most frequent of {len(rows):,} kinds of shift are shown.")
    return Packed({"rows": data, **table.data()}, notes)


def pack_responses(studies: Sequence[Study], budget: int = BUDGET) -> list[Packed]:
    """Pack the responses of all studies into `budget` bytes together, an equal part to each study that has any."""
    some = sum(bool(s.responses) for s in studies) or 1
    return [_pack(s.responses, budget // some) for s in studies]


def _pack(responses: Sequence[TokenRow], budget: int) -> Packed:
    table = _Tokens()
    prompts: dict[tuple[str, str], int] = {}
    heads: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    spent = 0
    for r in responses:
        row: dict[str, Any] = {"s": r.system, "f": r.finish_reason, "t": [table.id(t) for t in r.tokens]}
        row |= {"b": _milli(r.kl_base), "v": _milli(r.kl_veneer), "c": "".join(_class_digit(c) for c in r.shift)}
        if "".join(r.tokens) != r.text:
            row["x"] = r.text[:TEXT_LIMIT]
            row["n"] = len(r.text)
        key = (r.task, r.prompt_id)
        fresh = key not in prompts
        head = {"i": r.prompt_id[:200], "k": r.task[:200], "p": r.prompt[:PROMPT_LIMIT], "n": len(r.prompt)}
        spent += _size(row) + (_size(head) if fresh else 0)
        if spent + table.bytes > budget:
            notes.append(
                f"{len(rows):,} of {len(responses):,} responses are shown, to keep the page below 5 MB; "
                "tokens.jsonl has them all."
            )
            break
        if fresh:
            prompts[key] = len(heads)
            heads.append(head)
        row["q"] = prompts[key]
        rows.append(row)
    _add_top(rows, responses, table, budget - spent, notes)
    return Packed({"prompts": heads, "rows": rows, **table.data()}, notes)


def _add_top(rows: list[dict[str, Any]], responses: Sequence[TokenRow], table: _Tokens, budget: int, notes: list[str]) -> None:
    """Add `top` to rows, a list of three flat lists [token, p, token, p, ...] a position or 0, greatest KL first."""
    places = [
        (-max(r.kl_base[t] or 0.0, r.kl_veneer[t] or 0.0), i, t)
        for i, r in enumerate(responses[: len(rows)])
        for t in range(len(r.tokens))
        if r.top[t] and any(r.top[t] or ())
    ]
    places.sort()
    budget -= sum(2 * len(row["t"]) for row in rows)  # the zeros
    kept = 0
    for _, i, t in places:
        top = responses[i].top[t] or ()
        entry = [[x for token, p in pairs for x in (table.id(token), round(p * 1e4))] for pairs in top]
        budget -= len(repr(entry)) - repr(entry).count(" ") + 1
        if budget - table.bytes < 0:
            break
        rows[i].setdefault("top", [0] * len(rows[i]["t"]))[t] = entry
        kept += 1
    if kept < len(places):
        notes.append(
            f"The five most likely tokens are kept at the {kept:,} of {len(places):,} positions with the greatest KL, "
            "to keep the page below 5 MB."
        )


class _Tokens:
    """Strings by number; long ones are cut, their length kept aside."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._long: dict[int, int] = {}
        self.bytes = 0

    def id(self, token: str) -> int:
        if token not in self._ids:
            self._ids[token] = len(self._ids)
            if len(token) > TOKEN_LIMIT:
                self._long[self._ids[token]] = len(token)
            self.bytes += _size(token[:TOKEN_LIMIT])
        return self._ids[token]

    def data(self) -> dict[str, Any]:
        return {"tokens": [t[:TOKEN_LIMIT] for t in self._ids], "long": self._long}


def _size(value: Any) -> int:
    """Bytes of a packed value as JSON, never too few: 12 a character that an escape could need."""
    if isinstance(value, str):
        return 4 + sum(1 if c.isascii() and c.isprintable() and c not in '<>&"\\' else 12 for c in value)
    if isinstance(value, dict):
        return 2 + sum(_size(k) + _size(v) + 2 for k, v in value.items())
    if isinstance(value, list):
        return 2 + sum(len(str(v)) + 3 * (v is None) + 1 for v in value)
    return len(str(value)) + 1


def _milli(values: Sequence[float | None]) -> list[int | None]:
    return [None if x is None else round(x * 1000) for x in values]


def _class(shift: str | None) -> int:
    return CLASSES.index(shift) if shift in CLASSES else 3


def _class_digit(shift: str | None) -> str:
    return str(_class(shift))
