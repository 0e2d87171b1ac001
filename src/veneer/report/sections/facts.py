"""How the study was run: models, hashes, seeds, times, judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from veneer.report.part import Part
from veneer.report.section import Section
from veneer.report.visible import visible


def _render(part: Part) -> Markup:
    judges = sorted({r.judge for r in part.study.rows if r.judge})
    return part.template("facts.html.j2", facts=fact(part.study.run), judges=judges)


def fact(value: Any, depth: int = 0) -> dict[str, Any]:
    """run.json as a tree of maps, tables, lists and texts; nothing about its keys is assumed."""
    if isinstance(value, Mapping) and value and depth < 8:
        return {"map": [(visible(k, 120), fact(v, depth + 1)) for k, v in list(value.items())[:500]]}
    if isinstance(value, list) and value and depth < 8 and any(isinstance(v, Mapping | list) for v in value):
        return {"list": [fact(v, depth + 1) for v in value[:100]], "more": max(0, len(value) - 100)}
    if isinstance(value, list | Mapping):
        return {"text": visible(", ".join(str(v) for v in value), 1000) if value else "none"}
    if value is None:
        return {"text": "none"}
    if isinstance(value, bool):
        return {"text": "yes" if value else "no"}
    if isinstance(value, float):
        return {"text": f"{value:.6g}"}
    return {"text": visible(value, 1000)}


SECTION = Section("run", "How it was run", "Run", lambda part: True, _render)
