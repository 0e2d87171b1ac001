"""Choose the reader of a file, by the format's name or by the beginning of the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import check_regular, ending, opened
from veneer.foundation.reading.decode import warn_of_damage
from veneer.imports.batches import read_batch
from veneer.imports.benchmarks import (
    read_alpaca_eval,
    read_harmbench,
    read_jailbreakbench,
    read_model_answers,
    read_wildbench,
)
from veneer.imports.garak import ENTRIES, read_garak
from veneer.imports.helm import read_helm
from veneer.imports.imported import Imported, Rules
from veneer.imports.inspect_logs import holds_log, read_inspect
from veneer.imports.lm_eval_samples import read_lm_eval
from veneer.imports.overton import read_api, read_open
from veneer.imports.plain import ANSWERS, CHATS, LISTS, read_plain
from veneer.imports.promptfoo import read_promptfoo
from veneer.imports.rows import objects
from veneer.imports.together import refuse_prompts_within
from veneer.prompts.files import read_prompts

Reader = Callable[[Path, Rules | None], Imported]
READERS: dict[str, Reader] = {
    "overton-open": read_open,
    "overton-api": read_api,
    "jsonl": read_plain,
    "inspect": read_inspect,
    "lm-eval": read_lm_eval,
    "batch": read_batch,
    "alpaca-eval": read_alpaca_eval,
    "model-answers": read_model_answers,
    "harmbench": read_harmbench,
    "jailbreakbench": read_jailbreakbench,
    "wildbench": read_wildbench,
    "garak": read_garak,
    "promptfoo": read_promptfoo,
    "helm": read_helm,
}
FORMATS = ("auto", *READERS)
PEEK = 2**22  # bytes
PROMPTS = ".prompts.jsonl"  # ends the name of the file with the prompts of `veneer import`
# Files beside the one with the answers: the keys that tell them -> what such a file is, and what to
# give in its place.
BESIDE: dict[frozenset[str], tuple[str, str]] = {
    frozenset({"attempt_id", "detector", "generator"}): (
        "a hit log of garak, which holds only the answers that a detector marked",
        "give the run's report.jsonl, which holds all answers",
    ),
    frozenset({"instance_id", "train_trial_index", "predicted_text"}): (
        "HELM's display_predictions.json, which holds no prompts",
        "give scenario_state.json of the same run",
    ),
    frozenset({"instance_id", "train_trial_index", "request"}): (
        "HELM's display_requests.json, which holds no answers",
        "give scenario_state.json of the same run",
    ),
    frozenset({"results", "configs", "versions"}): (
        "lm-eval's table of scores, which holds no answers",
        "give samples_TASK_DATE.jsonl, which lm-eval writes with --log_samples",
    ),
    frozenset({"custom_id", "method", "url", "body"}): (
        "the requests of a batch, which hold no answers",
        "give the results of the batch, and this file as --prompts",
    ),
    frozenset({"custom_id", "params"}): (
        "the requests of a batch, which hold no answers",
        "give the results of the batch, and this file as --prompts",
    ),
    frozenset({"question_id", "judge", "judgment"}): (
        "a file of MT-bench's judgements, which holds no answers",
        "give the model's file in model_answer/",
    ),
    frozenset({"uid", "judge", "games"}): (
        "a file of Arena-Hard's judgements, which holds no answers",
        "give the model's file in model_answer/",
    ),
    frozenset({"output_1", "output_2"}): (
        "a comparison of two systems, as AlpacaEval's annotations are",
        "give the outputs of one system, which alpaca_eval reads as model_outputs",
    ),
}


def read_stored(
    path: Path, format: str = "auto", rules: Rules | None = None, system: str | None = None
) -> Imported:
    """Read stored answers in any of `FORMATS`. system: the name of the answers' system; by default
    the file's own, or its folder's. Where the file holds several systems, `system` chooses the
    one of that name.

    Raises InputError naming file and line where the content does not have the format, and for
    several systems where none has the name `system`.
    """
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    imported = READERS[guess(path) if format == "auto" else format](path, rules)
    beside = path.with_name(path.name + PROMPTS)
    if not imported.prompts and beside.is_file():  # `veneer import` wrote both
        imported.prompts = read_prompts(str(beside))
    if system is not None:
        imported.name(system)
    refuse_prompts_within(imported)
    warn_of_damage([r.text for r in imported.responses], str(path))
    return imported


def guess(path: Path) -> str:
    """Return the format of a file, by its first object. Raises InputError where it fits none."""
    check_regular(path, "a file of stored answers")
    if ending(path) == ".eval" or holds_log(path):
        return "inspect"
    with opened(path, "a file of stored answers") as stream:
        start = stream.read(PEEK)
    if (
        ending(path) == ".json"
        and start.lstrip()[:1] == b"{"
        and b'"samples"' in start
        and b'"eval"' in start
    ):
        return "inspect"
    if not start.strip():
        raise InputError(f"{path} is empty; expected a file of stored answers")
    _, row = next(objects(path, "a file of stored answers"), ("", {}))
    keys = set(row)
    _refuse_beside(path, row)
    if row.get("entry_type") in ENTRIES:
        return "garak"
    if "request_states" in keys:
        return "helm"
    if {"promptIdx", "testIdx"} <= keys or _holds_results(row):
        return "promptfoo"
    if {"samples", "eval"} & keys and not keys & {"text", "response", "responses"}:
        return "inspect"
    if {"ok", "outputs"} <= keys:
        return "overton-api"
    if {"prompt", "outputs"} <= keys and not _holds_texts(row["outputs"]):
        return "overton-open"
    if "resps" in keys:
        return "lm-eval"
    if "custom_id" in keys and keys & {"response", "result"}:
        return "batch"
    if {"question_id", "choices"} <= keys:
        return "model-answers"
    if {"parameters", "jailbreaks"} <= keys:
        return "jailbreakbench"
    if {"session_id", "chat_history", "output"} <= keys:
        return "wildbench"
    if {"instruction", "output"} <= keys:
        return "alpaca-eval"
    if keys & {*LISTS, *ANSWERS, *CHATS}:
        return "jsonl"
    first = next(iter(row.values()), None)
    if (
        isinstance(first, list)
        and first
        and isinstance(first[0], dict)
        and "generation" in first[0]
    ):
        return "harmbench"
    if {"chosen", "rejected"} <= keys:
        raise InputError(
            f"{path} is a set of preferences, with two answers to each prompt; write the answers "
            'that you mean as {"prompt": text, "text": answer}'
        )
    shown = f"an object with the keys {', '.join(map(str, row))[:200]}" if row else "no object"
    raise InputError(
        f"{path} begins with {shown}, which fits no format of answers; "
        f"expected one of {', '.join(READERS)}: name it with --format, or write one row per "
        'answer: {"prompt": text, "text": answer}'
    )


def _refuse_beside(path: Path, row: dict[str, Any]) -> None:
    """Raise InputError for a file of a known tool that is not the one with a system's answers."""
    keys = row.keys()
    other = next((text for needed, text in BESIDE.items() if needed <= keys), None)
    if any(re.match(r"\[.+\] |__expected", str(k)) for k in keys):
        other = (
            "a table of promptfoo, which does not hold the prompts that were sent",
            "give the results as JSON: promptfoo eval --output results.json",
        )
    if other is not None:
        raise InputError(f"{path} is {other[0]}; {other[1]}")


def _holds_texts(outputs: Any) -> bool:
    """Return whether outputs are vLLM's: texts, or objects with a text."""
    first = outputs[0] if isinstance(outputs, list) and outputs else None
    return isinstance(first, str) or (isinstance(first, dict) and "text" in first)


def _holds_results(row: dict[str, Any]) -> bool:
    """Return whether an object is the whole of promptfoo's results."""
    whole = row.get("results")
    rows = whole.get("results") if isinstance(whole, dict) else whole
    return isinstance(rows, list) and bool({"evalId", "stats"} & row.keys())
