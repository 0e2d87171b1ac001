"""Stored files that hold no answers, as plain rows: judge outputs, BERTScore
results, embeddings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from veneer.imports.overton import read_bertscore, read_embeddings, read_judged


def other_rows(
    path: Path, format: str, prompts: int | None = None
) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of a file of `format` overton-judge, bertscore or embeddings, and a sentence
    on it."""
    if format == "overton-judge":
        judged = read_judged(path, prompts=prompts)
        ended = Counter(j.finish or "failed" for j in judged)
        rows: list[dict[str, Any]] = [
            {"prompt_id": j.prompt_id, "sample_id": j.sample_id, "content": j.content}
            for j in judged
        ]
        return rows, "judge outputs, ended " + ", ".join(
            f"{why} {n}" for why, n in ended.most_common()
        )
    if format == "bertscore":
        scores = read_bertscore(path)
        parts = zip(
            scores.instances,
            scores.ref_samples,
            scores.alt_samples,
            scores.precision,
            scores.recall,
            scores.f1,
            scores.self_pairs,
            strict=True,
        )
        rows = [
            {
                "prompt_id": str(i),
                "reference": scores.ref_model,
                "reference_sample": int(r),
                "candidate": scores.alt_model,
                "candidate_sample": int(a),
                "precision": float(p),
                "recall": float(c),
                "f1": float(f),
                "self_pair": bool(s),
            }
            for i, r, a, p, c, f, s in parts
        ]
        return (
            rows,
            f"{scores.hashcode}; {int(scores.self_pairs.sum())} pairs of an answer with itself",
        )
    embeddings = read_embeddings(path)
    rows = [
        {"text": t, "vector": v.tolist()}
        for t, v in zip(embeddings.strings, embeddings.vectors, strict=True)
    ]
    return rows, f"{embeddings.vectors.shape[0]} vectors of {embeddings.vectors.shape[1]} numbers"
