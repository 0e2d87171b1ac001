"""Making a capture: plan, go on where a former run stopped, let the teacher answer and
base read, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.batch import capture_batch
from veneer.capture.config import CaptureConfig
from veneer.capture.integrity import hashes
from veneer.capture.noise import LIMIT, self_kl
from veneer.capture.plan import batch_plan, check_lengths
from veneer.capture.shards import SCHEMA, concatenate, is_done, write_shard
from veneer.capture.teachers.aligned import AlignedModel
from veneer.capture.teachers.teacher import Rereading, Teacher
from veneer.capture.templates import template_record
from veneer.capture.thoughts import parts_of, record_thoughts
from veneer.endpoint.client import Recording
from veneer.foundation.days import day_of
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import (
    folder_lock,
    is_leftover,
    json_lines,
    read_json,
    remove_leftovers,
    sha256_text,
    write_atomically,
    write_json,
    write_text,
)
from veneer.foundation.memory import halving
from veneer.foundation.progress import Progress
from veneer.models.decode import Decoded
from veneer.models.formats import Format, PlainFormat, dated
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.shipped import left_out
from veneer.models.vocabulary import check_readable
from veneer.prompts.prompt import Prompt, one_turn

ENDPOINT = "endpoint-manifest.json"
NO_MEMORY = (
    "memory ran out for a single prompt; use a smaller model, a shorter --max-new-tokens, or more "
    "memory"
)


def capture(
    pair: Pair,
    prompts: Sequence[Prompt],
    out: str | Path,
    config: CaptureConfig | None = None,
    progress: Progress | None = None,
) -> Capture:
    """Capture the aligned model's responses to `prompts` and base's reading of them in
    the folder `out`.

    A run that was cut is gone on with; a finished folder is opened as it is. Raises InputError
    where `out` was made with other settings, prompts or models (nothing is changed then),
    VeneerError where the disk is full or a model gives numbers that are not finite.
    """
    pair = pair.dated(day_of(Path(out) / "manifest.json"))
    return capture_from(
        pair.base,
        AlignedModel(pair),
        prompts,
        out,
        config,
        base_format=pair.base_format,
        progress=progress,
    )


def capture_from(
    base: LanguageModel,
    teacher: Teacher,
    prompts: Sequence[Prompt],
    out: str | Path,
    config: CaptureConfig | None = None,
    *,
    base_format: Format | None = None,
    progress: Progress | None = None,
) -> Capture:
    """The same with any teacher (teachers/teacher.py) in the place of the aligned model.
    base_format: what base reads (default: plain)."""
    form = dated(base_format or PlainFormat(), day_of(Path(out) / "manifest.json"), base.tokenizer)
    return make_capture(Job.of(base, teacher, prompts, config, form), Shelf(Path(out)), progress)


@dataclass(frozen=True)
class Job:
    """What a capture will make, fixed before the work begins: any shard of the plan can be made
    alone, here or by a worker elsewhere."""

    base: LanguageModel
    teacher: Teacher
    prompts: Sequence[Prompt]
    config: CaptureConfig
    base_ids: list[list[int]]
    plan: list[list[list[int]]]
    listing: str  # of prompts.jsonl
    manifest: dict[str, Any]

    @classmethod
    def of(
        cls,
        base: LanguageModel,
        teacher: Teacher,
        prompts: Sequence[Prompt],
        config: CaptureConfig | None = None,
        base_format: Format | None = None,
    ) -> Job:
        """Raises InputError for no prompts, prompts of one id, and prompts that a
        model cannot read."""
        config, form = (
            config or CaptureConfig(),
            _own_if_same(base_format or PlainFormat(), prompts),
        )
        if not prompts:
            raise InputError("there are no prompts to capture; give at least one")
        if len(prompts) != len({(p.task, p.id) for p in prompts}):
            raise InputError("two prompts have the same id; give each prompt an id of its own")
        base_ids, inputs = encode_base(base, form, prompts), teacher.inputs(prompts)
        lengths = teacher.lengths(inputs)
        for found, longest in (
            ([len(x) for x in base_ids], base.longest),
            (lengths, teacher.longest()),
        ):
            check_lengths(found, [p.id for p in prompts], longest, config.sampling.max_new_tokens)
        plan = batch_plan(
            lengths, [p.task for p in prompts], config.batch_size, config.shard_batches
        )
        rows = [
            {
                "id": p.id,
                "task": p.task,
                "base_length": len(b),
                "aligned_length": n,
                **_asked(form, p),
            }
            for p, b, n in zip(prompts, base_ids, lengths, strict=True)
        ]
        listing = json_lines(rows)
        stamp = sha256_text(listing + json.dumps([base_ids, inputs]))
        manifest = make_manifest(base, teacher, form, config, plan, stamp)
        manifest["templates"] = template_record(form, prompts)
        return cls(base, teacher, prompts, config, base_ids, plan, listing, manifest)

    def shard(
        self, number: int, done: Callable[[int], None] | None = None
    ) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """The columns (see shards.py) and responses of one shard. done: told the prompts answered
        so far, after each batch."""
        parts, responses = [], []
        for batch in self.plan[number]:
            columns, decoded = _run_batch(self, batch)
            parts.append(columns)
            responses += [_row(self, n, d) for n, d in zip(batch, decoded, strict=True)]
            if done:
                done(len(responses))
        return concatenate(parts), responses


class Shelf:
    """Where a capture is kept: a folder here (veneer.scale has one that is somewhere else)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def prepare(self) -> None:
        """Have in the folder what a former run left beside the shards."""

    def share(self) -> None:
        """Keep what lies in the folder beside the shards."""

    def is_done(self, number: int) -> bool:
        return is_done(self.folder, number)

    def put(self, number: int, columns: dict[str, Tensor], responses: list[dict[str, Any]]) -> None:
        write_shard(self.folder, number, columns, responses)

    def open(self) -> Capture:
        return Capture.open(self.folder)


def make_capture(job: Job, shelf: Shelf, progress: Progress | None = None) -> Capture:
    """Make what is missing of a capture, one shard after the other."""
    with folder_lock(shelf.folder):
        begin(job, shelf)
        done = 0
        for number, batches in enumerate(job.plan):
            if not shelf.is_done(number):
                say = partial(_say, progress, done, len(job.prompts)) if progress else None
                shelf.put(number, *job.shard(number, say))
            done += sum(map(len, batches))
            if progress:
                _say(progress, done, len(job.prompts), 0)
        finish(job, shelf)
    return shelf.open()


def _say(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total, "capture")


def _own_if_same(form: Format, prompts: Sequence[Prompt]) -> Format:
    """A template that all prompts bring already is their own: captures of the same texts are the
    same, whoever named the template."""
    if (
        isinstance(form, PlainFormat)
        and not form.own
        and all(form.text(p) == p.plain for p in prompts)
    ):
        return PlainFormat()
    return form


def _asked(form: Format, prompt: Prompt) -> dict[str, Any]:
    """What prompts.jsonl says of a prompt: what base reads, less a template that replaces the
    prompt's own; and the turns of a conversation that stands in such a template."""
    if not isinstance(form, PlainFormat) or form.own or prompt.own_template is None:
        return {"plain": prompt.plain}
    return {
        "plain": prompt.text,
        **({} if one_turn(prompt.messages) else {"messages": list(prompt.messages)}),
    }


def encode_base(
    base: LanguageModel, base_format: Format, prompts: Sequence[Prompt]
) -> list[list[int]]:
    """Every prompt's token ids as base reads it. Raises InputError where one has none."""
    found = [base_format.encode(base.tokenizer, p) for p in prompts]
    for prompt, ids in zip(prompts, found, strict=True):
        if not ids:
            raise InputError(
                f"prompt {prompt.id!r} has no tokens in the base model's format; expected text"
            )
        check_readable(base, ids, prompt.id)
    return found


def make_manifest(
    base: LanguageModel,
    teacher: Teacher,
    base_format: Format,
    config: CaptureConfig,
    plan: list[list[list[int]]],
    prompts_hash: str,
) -> dict[str, Any]:
    import transformers

    head, said = base.head, teacher.facts()
    ignored = {lm.name: found for lm in teacher.models if (found := left_out(lm, config.sampling))}
    return {
        "kind": "capture",
        "schema": SCHEMA,
        "base": base.facts(),
        "aligned": said.pop("aligned"),
        "base_format": base_format.facts(),
        **said,
        "head": {
            "scale": head.scale,
            "softcap": head.softcap,
            "rows": teacher.size,
            "width": head.width,
        },
        "config": config.facts(),
        "prompts_sha256": prompts_hash,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "plan": plan,
        **({"settings_not_applied": ignored} if ignored else {}),
    }


def begin(job: Job, shelf: Shelf) -> None:
    """Write what stands before the first shard, or check that a folder in use was made with
    the same settings."""
    shelf.prepare()
    out, manifest = shelf.folder, job.manifest
    path = out / "manifest.json"
    if path.is_file():
        found = read_json(path, "the manifest of a capture")
        found = found if isinstance(found, dict) else {}
        # the templates of captures of version 0.1.0 are in the prompts' hash alone, and they do not
        # name the settings left out
        later = ("versions", "settings_not_applied")
        same = [k for k in manifest if k not in later and (k != "templates" or k in found)]
        differing = [k for k in same if found.get(k) != json.loads(json.dumps(manifest[k]))]
        if differing:
            raise InputError(
                f"{out} was made with another {', '.join(differing)}; give another --out, or "
                "delete the folder"
            )
        remove_leftovers(out)
        shelf.share()
        return
    begun = {
        "head.safetensors",
        "prompts.jsonl",
        "tokenizer",
        "run.json",
        "replies.log",  # of an endpoint
        ".lock",
    }  # of a run that was killed before its manifest
    if any(
        p for p in out.iterdir() if p.name not in begun and not is_leftover(p, {*begun, path.name})
    ):
        raise InputError(f"{out} is not empty and holds no capture; give a new or an empty folder")
    head = job.base.head.first_rows(job.teacher.size)
    tensors: dict[str, Tensor] = {"weight": head.weight.contiguous()}
    if head.bias is not None:
        tensors["bias"] = head.bias.contiguous()
    write_atomically(
        out / "head.safetensors", lambda p: save_file({k: v.cpu() for k, v in tensors.items()}, p)
    )
    job.base.tokenizer.save_pretrained(out / "tokenizer")
    write_text(out / "prompts.jsonl", job.listing)
    write_json(path, {**manifest, "files": hashes(out)})
    shelf.share()


def finish(job: Job, shelf: Shelf) -> None:
    """What stands behind the last shard: the noise floor, where the teacher can read; what was not
    as asked in an endpoint's replies; and what is to be said of the teacher's reasoning."""
    path = shelf.folder / ENDPOINT
    if (
        isinstance(job.teacher, Recording)
        and not path.is_file()
        and (record := job.teacher.record())
    ):
        write_json(path, record)
        shelf.share()
    if isinstance(job.teacher, Rereading) and not (shelf.folder / "noise.json").is_file():
        write_noise(job, shelf)
        shelf.share()
    if record_thoughts(shelf.folder, shelf.open().responses(), job.base, job.teacher):
        shelf.share()


def _run_batch(job: Job, batch: Sequence[int]) -> tuple[dict[str, Tensor], list[Decoded]]:
    """One batch of the plan, in smaller parts where memory runs out."""

    def run(numbers: Sequence[int]) -> tuple[dict[str, Tensor], list[Decoded]]:
        prompts = [job.prompts[n] for n in numbers]
        return capture_batch(
            job.base,
            numbers,
            [job.base_ids[n] for n in numbers],
            prompts,
            [f"{p.task}/{p.id}/0" for p in prompts],
            job.config,
            job.teacher,
        )

    parts = halving(run, batch, message=NO_MEMORY)
    columns = parts[0][0] if len(parts) == 1 else concatenate([c for c, _ in parts])
    return columns, [d for _, decoded in parts for d in decoded]


def _row(job: Job, number: int, decoded: Decoded) -> dict[str, Any]:
    prompt = job.prompts[number]
    return {
        "number": number,
        "prompt_id": prompt.id,
        "task": prompt.task,
        **parts_of(job.base, job.teacher, decoded, job.manifest.get("stop", ())),
        "token_ids": list(decoded.token_ids),
        "finish_reason": decoded.finish_reason,
        "seed": job.config.sampling.seed,
    }


def write_noise(job: Job, shelf: Shelf) -> None:
    """Check a sample of prompts, spread evenly over the capture, by teacher forcing, and store
    the noise floor.

    Raises VeneerError where generation and reading differ by more than their dtype explains.
    """
    teacher, taken = job.teacher, shelf.open()
    assert isinstance(teacher, Rereading)
    numbers = taken.prompt_numbers
    step = max(1, len(numbers) // job.config.noise_prompts)
    sample = numbers[::step][: job.config.noise_prompts]
    columns = ("prompt", "token", "aligned_ids", "aligned_logprobs", "aligned_tail")
    rows: dict[int, dict[str, Tensor]] = {}
    for block in taken.blocks(columns, sample):
        for n in block["prompt"].unique().tolist():
            rows[n] = {c: block[c][block["prompt"] == n] for c in columns}
    found = self_kl(teacher, [job.prompts[n] for n in sample], [rows[n] for n in sample])
    floor = sum(r["kl"] for r in found) / sum(r["tokens"] for r in found)
    limit = LIMIT[teacher.dtype]
    if not abs(floor) <= limit:
        raise VeneerError(
            f"{job.teacher.name} gives other log-probabilities while it generates than while it "
            f"reads: {floor:.3g} nats a token, expected at most {limit:g}; try --dtype float32 or "
            "another version of transformers"
        )
    write_json(shelf.folder / "noise.json", found)
