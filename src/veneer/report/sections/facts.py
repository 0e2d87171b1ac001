"""How the study was run: models, hashes, seeds, times, judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.visible import visible


def _render(page: PageContext) -> Markup:
    run = page.study.run
    judges = sorted({r.judge for r in page.study.rows if r.judge} | set(_texts(run.get("judges"))))
    sizes: dict[str, int] = {}
    for r in page.study.rows:
        if r.study == "measure":
            sizes[r.task] = max(sizes.get(r.task, 0), r.n)
    return page.template(
        "facts.html.j2",
        facts=fact(run),
        judges=judges,
        missing=[
            (visible(k, 80), ", ".join(_texts(v)) or visible(v, 200))
            for k, v in _map(run.get("judges_missing")).items()
        ],
        sizes=sizes,
        seconds=_seconds(run.get("seconds")),
        tables=[
            (title, lines)
            for title, lines in (
                ("Models", _models(run)),
                ("Seeds", _flat(run.get("seeds"))),
                ("Data", _flat(run.get("data"))),
                ("Versions", _flat(run.get("versions"))),
                ("Machine", _flat(run.get("machine"))),
            )
            if lines
        ],
    )


def _models(run: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    for role in ("base", "aligned"):
        model = _map(_map(run.get("pair")).get(role))
        if isinstance(model.get("parameters"), int):
            model = model | {"parameters": f"{model['parameters']:,}"}
        facts = [
            f"{model[k]} parameters" if k == "parameters" else str(model[k])
            for k in MODEL
            if k in model
        ]
        if facts:
            lines.append((role, visible(" · ".join(facts), 400)))
        for digest in ("fingerprint", "tokenizer", "unembedding"):
            if digest in model:
                lines.append((f"{role}, {digest}", visible(model[digest], 80)))
    return lines or _flat(run.get("hashes"))


MODEL = ("name", "architecture", "parameters", "dtype")


def _seconds(value: Any) -> list[tuple[str, float, float]]:
    """(stage, seconds, share of the longest)."""
    stages = [
        (visible(k, 60), float(v)) for k, v in _map(value).items() if isinstance(v, int | float)
    ]
    longest = max((v for _, v in stages), default=0.0)
    return [(k, v, v / longest if longest > 0 else 0.0) for k, v in stages]


def _flat(value: Any, before: str = "") -> list[tuple[str, str]]:
    """Nested maps as lines of (path, text), 60 at most."""
    lines: list[tuple[str, str]] = []
    for k, v in list(_map(value).items())[:60]:
        key = f"{before}{visible(k, 80)}"
        lines += _flat(v, f"{key}, ") if isinstance(v, Mapping) else [(key, visible(_line(v), 300))]
    return lines[:60]


def _line(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_line(v) for v in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_line(v)}" for k, v in value.items())
    return "none" if value is None else str(value)


def _map(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [visible(v, 80) for v in value if isinstance(v, str)] if isinstance(value, list) else []


def fact(value: Any, depth: int = 0) -> dict[str, Any]:
    """run.json as a tree of maps, tables, lists and texts; nothing about its keys is assumed."""
    if isinstance(value, Mapping) and value and depth < 8:
        return {
            "map": [(visible(k, 120), fact(v, depth + 1)) for k, v in list(value.items())[:500]]
        }
    if (
        isinstance(value, list)
        and value
        and depth < 8
        and any(isinstance(v, Mapping | list) for v in value)
    ):
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


SECTION = Section("run", "How it was run", "Run", lambda page: True, _render, rank=160)
