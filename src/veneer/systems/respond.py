"""Letting a system answer many prompts: batches by length, resumable, in the
order of the prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from veneer.capture.plan import check_lengths
from veneer.endpoint.client import Recording
from veneer.foundation.days import day_of
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file, sha256_text, write_json, write_text
from veneer.foundation.memory import halving
from veneer.foundation.progress import Progress
from veneer.models.decode import Decoded, Sampling
from veneer.models.language_model import LanguageModel
from veneer.models.shipped import left_out
from veneer.prompts.prompt import Prompt
from veneer.systems.dated import dated_system, day_in
from veneer.systems.partial_file import Part, discard
from veneer.systems.responses import Response, read_responses
from veneer.systems.system import Answering

NO_MEMORY = (
    "memory ran out for a single prompt; use a smaller model, fewer new tokens, or more memory"
)


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

    out: where to write them (JSON lines), with the settings in `OUT.manifest.json` beside it. Until
    all are there, finished batches stand in `OUT.part`, and the same call goes on behind them. A
    whole `out` of the same settings is read, of other settings refused (InputError).
    """
    for name, value in (("batch_size", batch_size), ("samples", samples)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected 1 or more")
    work = [(p, s) for p in prompts for s in range(samples)]
    if not work:
        raise InputError("there are no prompts to answer; give at least one")
    if out is not None:
        system = dated_system(system, day_of(_manifest(out), _part(out)))
    lengths = [n for n in system.prompt_tokens(prompts) for _ in range(samples)]
    check_lengths(lengths, [p.id for p, _ in work], system.longest(), sampling.max_new_tokens)
    order = sorted(range(len(work)), key=lambda i: (work[i][0].task, lengths[i], i))
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    asked = [[p.task, p.id, p.plain, list(p.messages)] for p in prompts]
    stamp = sha256_text(
        json.dumps(
            [system.facts(), sampling.facts(), list(stop_strings), batch_size, samples, asked],
            ensure_ascii=False,
        )
    )
    if out is None:
        return _answer(system, work, batches, sampling, stop_strings, {}, None, progress)
    if out.exists():
        return _there(out, stamp)
    part = Part(_part(out), stamp, batches, day=day_in(system))
    try:
        if out.exists():  # another process has just ended
            found = _there(out, stamp)
        else:
            found = _answer(
                system, work, batches, sampling, stop_strings, part.done, part, progress
            )
            text = "".join(r.line() for r in found)
            facts = {
                "system": system.facts(),
                "sampling": sampling.facts(),
                "vocabulary": _vocabulary(system),
            }
            lm = _model(system)
            if lm is not None and (ignored := left_out(lm, sampling)):
                facts["settings_not_applied"] = ignored
            digest = sha256_text(text.encode("utf-8", errors="replace").decode("utf-8"))
            record = system.record() if isinstance(system, Recording) else {}
            facts |= {"endpoint": record} if record else {}
            write_json(
                _manifest(out), {"kind": "responses", "settings": stamp, "sha256": digest, **facts}
            )
            write_text(out, text)
    except BaseException:
        # without an answer it would only stand in the way of other settings
        part.close(remove=not part.done)
        raise
    part.close(remove=True)
    return found


def _part(out: Path) -> Path:
    return out.with_name(out.name + ".part")


def _manifest(out: Path) -> Path:
    return out.with_name(out.name + ".manifest.json")


def _there(out: Path, stamp: str) -> list[Response]:
    """The answers of a whole file of the same settings. Raises InputError where it is of
    others, or damaged."""
    manifest = _manifest(out)
    found = (
        read_json(manifest, "the settings of a file of responses") if manifest.is_file() else None
    )
    if not isinstance(found, dict) or found.get("settings") != stamp:
        raise InputError(
            f"{out} exists and was made with other settings, models or prompts; give another "
            "--out, or delete it"
        )
    if "sha256" in found and found["sha256"] != sha256_file(out):
        raise InputError(
            f"{out} is damaged, or was changed since it was written; delete it and run the same "
            "command again"
        )
    rows = read_responses(out)
    discard(_part(out), stamp)  # of a run that was killed between the two
    return rows


def _answer(
    system: Answering,
    work: Sequence[tuple[Prompt, int]],
    batches: Sequence[Sequence[int]],
    sampling: Sampling,
    stop_strings: Sequence[str],
    done: dict[int, Response],
    part: Part | None,
    progress: Progress | None,
) -> list[Response]:
    """The batches that are not in `done`, each kept in `part` as soon as it is there."""
    for number, batch in enumerate(batches):
        if all(i in done for i in batch):
            continue
        decoded = _decode(system, [work[i] for i in batch], sampling, stop_strings)
        fresh = {
            i: Response(
                work[i][0].id,
                work[i][1],
                system.name,
                work[i][0].task,
                d.text,
                d.token_ids,
                d.finish_reason,
                sampling.seed,
                d.reasoning,
            )
            for i, d in zip(batch, decoded, strict=True)
        }
        if part is not None:
            part.append(number, fresh)
        done.update(fresh)
        if progress:
            progress(len(done), len(work), system.name)
    return [done[i] for i in range(len(work))]


def _vocabulary(system: Answering) -> str | None:
    """Hash of the token strings that the answers' ids stand for; None for a system
    without token ids."""
    lm = _model(system)
    return lm.vocabulary_hash() if lm is not None else None


def _model(system: Answering) -> LanguageModel | None:
    """The model whose token ids answers have, where it is at hand."""
    lm = getattr(system, "lm", getattr(system, "large", None))
    return lm if isinstance(lm, LanguageModel) else None


def _decode(
    system: Answering,
    work: Sequence[tuple[Prompt, int]],
    sampling: Sampling,
    stop_strings: Sequence[str],
) -> list[Decoded]:
    """The answers of one batch, in smaller parts where memory runs out."""

    def run(part: Sequence[tuple[Prompt, int]]) -> list[Decoded]:
        keys = [f"{p.task}/{p.id}/{s}" for p, s in part]
        return system.decode([p for p, _ in part], sampling, stop_strings, keys)

    return [d for part in halving(run, work, message=NO_MEMORY) for d in part]
