"""The plan of a capture: its batches and manifest, and how to make one of its shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from veneer.capture.batch import capture_batch
from veneer.capture.config import CaptureConfig
from veneer.capture.plan import batch_plan, check_lengths
from veneer.capture.shards import SCHEMA, concatenate
from veneer.capture.teachers.teacher import Teacher
from veneer.capture.templates import template_record
from veneer.capture.thoughts import parts_of
from veneer.foundation.errors import InputError
from veneer.foundation.files import (
    json_lines,
    sha256_text,
)
from veneer.foundation.memory import halving
from veneer.models.computation import COMPUTATION, computations
from veneer.models.control_tokens import warn_of_markup
from veneer.models.decode import Decoded
from veneer.models.formats import Format, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.shipped import left_out
from veneer.models.vocabulary import check_readable
from veneer.prompts.prompt import Prompt, one_turn

NO_MEMORY = (
    "memory ran out for a single prompt; use a smaller model, a shorter --max-new-tokens, or more "
    "memory"
)


TEACHERS = ("teacher", "small teacher")  # the models of a teacher: a shifted one has two


@dataclass(frozen=True)
class Job:
    """The plan of a capture, fixed before the first shard: any shard can be made alone, here or by
    a worker elsewhere.

    base_ids: each prompt's token ids as base reads it. plan: shards of batches of prompt numbers.
    listing: the text of prompts.jsonl. manifest: what manifest.json holds, without the hashes.
    """

    base: LanguageModel
    teacher: Teacher
    prompts: Sequence[Prompt]
    config: CaptureConfig
    base_ids: list[list[int]]
    plan: list[list[list[int]]]
    listing: str
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
        """Plan a capture. Raises InputError as `Layout.of` does."""
        config = config or CaptureConfig()
        laid = Layout.of(base, teacher, prompts, config, base_format)
        manifest = make_manifest(base, teacher, laid.form, config, laid.plan, laid.stamp)
        manifest["templates"] = template_record(laid.form, prompts)
        return cls(base, teacher, prompts, config, laid.base_ids, laid.plan, laid.listing, manifest)

    def shard(
        self, number: int, done: Callable[[int], None] | None = None
    ) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """The columns (see shards.py) and responses of one shard. done: called after each batch
        with the number of prompts answered so far."""
        parts, responses = [], []
        for batch in self.plan[number]:
            columns, decoded = _run_batch(self, batch)
            parts.append(columns)
            responses += [_row(self, n, d) for n, d in zip(batch, decoded, strict=True)]
            if done:
                done(len(responses))
        return concatenate(parts), responses


class Layout(NamedTuple):
    """The prompts as the models read them, and the plan of batches; needs tokenizers alone.

    form: what base reads. base_ids: each prompt's token ids as base reads it. lengths: as the
    teacher reads it, in tokens. listing: the text of prompts.jsonl. stamp: its hash with that of
    all token ids.
    """

    form: Format
    base_ids: list[list[int]]
    lengths: list[int]
    plan: list[list[list[int]]]
    listing: str
    stamp: str

    @classmethod
    def of(
        cls,
        base: LanguageModel,
        teacher: Teacher,
        prompts: Sequence[Prompt],
        config: CaptureConfig,
        base_format: Format | None = None,
    ) -> Layout:
        """Raises InputError for no prompts, prompts of one id, and prompts that a model cannot
        read."""
        form = _own_if_same(base_format or PlainFormat(), prompts)
        if not prompts:
            raise InputError("there are no prompts to capture; give at least one")
        if len(prompts) != len({(p.task, p.id) for p in prompts}):
            raise InputError("two prompts have the same id; give each prompt an id of its own")
        base_ids, inputs = encode_base(base, form, prompts), teacher.inputs(prompts)
        lengths = teacher.lengths(inputs)
        base_lengths = [len(ids) for ids in base_ids]
        for read, longest in ((base_lengths, base.longest), (lengths, teacher.longest())):
            check_lengths(read, [p.id for p in prompts], longest, config.sampling.max_new_tokens)
        plan = batch_plan(
            lengths, [p.task for p in prompts], config.batch_size, config.shard_batches
        )
        rows = [
            {
                "id": p.id,
                "task": p.task,
                "base_length": len(b),
                "aligned_length": n,
                **_listed(form, p),
                **({} if p.cluster is None else {"cluster": p.cluster}),
            }
            for p, b, n in zip(prompts, base_ids, lengths, strict=True)
        ]
        listing = json_lines(rows)
        stamp = sha256_text(listing + json.dumps([base_ids, inputs]))
        return cls(form, base_ids, lengths, plan, listing, stamp)


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
    """One line of responses-*.jsonl."""
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


def _own_if_same(form: Format, prompts: Sequence[Prompt]) -> Format:
    """The prompts' own format where `form` gives the same texts, so that captures of the same texts
    are equal, whoever named the template."""
    if (
        isinstance(form, PlainFormat)
        and not form.own
        and all(form.text(p) == p.plain for p in prompts)
    ):
        return PlainFormat()
    return form


def _listed(form: Format, prompt: Prompt) -> dict[str, Any]:
    """A prompt's text in prompts.jsonl: what base reads, without a template that replaces the
    prompt's own; and the turns of a conversation, where such a template holds them."""
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
    base_ids = [base_format.encode(base.tokenizer, p) for p in prompts]
    warn_of_markup(base, base_format, prompts)
    for prompt, ids in zip(prompts, base_ids, strict=True):
        if not ids:
            raise InputError(
                f"prompt {prompt.id!r} has no tokens in the base model's format; expected text"
            )
        check_readable(base, ids, prompt.id)
    return base_ids


def make_manifest(
    base: LanguageModel,
    teacher: Teacher,
    base_format: Format,
    config: CaptureConfig,
    plan: list[list[list[int]]],
    prompts_hash: str,
) -> dict[str, Any]:
    """What manifest.json holds, without the hashes of files. prompts_hash: of the listing and of
    all token ids read."""
    import transformers

    head, facts = base.head, teacher.facts()
    parts = {"base": base, **dict(zip(TEACHERS, teacher.models, strict=False))}
    ignored = {lm.name: names for lm in teacher.models if (names := left_out(lm, config.sampling))}
    return {
        "kind": "capture",
        "schema": SCHEMA,
        "base": base.facts(),
        "aligned": facts.pop("aligned"),
        "base_format": base_format.facts(),
        **facts,
        "head": {
            "scale": head.scale,
            "softcap": head.softcap,
            "rows": teacher.size,
            "width": head.width,
        },
        "config": config.facts(),
        "prompts_sha256": prompts_hash,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        COMPUTATION: computations(parts),
        "plan": plan,
        **({"settings_not_applied": ignored} if ignored else {}),
    }
