"""Plots of a study folder for papers: PNG at 300 dots an inch, and SVG with letters as outlines.

Colours are Okabe and Ito's (2008), which people with colour blindness can tell apart; marks, dashes
and hatches differ as well.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veneer.foundation.errors import InputError, MissingExtra
from veneer.foundation.files import write_bytes
from veneer.foundation.registry import nearest
from veneer.foundation.results import Measurement
from veneer.report import tables
from veneer.report.export.tables import places
from veneer.report.load import StudyFolder, load
from veneer.report.page_context import PageContext
from veneer.report.sections.position import Curves, curves
from veneer.report.sections.shifts import outcomes
from veneer.report.systems import MAIN, family
from veneer.report.visible import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.0  # inches, a text's width
STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "svg.fonttype": "path",
    "svg.hashsalt": "veneer",
    "savefig.bbox": "tight",
    "ytick.major.size": 2,
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "DejaVu Sans",
}
COLOURS = {
    "base": "#D55E00",
    "veneer": "#0072B2",
    "aligned": "#009E73",
    "variant": "#3F8FC4",
    "baseline": "#B2588A",
    "control": "#666666",
}
OTHERS = ("#666666", "#B2588A", "#C98A00", "#3F8FC4", "#000000")  # lines of other systems
MARKS = {
    "base": "o",
    "veneer": "o",
    "aligned": "D",
    "variant": "o",
    "baseline": "^",
    "control": "s",
}
OUTCOMES = (
    ("restored", "takes the aligned model's token", "#0072B2", ""),
    ("kept", "stays with base's", "#D55E00", "///"),
    ("elsewhere", "goes elsewhere", "#BBBBBB", "..."),
)


def need_matplotlib() -> None:
    """Raises MissingExtra where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plots", "writing plots")


def write_plots(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write portion, position-TASK and shifts as .png and .svg below `out` (in a folder of its own
    for each study where there are several); gives what was written. A plot that the study has no
    rows for is left out. Raises MissingExtra and InputError."""
    need_matplotlib()
    import matplotlib

    studies = [load(Path(f)) for f in folders]
    written: list[Path] = []
    with matplotlib.rc_context(STYLE):
        for folder, study in zip(places(studies, out), studies, strict=True):
            for name, figure in _figures(study).items():
                written += [
                    _save(figure, folder / f"{name}.png"),
                    _save(figure, folder / f"{name}.svg"),
                ]
    return written


class Plots:
    """The plots of one study, each a matplotlib figure. Raises MissingExtra where matplotlib is not
    installed; a plot raises InputError where the study has no rows for it."""

    def __init__(self, study: StudyFolder):
        need_matplotlib()
        self._study = study

    def __repr__(self) -> str:
        return "<Plots: portion(), positions(task), shifts()>"

    def portion(self) -> Figure:
        """The superficial portion of each task with its interval, and of every other system."""
        return self._made("portion")

    def positions(self, task: str = "joint") -> Figure:
        """KL from the aligned model by response position: a line per system, in nats per token.

        task: a task's name; "joint" is all tasks together, or the only task.
        """
        charts = {chart.task: chart for chart in curves(PageContext(self._study))}
        if task == "joint" and len(charts) == 1:
            task = next(iter(charts))
        if charts and task not in charts:
            raise InputError(f"there is no task {task!r} here; {nearest(task, list(charts))}")
        return self._made(f"position-{task}")

    def shifts(self) -> Figure:
        """What the veneer makes of the places where the aligned model departs from base."""
        return self._made("shifts")

    def _made(self, name: str) -> Figure:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            draw = _drawings(self._study).get(name)
            if draw is None:
                raise InputError(
                    f"these results hold no rows for the plot {name!r}; expected those of a study "
                    "that measures it, such as `veneer run`"
                )
            return draw()


def _drawings(study: StudyFolder) -> dict[str, Callable[[], Figure]]:
    """Name of each plot that the study has rows for -> what draws it."""
    drawings: dict[str, Callable[[], Figure]] = {}
    lead = [
        g
        for g in tables.headline(tables.groups(study.rows))
        if g.systems["veneer"].value is not None
    ]
    if lead:
        drawings["portion"] = partial(portion_plot, lead)
    for chart in curves(PageContext(study)):
        drawings[f"position-{chart.task}"] = partial(position_plot, chart)
    shift_outcomes = outcomes(study.shifts)
    if shift_outcomes:
        drawings["shifts"] = partial(shift_plot, shift_outcomes)
    return drawings


def _figures(study: StudyFolder) -> dict[str, Figure]:
    """File name -> plot."""
    figures: dict[str, Figure] = {}
    for name, draw in _drawings(study).items():
        own = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:69]
        figures[own if own not in figures else f"{own}-{len(figures)}"] = draw()
    return figures


def portion_plot(lead: Sequence[tables.Group]) -> Figure:
    """A line a task and metric: the veneer with its interval, and below it every other system."""
    figure, axes = _blank(WIDTH, 0.7 + 0.55 * len(lead))
    drawn: set[str] = set()
    for y, g in enumerate(lead):
        for system in tables.columns([g]):
            row = g.systems[system]
            if row.value is None:
                continue
            kind = family(row.identity)
            main = system == "veneer"
            look = {
                "color": COLOURS[kind],
                "marker": MARKS[kind],
                "markersize": 6 if main else 4,
                "linestyle": "none",
            }
            label = _LABELS[kind] if kind not in drawn else None
            drawn.add(kind)
            face = "white" if kind == "variant" else COLOURS[kind]
            axes.errorbar(
                [row.value],
                [y - 0.12 if main else y + 0.2],
                xerr=_reach(row) if main else None,
                capsize=2.5,
                lw=1.4,
                label=label,
                mfc=face,
                **look,
            )
    for x in (0, 1):
        axes.axvline(x, color="#999999", lw=0.7, ls=(0, (2, 2)), zorder=0)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -1.5), min(high, 2.5))
    axes.set_yticks(
        range(len(lead)), [f"{_text(g.task)}\n{_text(g.of or '')}, n = {g.n}" for g in lead]
    )
    axes.set_ylim(len(lead) - 0.4, -0.6)
    axes.set_xlabel("superficial portion (0: base, 1: aligned)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return figure


_LABELS = {
    "veneer": "veneer, 95 % interval",
    "variant": "other veneers",
    "baseline": "baselines",
    "control": "controls",
}


def position_plot(chart: Curves) -> Figure:
    """KL by response position: one line per system, its interval as a band."""
    figure, axes = _blank(WIDTH, 2.6)
    bins = sorted({r.position for rows in chart.series.values() for r in rows if r.position})
    dashes = ["-", (0, (1, 1.5)), (0, (5, 2)), (0, (3, 1, 1, 1)), (0, (2, 2)), (0, (8, 2))]
    families = {s: family(rows[0].identity) for s, rows in chart.series.items()}
    others = [s for s, kind in families.items() if kind not in MAIN]
    for system, rows in chart.series.items():
        rows_with_value = sorted(
            (r for r in rows if r.position and r.value is not None),
            key=lambda r: r.position or (0, 0),
        )
        xs = [bins.index(r.position) for r in rows_with_value if r.position]
        kind = families[system]
        colour = OTHERS[others.index(system) % len(OTHERS)] if system in others else COLOURS[kind]
        style = (
            (0, (4, 2))
            if system == "aligned"
            else dashes[(1 + others.index(system)) % 6]
            if system in others
            else "-"
        )
        label = "noise floor" if system == "aligned" else _text(system)
        axes.plot(
            xs,
            [r.value for r in rows_with_value],
            color=colour,
            marker=MARKS[kind],
            ms=3.5,
            lw=1.2,
            ls=style,
            label=label,
            mfc="white" if kind in ("base", "variant") else colour,
        )
        ranged = [
            (x, r.low, r.high)
            for x, r in zip(xs, rows_with_value, strict=True)
            if r.low is not None and r.high is not None
        ]
        if ranged and system != "aligned":
            band = list(zip(*ranged, strict=True))
            axes.fill_between(band[0], band[1], band[2], color=colour, alpha=0.15, lw=0)
    axes.set_xticks(
        range(len(bins)),
        [str(a) if a == b else f"{a}–{b}" for a, b in bins],
        rotation=45 if len(bins) > 11 else 0,
    )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("response position (tokens)")
    axes.set_ylabel("KL from aligned (nats per token)")
    axes.set_title(
        f"{'all tasks' if chart.task == 'joint' else _text(chart.task)}, n = {chart.n}",
        fontsize=8,
        loc="left",
    )
    axes.legend(ncols=2)
    return figure


def shift_plot(groups: Sequence[Any]) -> Figure:
    """Shares of what the veneer makes of each group of shifts."""
    figure, axes = _blank(WIDTH, 0.7 + 0.32 * len(groups))
    for y, outcome in enumerate(groups):
        left = 0.0
        shares = dict(outcome.shares)
        for kind, label, colour, hatch in OUTCOMES:
            bars = axes.barh(
                y,
                shares[kind],
                left=left,
                height=0.62,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                lw=0.5,
            )
            bars.set_label(label if y == 0 else "_nolegend_")
            left += shares[kind]
    axes.set_yticks(range(len(groups)), [f"{o.group} ({o.total:,})" for o in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of places where aligned departs from base")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _blank(width: float, height: float):
    from veneer.report.export.figure import NotebookFigure

    figure = NotebookFigure(figsize=(width, height))
    return figure, figure.subplots()


def _reach(row: Measurement) -> list[list[float]] | None:
    """Lengths of the whiskers to the left and to the right."""
    if row.value is None or row.low is None or row.high is None:
        return None
    return [[max(0.0, row.value - row.low)], [max(0.0, row.high - row.value)]]


def _text(name: str) -> str:
    return visible(name, 60).replace("_", " ")


def _save(figure: Figure, path: Path) -> Path:
    data = io.BytesIO()
    kind = path.suffix[1:]
    figure.savefig(
        data, format=kind, dpi=300, metadata={"Date": None} if kind == "svg" else {"Software": None}
    )
    write_bytes(path, data.getvalue())
    return path
