"""The folder of a capture: the files written before its shards, the shards, and those after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.integrity import hashes
from veneer.capture.job import Job, Layout
from veneer.capture.noise import LIMIT, self_kl
from veneer.capture.shards import is_done, write_shard
from veneer.capture.teachers.teacher import Rereading
from veneer.capture.thoughts import record_thoughts
from veneer.endpoint.client import Recording
from veneer.foundation.dry_run import State
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import (
    is_leftover,
    read_json,
    remove_leftovers,
    write_atomically,
    write_json,
    write_text,
)
from veneer.foundation.threads import keep_threads
from veneer.models.computation import COMPUTATION, check_unchanged

ENDPOINT = "endpoint-manifest.json"


class Shelf:
    """Where a capture is kept: a local folder (veneer.scale has one that keeps it elsewhere)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def prepare(self) -> None:
        """Bring the existing files beside the shards into the folder."""

    def share(self) -> None:
        """Keep the folder's files beside the shards."""

    def is_done(self, number: int) -> bool:
        """Whether a shard is complete."""
        return is_done(self.folder, number)

    def put(self, number: int, columns: dict[str, Tensor], responses: list[dict[str, Any]]) -> None:
        """Keep a shard."""
        write_shard(self.folder, number, columns, responses)

    def open(self) -> Capture:
        """The finished capture."""
        return Capture.open(self.folder)


def begin(job: Job, shelf: Shelf) -> None:
    """Write head, tokenizer, prompts and manifest, or check that a folder in use was made with the
    same settings. Raises InputError for one that was not, and for a folder of other files."""
    shelf.prepare()
    out, manifest = shelf.folder, job.manifest
    path = out / "manifest.json"
    if path.is_file():
        existing = read_json(path, "the manifest of a capture")
        _check_same(out, existing, manifest)
        keep_threads(existing.get("threads"))
        remove_leftovers(out)
        shelf.share()
        return
    _check_no_other(out)
    head = job.base.head.first_rows(job.teacher.size)
    tensors: dict[str, Tensor] = {"weight": head.weight.contiguous()}
    if head.bias is not None:
        tensors["bias"] = head.bias.contiguous()
    write_atomically(
        out / "head.safetensors", lambda p: save_file({k: v.cpu() for k, v in tensors.items()}, p)
    )
    job.base.tokenizer.save_pretrained(out / "tokenizer")
    write_text(out / "prompts.jsonl", job.listing)
    write_json(path, {**manifest, "threads": torch.get_num_threads(), "files": hashes(out)})
    shelf.share()


def look(shelf: Shelf, laid: Layout, config: CaptureConfig) -> tuple[State, int]:
    """What is there of a capture, and how many shards, found out without writing. Raises InputError
    for a folder of other files, and of a capture of other prompts or settings; whether it is of
    the same models shows when they are loaded."""
    out, path = shelf.folder, shelf.folder / "manifest.json"
    if not path.is_file():
        _check_no_other(out)
        return "new", 0
    own = {"config": config.facts(), "prompts_sha256": laid.stamp}
    _check_same(out, read_json(path, "the manifest of a capture"), own)
    done = sum(shelf.is_done(number) for number in range(len(laid.plan)))
    whole = done == len(laid.plan) and (out / "run.json").is_file()
    return "finished" if whole else "interrupted", done


def _check_no_other(out: Path) -> None:
    """Raise InputError for a folder of other files than those that a capture writes first."""
    begun = {
        "head.safetensors",
        "prompts.jsonl",
        "tokenizer",
        "run.json",
        "replies.log",  # of an endpoint
        ".lock",
    }  # of a run that was killed before its manifest
    if out.is_dir() and any(
        p
        for p in out.iterdir()
        if p.name not in begun
        and not p.name.startswith(".lock-")
        and not is_leftover(p, {*begun, "manifest.json"})
    ):
        raise InputError(f"{out} is not empty and holds no capture; give a new or an empty folder")


def _check_same(out: Path, existing: Any, manifest: dict[str, Any]) -> None:
    """Raise InputError where a folder's manifest is of other settings, prompts or models."""
    existing = existing if isinstance(existing, dict) else {}
    # Captures of version 0.1.0 hold their templates in the prompts' hash alone, and do not name the
    # settings that were left out.
    later = ("versions", "settings_not_applied", COMPUTATION)
    compared = [k for k in manifest if k not in later and (k != "templates" or k in existing)]
    differing = [k for k in compared if _unnamed(k, existing.get(k)) != _unnamed(k, manifest[k])]
    if differing:
        raise InputError(
            f"{out} was made with another {', '.join(differing)}; give another --out, or delete "
            "the folder"
        )
    check_unchanged(out, existing.get(COMPUTATION), manifest.get(COMPUTATION, {}))


def _unnamed(key: str, facts: Any) -> Any:
    """A part of a manifest as it is read back; a model's without its name, which is that of
    the place where it lies."""
    facts = json.loads(json.dumps(facts))
    if key in ("base", "aligned") and isinstance(facts, dict):
        facts.pop("name", None)
    return facts


def finish(job: Job, shelf: Shelf) -> None:
    """Write what follows the last shard: the noise floor, where the teacher can read; how an
    endpoint's replies differ from what was requested; and the counts of the teacher's
    reasoning."""
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


def write_noise(job: Job, shelf: Shelf) -> None:
    """Check a sample of prompts, spread evenly over the capture, by teacher forcing, and store
    the noise floor.

    Raises VeneerError where generation and reading differ by more than their dtype explains.
    """
    teacher, capture = job.teacher, shelf.open()
    assert isinstance(teacher, Rereading)
    numbers = capture.prompt_numbers
    step = max(1, len(numbers) // job.config.noise_prompts)
    sample = numbers[::step][: job.config.noise_prompts]
    columns = ("prompt", "token", "aligned_ids", "aligned_logprobs", "aligned_tail")
    rows: dict[int, dict[str, Tensor]] = {}
    for block in capture.blocks(columns, sample):
        for n in block["prompt"].unique().tolist():
            rows[n] = {c: block[c][block["prompt"] == n] for c in columns}
    noise = self_kl(teacher, [job.prompts[n] for n in sample], [rows[n] for n in sample])
    floor = sum(r["kl"] for r in noise) / sum(r["tokens"] for r in noise)
    limit = LIMIT[teacher.dtype]
    if not abs(floor) <= limit:
        raise VeneerError(
            f"{job.teacher.name} gives other log-probabilities while it generates than while it "
            f"reads: {floor:.3g} nats per token; expected at most {limit:g}; try --dtype float32 "
            "or another version of transformers"
        )
    write_json(shelf.folder / "noise.json", noise)
