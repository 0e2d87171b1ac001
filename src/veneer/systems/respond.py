"""Letting a system answer many prompts: batches by length, resumable, in the order of the prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from veneer.capture.plan import check_lengths
from veneer.capture.run import is_out_of_memory
from veneer.errors import InputError, VeneerError
from veneer.files import read_json, sha256_text, write_json
from veneer.models.decode import Decoded, Sampling
from veneer.models.language_model import LanguageModel
from veneer.prompts import Prompt
from veneer.systems.responses import Response, read_responses, write_responses
from veneer.systems.system import Answering

Progress = Callable[[int, int, str], None]


def respond(
    system: Answering,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    stop_strings: Sequence[str] = (),
    batch_size: int = 32,
    samples: int = 1,
    out: Path | None = None,
    progress: Progress | None = None,
) -> list[Response]:
    """Answer every prompt `samples` times; responses come in the order of the prompts.

    out: where to write them (JSON lines), with the settings in `OUT.manifest.json` beside it. Until all are there, finished batches
    stand in `OUT.part`, and the same call goes on behind them. A whole `out` of the same settings is read, of other settings
    refused (InputError).
    """
    for name, value in (("batch_size", batch_size), ("samples", samples)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected 1 or more")
    work = [(p, s) for p in prompts for s in range(samples)]
    if not work:
        raise InputError("there are no prompts to answer; give at least one")
    lengths = [n for n in system.prompt_tokens(prompts) for _ in range(samples)]
    check_lengths(lengths, [p.id for p, _ in work], system.longest(), sampling.max_new_tokens)
    order = sorted(range(len(work)), key=lambda i: (work[i][0].task, lengths[i], i))
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    asked = [[p.task, p.id, p.plain, list(p.messages)] for p in prompts]
    stamp = sha256_text(
        json.dumps([system.facts(), sampling.facts(), list(stop_strings), batch_size, samples, asked], ensure_ascii=False)
    )
    part = manifest = None
    done: dict[int, Response] = {}
    if out is not None:
        part, manifest = out.with_name(out.name + ".part"), out.with_name(out.name + ".manifest.json")
        if out.exists():
            found = read_json(manifest, "the settings of a file of responses").get("settings") if manifest.is_file() else None
            if found != stamp:
                raise InputError(
                    f"{out} exists and was made with other settings, models or prompts; give another --out, or delete it"
                )
            part.unlink(missing_ok=True)  # of a run that was killed between the two
            return read_responses(out)
        done = _resume(part, stamp, batches)
    for number, batch in enumerate(batches):
        if all(i in done for i in batch):
            continue
        decoded = _decode(system, [work[i] for i in batch], sampling, stop_strings)
        fresh = {
            i: Response(
                work[i][0].id, work[i][1], system.name, work[i][0].task, d.text, d.token_ids, d.finish_reason, sampling.seed
            )
            for i, d in zip(batch, decoded, strict=True)
        }  # fmt: skip
        done.update(fresh)
        if part is not None:
            _append(part, number, fresh)
        if progress:
            progress(len(done), len(work), system.name)
    responses = [done[i] for i in range(len(work))]
    if out is not None and part is not None and manifest is not None:
        facts = {"system": system.facts(), "sampling": sampling.facts(), "vocabulary": _vocabulary(system)}
        write_json(manifest, {"kind": "responses", "settings": stamp, **facts})
        write_responses(out, responses)
        part.unlink(missing_ok=True)
    return responses


def _vocabulary(system: Answering) -> str | None:
    """Hash of the token strings that the answers' ids stand for; None for a system without token ids."""
    lm = getattr(system, "lm", getattr(system, "large", None))
    return lm.vocabulary_hash() if isinstance(lm, LanguageModel) else None


def _decode(
    system: Answering, work: Sequence[tuple[Prompt, int]], sampling: Sampling, stop_strings: Sequence[str]
) -> list[Decoded]:
    """One batch; where memory runs out, its halves."""
    try:
        return system.decode([p for p, _ in work], sampling, stop_strings, [f"{p.task}/{p.id}/{s}" for p, s in work])
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if len(work) == 1:
            raise VeneerError(
                "memory ran out for a single prompt; use a smaller model, fewer new tokens, or more memory"
            ) from error
    half = len(work) // 2
    return _decode(system, work[:half], sampling, stop_strings) + _decode(system, work[half:], sampling, stop_strings)


def _append(part: Path, number: int, fresh: dict[int, Response]) -> None:
    """One line a batch: a line that was cut is a batch that was not answered."""
    line = json.dumps({"batch": number, "responses": {i: json.loads(r.line()) for i, r in fresh.items()}}, ensure_ascii=False)
    try:
        with part.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(line + "\n")
    except OSError as error:
        raise VeneerError(
            f"{part} could not be written ({error}); free some space and run the same command again, it goes on where it was"
        ) from error


def _resume(part: Path, stamp: str, batches: list[list[int]]) -> dict[int, Response]:
    """What a run that was cut has answered; a file of other settings is refused."""
    part.parent.mkdir(parents=True, exist_ok=True)
    if not part.is_file():
        part.write_text(json.dumps({"settings": stamp}) + "\n", encoding="utf-8")
        return {}
    done: dict[int, Response] = {}
    whole = 0
    text = part.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n")[:-1]):  # what stands behind the last line feed was cut
        try:
            row = json.loads(line)
        except ValueError:
            break
        if number == 0 and row.get("settings") != stamp:
            raise InputError(f"{part} is of a run with other settings; delete it, or give another --out")
        for i, fields in row.get("responses", {}).items():
            done[int(i)] = Response(**{**fields, "token_ids": tuple(fields["token_ids"])})
        whole += len(line.encode("utf-8", errors="replace")) + 1
    with part.open("r+b") as stream:
        stream.truncate(whole)
    if whole == 0:
        part.write_text(json.dumps({"settings": stamp}) + "\n", encoding="utf-8")
    known = {i for batch in batches if all(i in done for i in batch) for i in batch}
    return {i: r for i, r in done.items() if i in known}
