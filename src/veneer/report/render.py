"""Study folders -> one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from veneer.errors import InputError
from veneer.files import write_text
from veneer.report import charts, pack, tables, words
from veneer.report.load import Study, load
from veneer.report.visible import json_for_html, script_pattern, visible
from veneer.results import Measurement

KEYS = ("study", "task", "metric", "of", "system", "split", "position")
FIELDS = (*KEYS, "value", "low", "high", "n", "unit", "judge", "note")
NUMBERS = ("value", "low", "high", "n")
SHIFT_RATES = ("unshifted_rate", "marginal_rate", "shifted_rate", "restored_rate")


def write_report(folders: list[Path], out: Path) -> None:
    """Write one report on the study folders to `out`, whole or not at all. Raises InputError (see `load.load`)."""
    write_text(out, render(folders))


def render(folders: Sequence[Path]) -> str:
    """The page as text; the same folders give the same text."""
    if not folders:
        raise InputError("a report was asked for no folder at all; expected one study folder or more: name them")
    studies = [load(Path(f)) for f in folders]
    shifts = [pack.pack_shifts(s) for s in studies]
    tables_bytes = sum(1200 * len(s.rows) for s in studies) + sum(len(json_for_html(p.data)) for p in shifts)
    responses = pack.pack_responses(studies, max(pack.BUDGET - tables_bytes, pack.BUDGET // 8))
    parts = [_part(i, s, few, texts) for i, (s, few, texts) in enumerate(zip(studies, shifts, responses, strict=True), 1)]
    environment = Environment(
        loader=PackageLoader("veneer", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": visible, "words": words.name, "figure": words.figure, "position": words.position}
    environment.globals |= {"charts": charts, "order": tables.order}
    environment.globals |= {"interval": words.interval, "verdict": words.verdict, "link": words.linked}
    files = resources.files("veneer.report")
    page = environment.get_template("template.html.j2").render(
        parts=parts,
        style=Markup((files / "style.css").read_text(encoding="utf-8")),
        script=Markup((files / "app.js").read_text(encoding="utf-8")),
        pattern=script_pattern(),
        fields=FIELDS,
        numbers=NUMBERS,
        key=words.SYSTEMS,
    )
    return page.lstrip()


def _part(index: int, study: Study, shifts: pack.Packed, responses: pack.Packed) -> dict[str, Any]:
    """All that the template needs of one study."""
    prefix = f"s{index}"
    anchors = {row.key: f"{prefix}-r{number}" for number, row in enumerate(study.rows, 1)}

    def anchor(row: Measurement) -> str:
        return anchors.get(row.key) or anchors[replace(row, position=None).key]  # a noise floor drawn at each position

    found = tables.groups(study.rows)
    portions = [g for g in found if g.study == "measure" and g.metric == "portion"]
    lead = tables.headline(portions)
    extract = [g for g in found if g.study == "extract"]
    kl = [g for g in extract if g.metric == "kl" and set(g.systems) - {"base", "aligned"}]
    recovered = {(g.task, g.split, g.judge): g for g in extract if g.metric == "kl_recovered"}
    position = [g for g in found if g.study == "position"]
    curves = [g for g in position if g.metric == "kl" and g.position]
    known = ("measure", "extract", "position", "shift")
    tasks = sorted({r.task[:200] for r in study.responses})
    rest: dict[str, list[tables.Group]] = {}
    for g in found:
        if g.study not in known:
            rest.setdefault(g.study, []).append(g)
    return {
        "prefix": prefix,
        "name": study.name,
        "study": study,
        "models": _models(study.run),
        "lead": words.lead(lead, anchor) if lead else "",
        "anchor": anchor,
        "headline": lead,
        "variants": [tables.variants(portions, g) for g in lead],
        "portion_scale": charts.portion_scale([r for g in lead for r in g.systems.values()]),
        "portions": portions,
        "measured": [g for g in found if g.study == "measure" and g.metric != "portion"],
        "kl": [
            {
                "group": g,
                "recovered": recovered.get((g.task, g.split, g.judge)),
                "floor": g.systems.get("aligned") or tables.noise_floor(study.rows, "extract", g.task),
            }
            for g in kl
        ],
        "kl_scale": charts.Scale(0.0, max([r.value or 0 for g in kl for r in g.systems.values()] + [1e-6]) * 1.05),
        "extract": extract,
        "curves": _curves(curves, position, study.rows),
        "position": [g for g in position if g not in curves],
        "rates": _rates([g for g in found if g.study == "shift"]),
        "shift": [g for g in found if g.study == "shift"],
        "rest": rest,
        "systems": [s for s in tables.columns(found) if s in words.SYSTEMS],
        "judges": sorted({r.judge for r in study.rows if r.judge}),
        "facts": fact(study.run),
        "notes": {"shifts": shifts.notes, "responses": responses.notes},
        "has_shifts": bool(study.shifts),
        "has_responses": bool(study.responses),
        "tasks": tasks,
        "data": Markup(
            json_for_html(
                {
                    "name": study.name,
                    "results": [asdict(r) for r in study.rows],
                    "shifts": shifts.data,
                    "responses": responses.data,
                    "tasks": tasks,
                }
            )
        ),
    }


def _curves(
    found: Sequence[tables.Group], all_groups: Sequence[tables.Group], rows: Sequence[Measurement]
) -> list[dict[str, Any]]:
    """The position groups gathered into one chart a task (and split, judge), `joint` first."""
    charts_by: dict[tuple, dict[str, Any]] = {}
    for g in found:
        empty: dict[str, Any] = {"task": g.task, "split": g.split, "groups": [], "by": {}}
        chart = charts_by.setdefault((g.task, g.split, g.judge), empty)
        chart["groups"].append(g)
        for system, row in g.systems.items():
            chart["by"].setdefault(system, []).append(row)
    for chart in charts_by.values():
        flat = tables.noise_floor(rows, "position", chart["task"])
        if flat is not None and "aligned" not in chart["by"]:
            chart["by"]["aligned"] = [replace(flat, position=g.position) for g in chart["groups"]]
        early = (g for g in all_groups if (g.task, g.metric) == (chart["task"], "early_kl_share") and "base" in g.systems)
        chart["early"] = next(early, None)
        chart["series"] = {s: chart["by"][s] for s in tables.order(chart["by"])}
        sizes = sorted(row.n for g in chart["groups"] for row in g.systems.values())
        chart["n"] = str(sizes[0]) if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
        floor = [row.value for row in chart["by"].get("aligned", []) if row.value is not None]
        chart["floor"] = max(floor, default=None)
        ends = [g for g in chart["groups"] if {"base", "veneer"} <= set(g.systems)]
        chart["ends"] = [ends[0], ends[-1]] if len(ends) > 1 else []
    return sorted(charts_by.values(), key=lambda c: c["task"] != "joint")


def _rates(found: Sequence[tables.Group]) -> list[dict[str, Any]]:
    """The shares of the shift classes, a card a task; the first system that has a rate speaks for it."""
    cards: dict[str, dict[str, Measurement]] = {}
    for g in found:
        if g.metric in SHIFT_RATES:
            system = next((s for s in ("veneer", "base") if s in g.systems), next(iter(g.systems)))
            cards.setdefault(g.task, {}).setdefault(g.metric, g.systems[system])
    result = []
    for task, rates in sorted(cards.items(), key=lambda c: c[0] != "joint"):
        three = [(m.removesuffix("_rate"), rates[m].value) for m in SHIFT_RATES[:3] if m in rates]
        shares = [(m, v) for m, v in three if v is not None and 0 <= v <= 1]
        whole = len(shares) == 3 and abs(sum(v for _, v in shares) - 1) < 0.02
        present = [rates[m] for m in SHIFT_RATES if m in rates]
        result.append({"task": task, "rates": present, "shares": shares if whole else []})
    return result


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


def _models(run: Any) -> list[tuple[str, str]]:
    """(role, name) of base and aligned, wherever run.json has them."""
    found = []
    for role in ("base", "aligned"):
        value = _find(run, role)
        if value:
            found.append((role, visible(value, 200)))
    return found


def _find(value: Any, key: str, depth: int = 0) -> str | None:
    """The first string under `key`, or under a name inside it, breadth before depth."""
    if not isinstance(value, Mapping) or depth > 4:
        return None
    here = value.get(key)
    if isinstance(here, str):
        return here
    if isinstance(here, Mapping):
        for name in ("name", "model", "id", "path"):
            if isinstance(here.get(name), str):
                return here[name]
    # configuration first: hashes may use the same keys
    inner = sorted(value.items(), key=lambda item: not str(item[0]).startswith(("conf", "model", "pair")))
    for name, v in inner:
        if "hash" not in str(name).lower() and "sha" not in str(name).lower():
            text = _find(v, key, depth + 1)
            if text:
                return text
    return None
