"""The files that Lake, Choi and Durrett published beside arXiv 2406.17692: instances, answers of
open and API models, judge outputs, BERTScore results and embeddings. A prompt's id is its row
number from 0. Judge files hold one row per judged answer, instance by instance and sample by
sample."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veneer.endpoint.finish import word_of
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.foundation.reading.content import stem
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import get, objects
from veneer.prompts.prompt import Prompt

INSTANCE = 'an instance: {"messages": [{"role": "user", "content": text}]}'
OPEN = (
    'an open model\'s row: {"prompt": text, "outputs": [{"generated_text": text} or '
    '{"error": text}]}'
)
API = (
    'an API model\'s row: {"ok": true or false, "outputs": [{"finish_reason", "message": '
    '{"content": text}}]}'
)
LAST_QUERY = re.compile(r"# Query:\n```\n(.*?)\n```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StoredJudgement:
    """One judge output. content: the judge's text, None where the request failed."""

    prompt_id: str
    sample_id: int
    content: str | None
    finish: str | None


@dataclass(frozen=True)
class BertScores:
    """Stored BERTScore of pairs, all arrays of the same length n; `where` marks the pairs that are
    one and the same answer."""

    ref_model: str
    alt_model: str
    instances: np.ndarray
    ref_samples: np.ndarray
    alt_samples: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    ref_texts: tuple[str, ...]
    alt_texts: tuple[str, ...]
    hashcode: str

    @property
    def self_pairs(self) -> np.ndarray:
        """(n,) pairs of an answer with itself, whose F1 is 1."""
        return (self.ref_samples == self.alt_samples) & (self.ref_model == self.alt_model)


@dataclass(frozen=True)
class StoredEmbeddings:
    """vectors: (n, d) as stored, not normalised. strings: the embedded texts."""

    vectors: np.ndarray
    strings: tuple[str, ...]
    args: str


def read_instances(path: Path) -> list[Prompt]:
    """Return the prompts, ids "0", "1", ... in the order of the lines."""
    prompts: list[Prompt] = []
    for where, row in objects(path, INSTANCE):
        turns = get(row, "messages", list, where, INSTANCE)
        users = [
            t
            for t in turns
            if isinstance(t, dict) and t.get("role") == "user" and isinstance(t.get("content"), str)
        ]
        if not users:
            raise InputError(f"{where} has no message of the user; expected {INSTANCE}")
        prompts.append(Prompt.from_text(str(len(prompts)), users[-1]["content"]))
    if not prompts:
        raise InputError(f"{path} holds no prompts; expected {INSTANCE} per line")
    return prompts


def read_open(path: Path, rules: Rules | None = None) -> Imported:
    """Read an open model's answers. The prompts are the last "# Query:" block of the model's input,
    or all of it."""
    imported = Imported(str(path), "overton-open", rules or Rules())
    name = path.parent.name or stem(path)
    rows = 0
    for where, row in objects(path, OPEN):
        prompt, id = get(row, "prompt", str, where, OPEN), str(rows)
        imported.prompts.append(Prompt.from_text(id, query_of(prompt), plain=prompt))
        for sample, output in enumerate(get(row, "outputs", list, where, OPEN)):
            if isinstance(output, dict) and isinstance(output.get("generated_text"), str):
                imported.put(
                    id,
                    sample,
                    name,
                    output["generated_text"],
                    finish=_finish(output),
                    fenced=prompt.rstrip().endswith("```"),
                )
            elif isinstance(output, dict) and "error" in output:
                imported.dropped[f"error: {_short(output['error'])}"] += 1
            else:
                raise InputError(
                    f"{where}, output {sample}, is neither an answer nor an error; expected {OPEN}"
                )
        rows += 1
    return _with_rows(imported, rows, OPEN)


def read_api(path: Path, rules: Rules | None = None) -> Imported:
    """Read an API model's answers; the file holds no prompts (instances/data.jsonl does)."""
    imported = Imported(str(path), "overton-api", rules or Rules())
    name = path.parent.name or stem(path)
    rows = 0
    for where, row in objects(path, API):
        if not get(row, "ok", bool, where, API):
            imported.dropped["error: the request failed"] += 1
        else:
            for sample, output in enumerate(get(row, "outputs", list, where, API)):
                text = _content(output, f"{where}, output {sample}")
                if text is None:
                    imported.dropped["error: no content"] += 1
                else:
                    imported.put(str(rows), sample, name, text, finish=_finish(output))
        rows += 1
    return _with_rows(imported, rows, API)


def read_judged(
    path: Path, instances: Path | None = None, prompts: int | None = None
) -> list[StoredJudgement]:
    """Read a judge's outputs, each with the answer that it judges.

    instances: the judge's own instances, whose "instance_id" names the prompt of a row; by default
    those of the published tree (.../instances/MODEL/data.jsonl beside .../outputs/MODEL/). prompts:
    without instances, the number of prompts; as many rows are sample 0 of each, five times as many
    are five samples each, instance by instance.
    """
    rows = []
    for where, row in objects(path, API):
        outputs = get(row, "outputs", list, where, API) if get(row, "ok", bool, where, API) else []
        rows.append((_content(outputs[0], where), _finish(outputs[0])) if outputs else (None, None))
    beside = path.parent.parent.parent / "instances" / path.parent.name / "data.jsonl"
    instances = instances or (beside if beside.is_file() else None)
    if instances is not None:
        ids = _instance_ids(instances)
        if len(ids) != len(rows):
            raise InputError(
                f"{path} has {len(rows)} rows and {instances} has {len(ids)}; expected one judge "
                "output per instance"
            )
    elif prompts and rows and len(rows) % prompts == 0:
        ids = [str(i * prompts // len(rows)) for i in range(len(rows))]
    else:
        raise InputError(
            f"{path} has {len(rows)} judge outputs for {prompts or 'an unknown number of'} "
            "prompts; expected as many for each prompt, or the judge's "
            "instances/data.jsonl beside it"
        )
    samples: Counter[str] = Counter()
    judged = []
    for id, (content, finish) in zip(ids, rows, strict=True):
        judged.append(StoredJudgement(id, samples[id], content, finish))
        samples[id] += 1
    return judged


def read_bertscore(path: Path) -> BertScores:
    """Return a stored BERTScore file (roberta-large, layer 17, no idf, no rescaling, as its hash
    code says)."""
    expected = (
        "BERTScore results: ref_model, alt_model, instance_ids, ..., results{precision, recall, f1}"
    )
    row, where = read_json(path, expected), str(path)
    if not isinstance(row, dict):
        raise InputError(f"{path} holds no object; expected {expected}")
    results = get(row, "results", dict, where, expected)
    n = len(get(row, "instance_ids", list, where, expected))
    try:
        whole = [
            np.array(get(row, k, list, where, expected), np.int64)
            for k in ("instance_ids", "ref_sample_ids", "alt_sample_ids")
        ]
        parts = [
            np.array(get(results, k, list, where, expected), np.float64)
            for k in ("precision", "recall", "f1")
        ]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path} holds values that are not numbers ({error}); expected {expected}"
        ) from None
    texts = [
        tuple(str(t) for t in get(row, k, list, where, expected))
        for k in ("ref_texts", "alt_texts")
    ]
    if any(x.shape != (n,) for x in [*whole, *parts]) or any(len(t) != n for t in texts):
        raise InputError(
            f"{path} has lists of different length; expected {expected}, all of the same length"
        )
    names = [get(row, k, str, where, expected) for k in ("ref_model", "alt_model")]
    return BertScores(
        ref_model=names[0],
        alt_model=names[1],
        instances=whole[0],
        ref_samples=whole[1],
        alt_samples=whole[2],
        precision=parts[0],
        recall=parts[1],
        f1=parts[2],
        ref_texts=texts[0],
        alt_texts=texts[1],
        hashcode=str(results.get("hashcode")),
    )


def read_embeddings(path: Path) -> StoredEmbeddings:
    """Read a stored .npz of embeddings (n, d), strings (n) and args; pickled arrays are refused."""
    expected = "embeddings: an .npz with embeddings (n x d) and strings (n)"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            vectors, strings = arrays["embeddings"], arrays["strings"]
            args = str(arrays["args"]) if "args" in arrays else ""
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected {expected}") from None
    except (
        ValueError,
        KeyError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        AttributeError,
        TypeError,
    ) as error:
        raise InputError(
            f"{path} cannot be read ({str(error)[:120]}); expected {expected}, without "
            "pickled objects"
        ) from None
    if vectors.ndim != 2 or strings.shape != (len(vectors),) or not np.isfinite(vectors).all():
        raise InputError(
            f"{path} holds arrays {vectors.shape} and {strings.shape}; expected {expected}, finite"
        )
    return StoredEmbeddings(vectors.astype(np.float32), tuple(map(str, strings)), args)


def query_of(prompt: str) -> str:
    """Return the last query of a prompt in the "# Query:" form, or the whole text where it has
    none."""
    queries = LAST_QUERY.findall(prompt)
    return queries[-1] if queries else prompt


def _instance_ids(path: Path) -> list[str]:
    expected = 'a judge\'s instance: {"metadata": {"instance_id": whole number}, "messages": [...]}'
    ids = []
    for where, row in objects(path, expected):
        ids.append(
            str(
                get(
                    get(row, "metadata", dict, where, expected), "instance_id", int, where, expected
                )
            )
        )
    return ids


def _content(output: Any, where: str) -> str | None:
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict):
        raise InputError(f"{where} has no message; expected {API}")
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise InputError(f"{where} has a content that is no text; expected {API}")
    return content


def _finish(output: Any) -> str | None:
    return word_of(output.get("finish_reason")) if isinstance(output, dict) else None


def _short(error: Any) -> str:
    """Return an error's words without its numbers, so that like errors are counted together."""
    return re.sub(r"\d+", "N", " ".join(str(error).split()))[:120]


def _with_rows(imported: Imported, rows: int, expected: str) -> Imported:
    if not rows:
        raise InputError(f"{imported.source} holds no rows; expected {expected} per line")
    imported.facts["prompts"] = rows  # also those of which no answer stayed
    return imported
