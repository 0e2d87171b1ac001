"""How good the built-in toxicity judge is: `python benchmarks/toxicity_judge.py` writes
docs/toxicity-judge.md, and the judge's figures in src/veneer/judges/accuracy.json.

VENEER_DATA names the data folder; a few minutes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tools.judges.fitting import data_folder
from tools.judges.refusal_train import MODELS
from tools.judges.toxicity_check import verdicts
from tools.judges.toxicity_fit import Statements, fit, parts, statement_folds
from tools.judges.toxicity_train import load_statements, scores_unseen

from veneer.embed import load_embedder
from veneer.foundation.files import write_text
from veneer.judges.toxicity.judge import ToxicityJudge
from veneer.judges.toxicity.objection import objects
from veneer.statistics.agreement import balanced_accuracy
from veneer.statistics.intervals import Estimate, rate

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "toxicity-judge.md"
ACCURACY = HERE.parent / "src" / "veneer" / "judges" / "accuracy.json"
HOW = {
    "statement": "a tenth of the statements at a time",
    "group": "a group at a time",
    "family": "a family of related groups at a time",
}
LENGTHS = (1, 2, 4, 8)
EVERY = 3  # of XSTest's answers one in three, to keep this short
LISTS = 8  # of a kind, length and fold


def shown(hits: float, n: int) -> str:
    estimate = rate(round(hits), n)
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]" if n else "-"


def balanced(scores: np.ndarray, hate: np.ndarray) -> Estimate:
    return balanced_accuracy((hate > 0).astype(float), (scores > 0).astype(float))


def record(judge: str, unseen: Mapping[str, np.ndarray], hate: np.ndarray) -> None:
    """Put the figures of what was left out under the judge's id in accuracy.json."""
    entries = json.loads(ACCURACY.read_text(encoding="utf-8"))
    made = []
    for name, scores in unseen.items():
        e = balanced(scores, hate)
        assert e.value is not None and e.low is not None and e.high is not None
        figures = {"balanced_accuracy": e.value, "low": e.low, "high": e.high}
        made.append(
            {
                "labels": "ToxiGen's statements",
                "how": f"{HOW[name]} left out of the fit",
                "n": len(hate),
                **{k: round(v, 4) for k, v in figures.items()},
            }
        )
    kept = {k: v for k, v in entries.items() if not k.startswith("toxicity-")}
    write_text(ACCURACY, json.dumps({**kept, judge: made}, indent=1) + "\n")


def row(name: str, scores: np.ndarray, hate: np.ndarray) -> str:
    """Accuracy, balanced accuracy with the interval that adds the two recalls' (MOVER),
    and the recalls."""
    a, b = scores[hate > 0] > 0, scores[hate == 0] <= 0
    e = balanced(scores, hate)
    both = "-" if e.value is None else f"**{e.value:.2f}** [{e.low:.2f}, {e.high:.2f}]"
    cells = [name, str(len(hate)), shown(a.sum() + b.sum(), len(hate)), both]
    return "| " + " | ".join([*cells, shown(a.sum(), len(a)), shown(b.sum(), len(b))]) + " |"


HEAD = (
    "| {} | n | accuracy | balanced accuracy | recall of hate | recall of neutral |\n"
    "|---|---|---|---|---|---|"
)


def by_group(data: Statements, scores: np.ndarray) -> str:
    lines = [HEAD.format("group")]
    lines += [row(name, scores[mask], data.hate[mask]) for name, mask in parts(data.groups).items()]
    return "\n".join(lines)


def others(data: Path) -> str:
    """Share judged toxic of texts that are no hate: XSTest's answers, which the fit did not see."""
    judge = ToxicityJudge()
    lines = ["| answers of | what they are | n | judged toxic |", "|---|---|---|---|"]
    kinds = {
        "1_full_compliance": "full compliance",
        "2_full_refusal": "full refusal",
        "3_partial_refusal": "partial refusal",
    }
    for model, name in MODELS.items():
        with (data / "xstest" / "completions" / f"{model}.csv").open(
            encoding="utf-8", newline=""
        ) as stream:
            rows = list(csv.DictReader(stream))[::EVERY]
        toxic = np.array(verdicts(judge, [r["completion"] for r in rows]))
        for label, kind in kinds.items():
            mask = np.array([r["final_label"] == label for r in rows])
            lines.append(
                f"| {name} | {kind} | {mask.sum()} | {shown(toxic[mask].sum(), int(mask.sum()))} |"
            )
    return "\n".join(lines)


def lists(data: Statements) -> str:
    """Share judged toxic of lists of unseen statements, by how an answer of several
    statements is read."""
    folds, embedder, draw = (
        statement_folds(data.vectors),
        load_embedder("minilm"),
        np.random.default_rng(0),
    )
    fits = {f: fit(data.part(folds != f), folds[folds != f]) for f in np.unique(folds)}
    lines = [
        "| statements | of them hate | whole (used) | worst statement | mean of the statements |",
        "|---|---|---|---|---|",
    ]
    for length in LENGTHS:
        for hateful in sorted({0, 1, length // 2, length}):
            texts: list[str] = []
            made: list[tuple[int, Sequence[int]]] = []
            for fold in fits:
                bad, good = (np.flatnonzero((folds == fold) & (data.hate == h)) for h in (1, 0))
                for _ in range(LISTS):
                    chosen = np.concatenate(
                        [draw.choice(bad, hateful), draw.choice(good, length - hateful)]
                    ).astype(int)
                    draw.shuffle(chosen)
                    texts.append("\n- ".join(data.texts[i] for i in chosen))
                    made.append((fold, chosen))
            hits = np.zeros(3)
            for text, vector, (fold, chosen) in zip(
                texts, embedder.embed(texts), made, strict=True
            ):
                w, b = fits[fold]
                single = data.vectors[chosen] @ w + b
                whole = vector @ w + b > 0 and not objects(text)
                hits += [whole, single.max() > 0, single.mean() > 0]
            lines.append(
                f"| {length} | {hateful} | " + " | ".join(shown(h, len(texts)) for h in hits) + " |"
            )
    return "\n".join(lines)


def main() -> None:
    folder = data_folder()
    data = load_statements(folder)
    unseen = scores_unseen(data)
    text = (HERE / "toxicity_judge_intro.md").read_text(encoding="utf-8").rstrip("\n")
    text += (
        f"\n\n## Statements that were left out\n\n{len(data.texts)} statements, "
        f"{int(data.hate.sum())} of them hate.\n\n"
    )
    text += "\n".join(
        [HEAD.format("left out"), *(row(HOW[n], s, data.hate) for n, s in unseen.items())]
    )
    text += f"\n\n## By group, the group left out\n\n{by_group(data, unseen['group'])}"
    text += f"\n\n## By group, its family left out\n\n{by_group(data, unseen['family'])}"
    text += f"\n\n## Answers that are no hate (shipped weights)\n\n{others(folder)}"
    text += f"\n\n## Lists of unseen statements\n\n{lists(data)}\n"
    write_text(PAGE, text)
    record(ToxicityJudge().id, unseen, data.hate)


if __name__ == "__main__":
    main()
