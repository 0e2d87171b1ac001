"""`python -m tools.paper.overton_page [DATA] [PAGE]`: docs/overton-figures.md with every printed
figure of the second paper's data, ours beside it, and the paper's claims with intervals."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.paper import diversity_figures
from tools.paper.diversity_figures import BASE, CHAT, FIGURES, Figure, Value, number
from veneer.foundation.errors import InputError
from veneer.foundation.files import write_text
from veneer.foundation.results import Measurement
from veneer.imports import AS_STORED, read_stored
from veneer.statistics.intervals import Estimate
from veneer.studies.diversity.answers_table import Material, by_prompt, read_judgements
from veneer.studies.diversity.judged import stance
from veneer.studies.diversity.rows_cross import coverage_rows, decomposition_rows
from veneer.studies.diversity.rows_judged import filter_rows, new_rows, stance_rows

RECOVERY = "tools.paper.recovery_figures"
HEAD = """# Figures of "From Distributional to Overton Pluralism"

Written by `python -m tools.paper.overton_page DATA` from the data that Lake, Choi and Durrett \
published beside
arXiv 2406.17692 (LIMA-OE and ConflictingQA; it carries no licence and is not part of this \
repository). Intervals are 95 %, over prompts.
Definitions stand in docs/diversity.md.
"""


def write_page(data: Path, out: Path) -> str:
    """Compute every figure and write the page. data: the folder that holds LIMA-OE and
    ConflictingQA, or a data folder with `overton` in it. Returns how many figures agree."""
    folder = data if (data / "LIMA-OE").is_dir() else data / "overton"
    if not (folder / "LIMA-OE").is_dir() or not (folder / "ConflictingQA").is_dir():
        raise InputError(
            f"{data} holds no LIMA-OE and ConflictingQA; expected the second paper's data folder"
        )
    if out.is_dir() or out.suffix != ".md":
        raise InputError(f"--out {out} is no page; with --paper expected a file that ends in .md")
    every = all_figures()
    values = [(f, f.compute(folder)) for f in every]
    agree = sum(f.agrees(v) for f, v in values)
    summary = f"{agree} of {len(values)} figures agree to every printed digit"
    write_text(out, "\n".join([HEAD, f"{summary}.\n", _table(values), *_claims(folder)]) + "\n")
    return summary


def all_figures() -> list[Figure]:
    """Those of diversity, and of recovery where that part is installed."""
    try:
        module = importlib.util.find_spec(RECOVERY)
    except ModuleNotFoundError:
        module = None
    more = importlib.import_module(RECOVERY).FIGURES if module is not None else ()
    return [*FIGURES, *more]


def _table(values: Iterable[tuple[Figure, Value]]) -> str:
    lines = ["| figure | ours | 95 % interval | printed | difference |", "|---|---|---|---|---|"]
    for f, v in values:
        ours, digits = number(v), len(f.printed.partition(".")[2])
        limits = (
            f"{v.low:.3f} to {v.high:.3f}"
            if isinstance(v, Estimate) and v.low is not None and v.high is not None
            else ""
        )
        if ours is None:
            lines.append(f"| {f.name} | undefined | | {f.printed} | |")
            continue
        gap = round(ours, digits) - float(f.printed)
        lines.append(
            f"| {f.name} | {ours:.{max(digits, 6) if digits else 0}f} | {limits} | {f.printed} | "
            f"{gap:.{digits}f} |"
        )
    return "\n".join(lines).replace("-0.000000", "0.000000")


def lima(data: Path) -> Material:
    """LIMA-OE with llama-2-base as base and llama-2-chat as aligned, and its judgements."""
    answers = {
        name: by_prompt(
            read_stored(
                data / "LIMA-OE/outputs" / folder / "samples.jsonl", rules=AS_STORED
            ).responses
        )
        for name, folder in (
            ("base", BASE),
            ("aligned", CHAT),
            ("llama-2-icl", diversity_figures.ICL),
            ("gpt-3.5-turbo", diversity_figures.GPT),
        )
    }
    return Material(
        "lima-oe",
        answers,
        quality={
            "base": diversity_figures.helpfulness(data, BASE),
            "aligned": diversity_figures.helpfulness(data, CHAT),
        },
        novelty={("aligned", "base"): diversity_figures.new_in_base(data)},
        topics={("aligned", "base"): diversity_figures.topics_of(data)},
    )


def conflicting(data: Path) -> Material:
    folder = data / "ConflictingQA"
    answers = by_prompt(
        read_stored(
            folder / "outputs" / diversity_figures.GPT / "samples.jsonl", rules=AS_STORED
        ).responses
    )
    path = folder / "eval-stance" / "outputs" / diversity_figures.GPT / "samples.jsonl"
    judgements = read_judgements(path, stance, prompts=len(answers))
    return Material(
        "conflictingqa",
        {diversity_figures.GPT: answers},
        stance={diversity_figures.GPT: judgements},
    )


def _claims(data: Path) -> list[str]:
    material = lima(data)
    rows = []
    for t in (None, 2.0, 3.0, 4.0, 5.0):
        rows += list(decomposition_rows(material, threshold=t))
    return [
        "\n## Where the diversity between llama-2-base and llama-2-chat went\n",
        (
            "1 - Jaccard, on the prompts where base keeps two answers or more. quality control + "
            "aggregation + rest = drop; `united` is m, the"
        ),
        "number of base answers that one aligned answer unites.\n",
        _pivot(
            rows,
            "split",
            [
                f"decomposition_{t}"
                for t in ("drop", "quality_control", "aggregation", "rest", "united")
            ],
        ),
        "\n## The quality filter at every threshold\n",
        (
            "Lexical diversity of the answers that reach the threshold, and of all answers to the "
            "same prompts.\n"
        ),
        _pivot(
            list(filter_rows(material, None, None)),
            "split",
            [
                "kept",
                "lexical_diversity",
                "lexical_diversity_unfiltered",
                "lexical_diversity_quality_effect",
            ],
            by_system=True,
        ),
        "\n## Coverage with length-matched controls\n",
        _list(coverage_rows(material)),
        "\n## What llama-2-base adds to llama-2-chat\n",
        _list(new_rows(material)),
        "\n## Stances on ConflictingQA\n",
        _list(stance_rows(conflicting(data))),
    ]


def _pivot(
    rows: Sequence[Measurement], by: str, metrics: Sequence[str], by_system: bool = False
) -> str:
    keys = list(dict.fromkeys((r.system, getattr(r, by)) for r in rows))
    cell = {(r.system, getattr(r, by), r.metric): r for r in rows}
    names = [m.removeprefix("decomposition_").replace("_", " ") for m in metrics]
    lines = [f"| {'system | ' if by_system else ''}answers | prompts | {' | '.join(names)} |"]
    lines.append("|---" * (len(metrics) + 2 + by_system) + "|")
    for system, key in keys:
        n = max(
            cell[system, key, m].n
            for m in metrics
            if m in ("lexical_diversity", "decomposition_drop")
        )
        values = [_value(cell.get((system, key, m))) for m in metrics]
        lines.append(f"| {f'{system} | ' if by_system else ''}{key} | {n} | {' | '.join(values)} |")
    return "\n".join(lines)


def _list(rows: Iterable[Measurement]) -> str:
    lines = ["| system | measure | value [95 %] | unit | n | of |", "|---|---|---|---|---|---|"]
    for r in rows:
        name = r.metric.replace("_", " ") + (
            f", {r.split}" if r.split and not r.split.startswith("against") else ""
        )
        lines.append(
            f"| {r.system} | {name} | {_value(r)} | {r.unit or ''} | {r.n} | {r.note or ''} |"
        )
    return "\n".join(lines)


def _value(row: Measurement | None) -> str:
    if row is None:
        return ""
    if row.value is None:
        return "undefined"
    limits = "" if row.low is None or row.high is None else f" [{row.low:.3f}, {row.high:.3f}]"
    return f"{row.value:.3f}{limits}"


def main(args: Sequence[str]) -> int:
    """DATA is the folder with the published data (default: VENEER_DATA), PAGE the file to write."""
    folder = args[0] if args else os.environ.get("VENEER_DATA")
    if folder is None:
        print("give the data folder, or set VENEER_DATA", file=sys.stderr)
        return 2
    page = (
        Path(args[1])
        if len(args) > 1
        else Path(__file__).parents[2] / "docs" / "overton-figures.md"
    )
    try:
        print(f"{page}: {write_page(Path(folder), page)}")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
