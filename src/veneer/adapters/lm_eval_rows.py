"""Tasks of lm-evaluation-harness on several systems: samples on disk, and rows with n,
interval and portion."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from veneer.adapters.lm_eval import VeneerLM
from veneer.foundation.errors import InputError
from veneer.foundation.files import (
    file_name,
    json_lines,
    read_json_lines,
    sha256_file,
    sha256_text,
    write_text,
)
from veneer.foundation.progress import Progress
from veneer.foundation.results import Measurement
from veneer.prompts.clusters import groups_of, same_text
from veneer.prompts.prompt import Prompt
from veneer.statistics import intervals
from veneer.statistics.intervals import Estimate
from veneer.systems.stamp import Stamp
from veneer.systems.system import System

STUDY = "lm-eval"
YAML = (".yaml", ".yml")
# (log-likelihood, weight) per document
PER_WORD = {"word_perplexity": "exp", "byte_perplexity": "exp", "bits_per_byte": "bits"}


@dataclass
class Evaluated:
    """The results of one system on all tasks.

    values: task -> "metric,filter" -> document -> value, or (log-likelihood, weight), or None where
    the value of a document is no number. figures: task (or group) -> "metric,filter" -> the
    harness' own figure. groups: group -> its tasks. same: task -> document -> hashes of its request
    and of the document; documents that share one are not independent.
    """

    system: str
    values: dict[str, dict[str, dict[int, Any]]]
    figures: dict[str, dict[str, float]]
    groups: dict[str, list[str]]
    versions: dict[str, Any]
    same: dict[str, dict[int, list[str]]]


def evaluate_with_lm_eval(
    systems: Sequence[System],
    tasks: Sequence[str | Path] | Chosen,
    include_path: str | Path | None = None,
    limit: int | None = None,
    out: Path | None = None,
    *,
    num_fewshot: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Measurement]:
    """Rows of study "lm-eval": each task's (and group's) metrics for every system, with n
    documents and a 95 % interval over them, and where base and aligned are among the systems the
    portion of the others.

    tasks: names that the harness knows, or YAML files. include_path: a folder with more tasks.
    limit: most documents per task. out: folder for every system's samples (SYSTEM.jsonl);
    a file of the same settings is read, of others refused. Metrics whose figure is not the mean
    over documents have no interval unless they are perplexities; the row's note says so. Raises
    InputError for a task that the harness does not know.
    """
    chosen = tasks if isinstance(tasks, Chosen) else chosen_lm_eval_tasks(tasks, include_path)
    names = chosen.names
    settings = {
        "tasks": [
            {"name": n, **({"sha256": sha256_file(Path(n))} if Path(n).is_file() else {})}
            for n in names
        ],
        "included": _hashes(include_path),
        "limit": limit,
        "num_fewshot": num_fewshot,
        "lm_eval": version("lm_eval"),
        "seed": seed,
    }
    evaluated = []
    for system in systems:
        path = None if out is None else out / f"{file_name(system.name)}.jsonl"
        # a prompt of its own, so that an edited chat template is noticed
        stamp = replace(
            Stamp.of(system, [Prompt.from_text("", "A question?")], [settings]),
            earlier=sha256_text(json.dumps([settings, system.facts()], sort_keys=True)),
        )
        if path is not None and path.is_file():
            evaluated.append(_read(path, stamp, system.name))
            continue
        lm = VeneerLM(system, batch_size=batch_size, seed=seed, progress=progress)
        results = _run(lm, chosen, limit, num_fewshot, seed)
        one, samples = _gather(system.name, results)
        if path is not None:
            head = {
                **stamp.facts(),
                "system": system.facts(),
                "figures": one.figures,
                "groups": one.groups,
                "versions": one.versions,
            }
            write_text(path, json_lines([head, *samples]))
        evaluated.append(one)
    return list(_rows(evaluated, seed))


@dataclass(frozen=True)
class Chosen:
    """Tasks by name or path, and the harness' index that lists them."""

    names: list[str]
    index: Any


def chosen_lm_eval_tasks(
    tasks: Sequence[str | Path], include_path: str | Path | None = None
) -> Chosen:
    """Look the tasks up, first among YAML files and in the folder, and only if need be among the
    harness' thousands, whose index takes long to make. Raises InputError for one that is
    nowhere."""
    from lm_eval.tasks import TaskManager

    if include_path is not None and not Path(include_path).is_dir():
        raise InputError(
            f"there is no folder {include_path}; expected a folder with task files (*.yaml) of "
            "lm-evaluation-harness"
        )
    if not tasks:
        raise InputError("there is no task to evaluate; give at least one with --tasks")
    for task in tasks:
        if Path(task).suffix in YAML and not Path(task).is_file():
            raise InputError(
                f"there is no file {task}; expected a task file of lm-evaluation-harness, or the "
                "name of one of its tasks"
            )
    folder = None if include_path is None else str(include_path)
    names = [str(Path(t).resolve()) if Path(t).suffix in YAML else str(t) for t in tasks]
    missing: list[str] = []
    for defaults in (False, True):
        index = TaskManager(include_path=folder, include_defaults=defaults)
        missing = [n for n in names if n not in index.all_tasks and not Path(n).is_absolute()]
        if not missing:
            return Chosen(names, index)
        if unnamed := _unnamed(missing):
            missing = unnamed
            break
    raise InputError(
        f"lm-evaluation-harness knows no task {missing[0]!r}; expected one of its names, a YAML "
        "file, or a task of the folder --include-path"
    )


def _unnamed(names: Sequence[str]) -> list[str]:
    """Those names that stand in no file of the harness' tasks: YAML files, some without an ending,
    and Python. They are read as text, in a tenth of the time that the harness' own index takes."""
    import lm_eval.tasks

    left = [name.encode() for name in names]
    for path in Path(lm_eval.tasks.__file__).parent.rglob("*"):
        if not path.is_file() or path.suffix == ".pyc":
            continue
        text = path.read_bytes()
        left = [name for name in left if name not in text]
        if not left:
            break
    return [name.decode() for name in left]


def _hashes(folder: str | Path | None) -> dict[str, str]:
    if folder is None:
        return {}
    return {
        p.relative_to(folder).as_posix(): sha256_file(p)
        for p in sorted(Path(folder).rglob("*"))
        if p.suffix in (".yaml", ".py")
    }


def _run(
    lm: VeneerLM, chosen: Chosen, limit: int | None, num_fewshot: int | None, seed: int
) -> Mapping[str, Any]:
    import lm_eval

    try:
        results = lm_eval.simple_evaluate(
            model=lm,
            tasks=list(chosen.names),
            task_manager=chosen.index,
            limit=limit,
            num_fewshot=num_fewshot,
            log_samples=True,
            bootstrap_iters=0,
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
        )
    # a task file, its data, or a hub out of reach
    except (ValueError, KeyError, FileNotFoundError, ConnectionError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"lm-evaluation-harness could not run {', '.join(chosen.names)} ({reason}); mend the "
            "task or its data"
        ) from error
    if results is None:
        raise InputError("lm-evaluation-harness gave no results; run it in one process")
    return results


def _gather(system: str, results: Mapping[str, Any]) -> tuple[Evaluated, list[dict[str, Any]]]:
    """Return the values by document, and the lines of the samples' file."""
    values: dict[str, dict[str, dict[int, Any]]] = {}
    same: dict[str, dict[int, list[str]]] = {}
    lines = []
    for task, samples in sorted(results["samples"].items()):
        own = values.setdefault(task, {})
        for sample in samples:
            numbers = {f"{m},{sample['filter']}": _number(sample.get(m)) for m in sample["metrics"]}
            for key, value in numbers.items():
                own.setdefault(key, {})[int(sample["doc_id"])] = value
            same.setdefault(task, {})[int(sample["doc_id"])] = _hashes_of(sample)
            answers = [str(r) for r in sample["filtered_resps"]]
            lines.append(
                {
                    "task": task,
                    "doc_id": int(sample["doc_id"]),
                    "filter": sample["filter"],
                    "target": str(sample["target"]),
                    "responses": answers,
                    "values": numbers,
                    "same": _hashes_of(sample),
                }
            )
    figures = {
        name: {
            k: float(v) for k, v in row.items() if "," in k and "_stderr," not in k and _finite(v)
        }
        for section in ("groups", "results")
        for name, row in (results.get(section) or {}).items()
    }
    subtasks = results.get("group_subtasks") or {}
    groups = {
        g: leaves
        for g in (results.get("groups") or {})
        if (leaves := sorted(set(_leaves(g, subtasks, values))))
    }
    versions = dict(results.get("versions") or {})
    return Evaluated(system, values, figures, groups, versions, same), lines


def _hashes_of(sample: Mapping[str, Any]) -> list[str]:
    """Return hashes of the text of a document's requests, and of the document: few-shot examples
    may differ where a document is repeated."""
    texts = sorted(same_text(a) for args in sample["arguments"] for a in args if isinstance(a, str))
    request = [sha256_text("\n".join(texts))[:16]] if any(texts) else []
    return [*request, str(sample.get("doc_hash") or sample["doc_id"])[:16]]


def _leaves(
    name: str, subtasks: Mapping[str, Sequence[str]], values: Mapping[str, Any]
) -> Iterator[str]:
    if name in values:
        yield name
    for below in subtasks.get(name, ()):
        if below != name:
            yield from _leaves(below, subtasks, values)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(float(value))


def _number(value: Any) -> Any:
    """Return a float, a pair of them, or None."""
    if _finite(value):
        return float(value)
    if isinstance(value, tuple | list) and len(value) == 2 and all(map(_finite, value)):
        return [float(value[0]), float(value[1])]
    return None


def _read(path: Path, stamp: Stamp, system: str) -> Evaluated:
    (_, head), *rest = read_json_lines(
        path, "samples of lm-evaluation-harness, which `veneer lm-eval` writes"
    )
    if not stamp.fits(head):
        raise InputError(
            f"{path} exists and was made with other settings, models or tasks; give another "
            "--out, or delete it"
        )
    stamp.check_models(path, head)
    values: dict[str, dict[str, dict[int, Any]]] = {}
    same: dict[str, dict[int, list[str]]] = {}
    for _, row in rest:
        same.setdefault(row["task"], {})[row["doc_id"]] = row.get("same", [])
        for key, value in row["values"].items():
            values.setdefault(row["task"], {}).setdefault(key, {})[row["doc_id"]] = value
    return Evaluated(system, values, head["figures"], head["groups"], head["versions"], same)


def _rows(systems: Sequence[Evaluated], seed: int) -> Iterator[Measurement]:
    by_name = {s.system: s for s in systems}
    names = list(dict.fromkeys(n for s in systems for n in (*s.groups, *s.values)))
    for task in names:
        columns: dict[str, dict[str, np.ndarray]] = {}
        for one in systems:
            for key, figure in one.figures.get(task, {}).items():
                note = f"lm-eval {version('lm_eval')}" + (
                    f", version {v}" if (v := one.versions.get(task)) is not None else ""
                )
                values = _values(one, task, key)
                clusters = _clusters(one, task, key)
                e = _estimate(key, values, figure, seed, clusters)
                if e is None:
                    e = Estimate(
                        figure,
                        None,
                        None,
                        len(values),
                        "none",
                        "not a mean over documents: no interval",
                    )
                elif values.ndim == 1:
                    columns.setdefault(key, {})[one.system] = values
                unit = (
                    "share"
                    if values.ndim == 1 and len(values) and ((values >= 0) & (values <= 1)).all()
                    else None
                )
                full_note = f"{note}; {e.note}" if e.note else note
                yield Measurement.estimated(
                    e, STUDY, task, _metric(key), one.system, unit=unit, note=full_note
                )
        if not {"base", "aligned"} <= set(by_name):
            continue
        for key, column in columns.items():
            if not {"base", "aligned"} <= set(column):
                continue
            for name, values in column.items():
                if name not in ("base", "aligned") and len(values) == len(column["base"]) == len(
                    column["aligned"]
                ):
                    e = intervals.portion(
                        values,
                        column["base"],
                        column["aligned"],
                        seed=seed,
                        clusters=_clusters(by_name[name], task, key),
                    )
                    yield Measurement.estimated(e, STUDY, task, "portion", name, of=_metric(key))


def _metric(key: str) -> str:
    return key.removesuffix(",none")


def _values(one: Evaluated, task: str, key: str) -> np.ndarray:
    """Return (n,) values or (n, 2) pairs of a task's documents, pooled for a group; empty where a
    document has none."""
    scores = [
        v
        for leaf in one.groups.get(task, [task])
        for _, v in sorted(one.values.get(leaf, {}).get(key, {}).items())
    ]
    if any(v is None for v in scores) or len({isinstance(v, list) for v in scores}) > 1:
        return np.zeros(0)
    return np.array(scores, float)


def _clusters(one: Evaluated, task: str, key: str) -> np.ndarray | None:
    """Return (n,) the cluster of each of the documents of `_values`; None where all are
    independent."""
    numbers = groups_of(
        [
            one.same.get(leaf, {}).get(doc, [])
            for leaf in one.groups.get(task, [task])
            for doc in sorted(one.values.get(leaf, {}).get(key, {}))
        ]
    )
    return np.array(numbers) if len(set(numbers)) < len(numbers) else None


def _estimate(
    key: str, values: np.ndarray, figure: float, seed: int, clusters: np.ndarray | None
) -> Estimate | None:
    """Return the harness' figure with an interval over documents, or None where it is neither their
    mean nor a perplexity."""
    e: Estimate | None = None
    if values.ndim == 2:
        how = PER_WORD.get(key.partition(",")[0])
        with contextlib.suppress(ValueError):
            e = (
                intervals.ratio_of_sums(-values[:, 0], values[:, 1], seed=seed, clusters=clusters)
                if how
                else None
            )
        if e is not None and e.value is not None:
            turn = math.exp if how == "exp" else (lambda x: x / math.log(2))
            low, high = (None if x is None else turn(x) for x in (e.low, e.high))
            e = Estimate(turn(e.value), low, high, e.n, e.method, e.note, e.reason)
    elif len(values):
        e = intervals.mean(values, seed=seed, clusters=clusters)
    if (
        e is None
        or e.value is None
        or not math.isclose(e.value, figure, rel_tol=1e-6, abs_tol=1e-9)
    ):
        return None
    return e
