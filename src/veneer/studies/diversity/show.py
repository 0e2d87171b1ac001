"""The diversity study on stdout: measures by system, what is new beside the aligned model, then the
decomposition; everything is in the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from veneer.report.basis import in_clusters
from veneer.studies.diversity.settings import ALL_ANSWERS, ASPECTS
from veneer.studies.diversity.words import drop_remark
from veneer.terminal.tables import cell, digits, plain_console, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from veneer.foundation.results import Measurement, Results

DIVERSITY = (
    "lexical_diversity",
    "lexical_diversity_nonempty",
    "lexical_diversity_matched",
    "semantic_diversity",
)
STANCES = ("stance_entropy", "stance_disagreement", "stance_coverage")
ROWS = (
    *DIVERSITY,
    "vendi_lexical_q1",
    "vendi_semantic_q1",
    "distinct_1",
    "self_bleu",
    "words",
    "empty",
    *ASPECTS,
    *STANCES,
)
AGAINST = (
    "novelty",
    "topics_A",
    "topics_both",
    "topics_B",
    "topics_of_A_in_both",
    "topics_of_B_in_both",
)
PORTIONS = ("lexical_diversity", "lexical_diversity_nonempty", "semantic_diversity")
TERMS = (
    "drop",
    "quality_control",
    "aggregation",
    "rest",
    "united",
    "aggregation_repeated",
    "rest_repeated",
)
LEGEND = (
    "value [95 % interval over prompts]; quality control + aggregation + rest = drop, with "
    "aggregation for fresh unions or for repeated ones (docs/diversity.md)"
)
MEANINGS = {  # of the measures of one prompt's answers, by the beginning of the metric's name
    "lexical_diversity": "mean over pairs of answers of 1 - the share of words in common (Jaccard)",
    "lexical_diversity_nonempty": "the same without empty answers",
    "lexical_diversity_matched": "the same for the first 50 words",
    "semantic_diversity": "mean over pairs of 1 - the cosine of their embeddings",
    "vendi": "effective number of different answers, from 1 to the number of answers",
    "distinct_1": "different words / words, over all answers",
    "self_bleu": "BLEU-4 of each answer against the others; 1 is equal answers",
}
NOT_JUDGED = "not judged"
Rows = Mapping[str, "Measurement"]


def show_diversity(results: Results) -> None:

    console = plain_console()
    plain = {(r.metric, r.system): r for r in results if r.of is None and r.split is None}
    whole = [r for r in results if r.metric == "lexical_diversity" and r.split is None]
    systems = list(dict.fromkeys(r.system for r in whole))
    lines: dict[str, tuple[Rows, Callable[[str], str]]] = {}
    for metric in ROWS:
        rows = {s: plain[metric, s] for s in systems if (metric, s) in plain}
        judged = metric in (*ASPECTS, *STANCES)
        lines[metric] = rows, lambda _, judged=judged: NOT_JUDGED if judged else "-"  # type: ignore[misc]
    for metric in PORTIONS:
        rows = {r.system: r for r in results if r.metric == "portion" and r.of == metric}
        lines[f"portion of {metric}"] = rows, _end
    for metric in AGAINST:
        rows = {r.system: r for r in results if r.metric == metric and r.fact("score") is None}
        lines[f"{metric}, against aligned"] = rows, _against
    _measures(console, systems, {name: line for name, line in lines.items() if line[0]})
    _terms(console, results)


def _end(system: str) -> str:
    """What stands in the place of a portion that has none."""
    return {"base": "0 by definition", "aligned": "1 by definition"}.get(system, "-")


def _against(system: str) -> str:
    return "the reference" if system == "aligned" else NOT_JUDGED


def _measures(
    console: Console,
    systems: Sequence[str],
    lines: Mapping[str, tuple[Rows, Callable[[str], str]]],
) -> None:
    """One row per measure, one column per system; why a figure is undefined stands below."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("measure", no_wrap=True)
    for name in ("n", *systems):
        table.add_column(name, justify="right", no_wrap=True)
    reasons = []
    for name, (rows, missing) in lines.items():
        title = name.replace("_", " ")
        places = digits(rows.values())
        cells = [cell(rows.get(s), places, missing(s)) for s in systems]
        least, most = min(r.n for r in rows.values()), max(r.n for r in rows.values())
        n = f"{least} to {most}" if least < most else str(most)
        table.add_row(title, n + in_clusters(rows.values()), *cells)
        reasons += [
            f"undefined: {title}, {s}: {r.note or 'no reason given'}"
            for s, r in rows.items()
            if r.value is None
        ]
    print_table(console, table)
    for reason in (*reasons, *_meanings(lines)):
        console.print(reason, markup=False)


def _meanings(lines: Mapping[str, tuple[Rows, Callable[[str], str]]]) -> list[str]:
    """What the measures of the table are, each once, with the embedding model."""
    sentences: dict[str, str] = {}
    for name, (rows, _) in lines.items():
        key = "vendi" if name.startswith("vendi") else name
        if key in MEANINGS and key not in sentences:
            by = {r.judge for r in rows.values() if r.judge and name.startswith("semantic")}
            more = f" by {', '.join(sorted(by))}" if by else ""
            sentences[key] = f"{key.replace('_', ' ')}: {MEANINGS[key]}{more}"
    return list(sentences.values())


def _terms(console: Console, results: Results) -> None:
    from rich.table import Table

    terms = {
        (r.split, r.of, r.metric.removeprefix("decomposition_")): r
        for r in results
        if r.metric.startswith("decomposition_")
    }
    if not terms:
        return
    table = Table(
        box=None, header_style="bold", pad_edge=False, title="base to aligned", title_justify="left"
    )
    for name in ("answers kept", "of", "n", *(t.replace("_", " ") for t in TERMS)):
        table.add_column(name, no_wrap=True)
    for split, of in dict.fromkeys((s, o) for s, o, _ in terms):
        rows = [terms.get((split, of, t)) for t in TERMS]
        places = digits(r for r, t in zip(rows, TERMS, strict=True) if t != "united")
        table.add_row(
            split,
            (of or "").replace("_", " "),
            f"{next(r.n for r in rows if r)}{in_clusters(rows)}",
            *(cell(r, places, _no_term(t, split)) for r, t in zip(rows, TERMS, strict=True)),
        )
    console.print()
    print_table(console, table)
    console.print(LEGEND)
    for (split, of, term), row in terms.items():
        if term == "drop" and (remark := drop_remark(row)):
            console.print(f"{(of or '').replace('_', ' ')}, {split}: {remark}")


def _no_term(term: str, split: str | None) -> str:
    """Why a term has no figure."""
    if term == "quality_control" and split == ALL_ANSWERS:
        return "not filtered"
    return "words only" if term.endswith("_repeated") else "-"
