"""Answer many prompts with one system: in batches by length, resumable, in the order of the
prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from veneer.capture.plan import check_lengths
from veneer.endpoint.client import Recording
from veneer.foundation.days import day_of
from veneer.foundation.dry_run import State
from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.files import read_json, sha256_file, sha256_text, write_json, write_text
from veneer.foundation.memory import halving
from veneer.foundation.progress import Progress, shown
from veneer.models.decode import Decoded, Sampling
from veneer.models.language_model import LanguageModel, check_model
from veneer.models.shipped import left_out
from veneer.prompts.given import Prompts, as_prompts
from veneer.prompts.prompt import Prompt
from veneer.systems.dated import dated_system, day_in
from veneer.systems.partial_file import PartialFile, discard
from veneer.systems.responses import Response, read_responses
from veneer.systems.stamp import Stamp
from veneer.systems.system import Answering

NO_MEMORY = (
    "memory ran out for a single prompt; use a smaller model, fewer new tokens, or more memory"
)


def respond(
    system: Answering,
    prompts: Prompts,
    sampling: Sampling | None = None,
    *,
    stop_strings: Sequence[str] = (),
    batch_size: int = 32,
    samples: int = 1,
    out: Path | None = None,
    progress: Progress | bool | None = None,
) -> list[Response]:
    """Answer every prompt `samples` times; responses come in the order of the prompts.

    prompts: texts, chats ({"role", "content"}) or Prompt (prompts/given.py). sampling: greedy and
    at most 128 tokens by default.
    out: where to write them (JSON lines), with the settings in `OUT.manifest.json` beside it. Until
    all are answered, `OUT.part` holds the finished batches, and the same call resumes after them. A
    complete `out` of the same settings is read; raises InputError for one of other settings.
    progress: see `foundation.progress.shown`; False shows none in a notebook.
    """
    for name, value in (("batch_size", batch_size), ("samples", samples)):
        if value < 1:
            raise SettingError(name, f"is {value}; expected 1 or more")
    if not hasattr(system, "prompt_tokens"):
        model = check_model(system)
        raise InputError(
            f"found the model {model.name}; expected a system, which knows the format that the "
            "model reads: System.of_model(model), or with format=ChatFormat() for an aligned one"
        )
    prompts, sampling = as_prompts(prompts), sampling or Sampling()
    questions = [(p, s) for p in prompts for s in range(samples)]
    if not questions:
        raise InputError("there are no prompts to answer; give at least one")
    if out is not None:
        system = dated_system(system, day_of(_manifest(out), _partial_path(out)))
    lengths = [n for n in system.prompt_tokens(prompts) for _ in range(samples)]
    check_lengths(lengths, [p.id for p, _ in questions], system.longest(), sampling.max_new_tokens)
    order = sorted(range(len(questions)), key=lambda i: (questions[i][0].task, lengths[i], i))
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    texts = [
        [p.task, p.id, p.plain, list(p.messages), *([p.forced] if p.forced else [])]
        for p in prompts
    ]
    if out is None:
        return _answer(system, questions, batches, sampling, stop_strings, {}, None, progress)
    request = [sampling.facts(), list(stop_strings), batch_size, samples, texts]
    stamp = Stamp.of(system, prompts, request)
    if out.exists():
        responses = _read_whole(out, stamp)
        with shown(progress) as report:
            if report:
                report(len(questions), len(questions), activity(system, prompts))
        return responses
    partial = PartialFile(_partial_path(out), stamp, batches, day=day_in(system))
    try:
        if out.exists():  # another process has just ended
            responses = _read_whole(out, stamp)
        else:
            responses = _answer(
                system, questions, batches, sampling, stop_strings, partial.done, partial, progress
            )
            _write_whole(out, stamp, system, sampling, responses)
    except BaseException:
        # a file without an answer would only block a run with other settings
        partial.close(remove=not partial.done)
        raise
    partial.close(remove=True)
    return responses


def _write_whole(
    out: Path,
    stamp: Stamp,
    system: Answering,
    sampling: Sampling,
    responses: Sequence[Response],
) -> None:
    """Write the manifest and then the answers, so that no answers are without their settings."""
    text = "".join(r.line() for r in responses)
    facts = {
        "system": system.facts(),
        "sampling": sampling.facts(),
        "vocabulary": _vocabulary(system),
    }
    lm = _model(system)
    if lm is not None and (ignored := left_out(lm, sampling)):
        facts["settings_not_applied"] = ignored
    if isinstance(system, Recording) and (record := system.record()):
        facts["endpoint"] = record
    digest = sha256_text(text.encode("utf-8", errors="replace").decode("utf-8"))
    write_json(_manifest(out), {"kind": "responses", **stamp.facts(), "sha256": digest, **facts})
    write_text(out, text)


def _partial_path(out: Path) -> Path:
    return out.with_name(out.name + ".part")


def _manifest(out: Path) -> Path:
    return out.with_name(out.name + ".manifest.json")


def _read_whole(out: Path, stamp: Stamp) -> list[Response]:
    """The answers of a complete file. Raises InputError where it is of other settings, or
    damaged."""
    manifest = _manifest(out)
    if out.is_dir():
        raise InputError(f"{out} is a folder; expected the name of a file for the answers")
    if not manifest.is_file():
        raise InputError(
            f"{out} exists and is no file that `veneer generate` wrote; give another --out"
        )
    recorded = read_json(manifest, "the settings of a file of responses")
    if not isinstance(recorded, dict) or not stamp.fits(recorded):
        raise InputError(
            f"{out} exists and was made with other settings, models or prompts; give another "
            "--out, or delete it"
        )
    if "sha256" in recorded and recorded["sha256"] != sha256_file(out):
        raise InputError(
            f"{out} is damaged, or was changed since it was written; delete it and run the same "
            "command again"
        )
    stamp.check_models(out, recorded)
    rows = read_responses(out)
    discard(_partial_path(out), stamp)  # of a run that was killed between the two
    return rows


def _answer(
    system: Answering,
    questions: Sequence[tuple[Prompt, int]],
    batches: Sequence[Sequence[int]],
    sampling: Sampling,
    stop_strings: Sequence[str],
    done: dict[int, Response],
    partial: PartialFile | None,
    progress: Progress | bool | None,
) -> list[Response]:
    """Answer the batches that are not in `done`, and keep each in `partial` as soon as it is
    answered."""
    what = activity(system, [prompt for prompt, _ in questions])
    with shown(progress) as report:
        if report:
            report(len(done), len(questions), what)
        for number, batch in enumerate(batches):
            if all(i in done for i in batch):
                continue
            decoded = _decode(system, [questions[i] for i in batch], sampling, stop_strings)
            fresh = {
                i: Response(
                    questions[i][0].id,
                    questions[i][1],
                    system.name,
                    questions[i][0].task,
                    d.text,
                    d.token_ids,
                    d.finish_reason,
                    sampling.seed,
                    d.reasoning,
                    questions[i][0].forced,
                )
                for i, d in zip(batch, decoded, strict=True)
            }
            if partial is not None:
                partial.append(number, fresh)
            done.update(fresh)
            if report:
                report(len(done), len(questions), what)
    return [done[i] for i in range(len(questions))]


def state_of(out: Path) -> State:
    """Whether a file of answers is finished, interrupted or new."""
    if out.exists():
        return "finished"
    return "interrupted" if _partial_path(out).exists() else "new"


def activity(system: Answering, prompts: Sequence[Prompt]) -> str:
    """What progress calls the answers of a system: its name, with the task where there is one."""
    tasks = {prompt.task for prompt in prompts}
    return f"{system.name} on {tasks.pop()}" if len(tasks) == 1 else system.name


def _vocabulary(system: Answering) -> str | None:
    """Hash of the token strings that the answers' ids stand for; None for a system
    without token ids."""
    lm = _model(system)
    return lm.vocabulary_hash() if lm is not None else None


def _model(system: Answering) -> LanguageModel | None:
    """The model whose token ids the answers have; None for a system without a local model."""
    lm = getattr(system, "lm", getattr(system, "large", None))
    return lm if isinstance(lm, LanguageModel) else None


def _decode(
    system: Answering,
    questions: Sequence[tuple[Prompt, int]],
    sampling: Sampling,
    stop_strings: Sequence[str],
) -> list[Decoded]:
    """The answers of one batch, in smaller parts where memory runs out."""

    def run(group: Sequence[tuple[Prompt, int]]) -> list[Decoded]:
        keys = [f"{p.task}/{p.id}/{s}" for p, s in group]
        return system.decode([p for p, _ in group], sampling, stop_strings, keys)

    return [d for group in halving(run, questions, message=NO_MEMORY) for d in group]
