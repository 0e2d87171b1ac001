"""Tasks of kind "choice": the most likely of a prompt's given answers, and whether it
is the right one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, read_json_lines, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.write_failures import write_failure
from veneer.measures.behaviour import Scored
from veneer.models.formats import TextFormat
from veneer.prompts.prompt import Prompt
from veneer.systems.likelihood import Likelihood, encode_pair, score_pairs
from veneer.systems.respond import activity
from veneer.systems.stamp import Stamp
from veneer.systems.system import Answering, System
from veneer.tasks.task import Task


def score_choices(
    system: Answering,
    task: Task,
    prompts: Sequence[Prompt],
    *,
    out: Path | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Scored:
    """accuracy: 1 where the right choice has the highest log-likelihood; accuracy_norm: the same of
    the log-likelihood divided by the choice's bytes (UTF-8). These are lm-evaluation-harness's acc
    and acc_bytes (its acc_norm divides by characters, which is the same for ASCII); the first of
    equal choices counts.

    The choices stand behind the prompt in the system's format: in a text after one space, if the
    text does not end in white space; in a chat format directly behind the generation prompt. out:
    JSON lines, the settings and then one row per prompt, written batch by batch; the same call
    resumes where it was cut, and a file of other settings is refused (InputError).
    """
    if not isinstance(system, System):
        raise InputError(
            f"{task.name} compares likelihoods, which {system!r} does not give; leave it out "
            "for this system"
        )
    choices = [_choices(task, p) for p in prompts]
    texts = [[p.id, p.plain, list(p.messages), c] for p, c in zip(prompts, choices, strict=True)]
    earlier = sha256_text(json.dumps([system.facts(), texts]))
    stamp = replace(Stamp.of(system, prompts, [texts]), earlier=earlier)
    rows = _resume(out, stamp) if out is not None else {}
    todo = [i for i, p in enumerate(prompts) if p.id not in rows]
    size, finished = max(1, batch_size), len(prompts) - len(todo)
    what = activity(system, prompts)
    if progress:
        progress(finished, len(prompts), what)
    order = sorted(todo, key=lambda i: (len(prompts[i].plain), i))
    for batch in _batches(order, [len(c) for c in choices], size):
        fresh = {
            prompts[i].id: row
            for i, row in zip(batch, _read(system, prompts, choices, batch, size), strict=True)
        }
        rows |= fresh
        if out is not None:
            _append(out, fresh.values())
        finished += len(batch)
        if progress:
            progress(finished, len(prompts), what)
    scored = Scored(system.name)
    right = [
        _right(task, p, c, rows[p.id]["loglikelihoods"])
        for p, c in zip(prompts, choices, strict=True)
    ]
    scored.put("accuracy", [a for a, _ in right])
    scored.put("accuracy_norm", [b for _, b in right])
    return scored


def _batches(order: Sequence[int], counts: Sequence[int], size: int) -> Iterator[list[int]]:
    """Prompt numbers in batches of at most `size` choices, or of one prompt that has more. counts:
    choices of each prompt."""
    batch: list[int] = []
    for i in order:
        if batch and sum(counts[j] for j in batch) + counts[i] > size:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _read(
    system: System,
    prompts: Sequence[Prompt],
    choices: Sequence[Sequence[str]],
    batch: Sequence[int],
    size: int,
) -> list[dict[str, Any]]:
    """The rows of one batch of prompts."""
    pairs = [
        encode_pair(system, prompts[i], _following(system, prompts[i], c))
        for i in batch
        for c in choices[i]
    ]
    likelihoods: list[Likelihood] = score_pairs(
        system, pairs, batch_size=max(size, max(len(choices[i]) for i in batch))
    )
    rows, place = [], 0
    for i in batch:
        own = likelihoods[place : place + len(choices[i])]
        place += len(own)
        rows.append(
            {
                "prompt_id": prompts[i].id,
                "system": system.name,
                "choices": list(choices[i]),
                "loglikelihoods": [x.logprob for x in own],
                "greedy": [x.is_greedy for x in own],
                "tokens": [x.tokens for x in own],
            }
        )
    return rows


def _following(system: System, prompt: Prompt, choice: str) -> str:
    """The choice as it follows the prompt."""
    form = system.format
    if not isinstance(form, TextFormat):
        return choice.strip()
    text = form.text(prompt)
    gap = text[-1:].isspace() or choice[:1].isspace() or not text
    return choice if gap else f" {choice}"


def _choices(task: Task, prompt: Prompt) -> list[str]:
    choices, answer = prompt.reference.get("choices"), prompt.reference.get("answer")
    whole = (
        isinstance(choices, list | tuple)
        and len(choices) > 1
        and all(isinstance(c, str) and c.strip() for c in choices)
    )
    if not whole or not isinstance(answer, int) or not 0 <= answer < len(choices or ()):
        raise InputError(
            f"prompt {prompt.id!r} of {task.name} has choices {choices!r} and answer {answer!r}; "
            "expected two texts or more and the index of the right one"
        )
    return list(choices or ())


def _right(
    task: Task, prompt: Prompt, choices: Sequence[str], logprobs: Sequence[float]
) -> tuple[float, float]:
    bytes_ = np.array([len(c.encode("utf-8")) for c in choices], float)
    answer = prompt.reference["answer"]
    return float(np.argmax(logprobs) == answer), float(
        np.argmax(np.array(logprobs) / bytes_) == answer
    )


def _append(out: Path, rows: Any) -> None:
    try:
        with out.open("a", encoding="utf-8") as stream:
            stream.write(json_lines(rows))
    except OSError as error:
        if (failure := write_failure(error, out)) is not None:
            raise failure from error
        raise


def _resume(out: Path, stamp: Stamp) -> dict[str, Mapping[str, Any]]:
    """The rows of an interrupted run; an incomplete last line is removed."""
    begun = json_lines([stamp.facts()])
    if out.is_file():
        text = out.read_bytes().decode("utf-8", errors="replace")
        if text and not text.endswith("\n"):
            write_text(out, text[: text.rfind("\n") + 1])
    if not out.is_file() or not out.stat().st_size:
        write_text(out, begun)
        return {}
    (_, first), *rest = read_json_lines(out, "log-likelihoods of choices, which a study writes")
    if not stamp.fits(first):
        raise InputError(
            f"{out} exists and was made with other settings, models or prompts; give another "
            "--out, or delete it"
        )
    stamp.check_models(out, first)
    return {row["prompt_id"]: row for _, row in rest}
