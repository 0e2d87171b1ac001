"""Make a capture: resume where a former run stopped, one shard after the other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from veneer.capture.artefact import Capture
from veneer.capture.config import CaptureConfig
from veneer.capture.job import Job
from veneer.capture.shelf import Shelf, begin, finish
from veneer.capture.teachers.aligned import AlignedModel
from veneer.capture.teachers.teacher import Teacher
from veneer.foundation.days import day_of
from veneer.foundation.files import (
    folder_lock,
)
from veneer.foundation.progress import Progress, shown
from veneer.models.formats import Format, PlainFormat, dated
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.given import Prompts, as_prompts


def capture(
    pair: Pair,
    prompts: Prompts,
    out: str | Path,
    config: CaptureConfig | None = None,
    progress: Progress | bool | None = None,
) -> Capture:
    """Capture the aligned model's responses to `prompts`, and base's hidden states on them, in the
    folder `out`.

    prompts: texts, chats ({"role", "content"}) or Prompt (prompts/given.py). progress: see
    `foundation.progress.shown`; False shows none in a notebook.

    An interrupted capture resumes; a finished one is opened unchanged. Raises InputError where
    `out` was made with other settings, prompts or models (nothing is changed then), VeneerError
    where the disk is full or a model gives numbers that are not finite.
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
    prompts: Prompts,
    out: str | Path,
    config: CaptureConfig | None = None,
    *,
    base_format: Format | None = None,
    progress: Progress | bool | None = None,
) -> Capture:
    """Capture any teacher's responses (teachers/teacher.py), as `capture` does the aligned
    model's. base_format: what base reads (default: plain)."""
    form = dated(base_format or PlainFormat(), day_of(Path(out) / "manifest.json"), base.tokenizer)
    job = Job.of(base, teacher, as_prompts(prompts), config, form)
    with shown(progress) as report:
        return make_capture(job, Shelf(Path(out)), report)


def make_capture(job: Job, shelf: Shelf, progress: Progress | None = None) -> Capture:
    """Make the missing shards of a capture, one after the other."""
    with folder_lock(shelf.folder):
        begin(job, shelf)
        missing = [n for n in range(len(job.plan)) if not shelf.is_done(n)]
        total = len(job.prompts)
        done = total - sum(len(batch) for n in missing for batch in job.plan[n])
        if progress:
            _say(progress, done, total, 0)
        for number in missing:
            say = partial(_say, progress, done, total) if progress else None
            shelf.put(number, *job.shard(number, say))
            done += sum(map(len, job.plan[number]))
            if progress:
                _say(progress, done, total, 0)
        finish(job, shelf)
    return shelf.open()


def _say(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total, "capture")
