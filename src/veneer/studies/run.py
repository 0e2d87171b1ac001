"""The whole method on a pair: capture, extract, measure, report. Every stage goes on where a former run stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from veneer.capture import Capture, CaptureConfig, capture
from veneer.errors import InputError
from veneer.files import folder_lock, json_lines, write_text
from veneer.head.extract import ExtractConfig
from veneer.head.veneer import Veneer
from veneer.judges.config import JudgeConfig
from veneer.judges.registry import judges_of
from veneer.models.decode import Sampling
from veneer.models.pair import Pair
from veneer.prompts import Prompt
from veneer.report import write_report
from veneer.results import Results
from veneer.studies.behaviour import behaviour_rows, score
from veneer.studies.browser import token_rows
from veneer.studies.extraction import control_rows, extract_to, joint_rows, own_rows, solver_progress
from veneer.studies.shifts import shift_table
from veneer.studies.stages import RunRecord
from veneer.systems.respond import respond
from veneer.systems.responses import Response
from veneer.systems.system import System, control_systems, pair_systems
from veneer.tasks.task import Task

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """train_prompts, test_prompts: of each task (None: all). max_new_tokens: of the capture, and the most of any task's answers unless
    `published`. shown: prompts of each task in the report's response browser. controls: measure contract.md's controls too."""

    train_prompts: int | None = 200
    test_prompts: int | None = None
    max_new_tokens: int = 128
    published: bool = False
    batch_size: int = 32
    controls: bool = True
    own: bool = True
    shown: int = 12
    k: int = 64
    hidden_dtype: str = "float32"
    seed: int = 0
    extraction: ExtractConfig = field(default_factory=ExtractConfig)
    judges: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        for name in ("train_prompts", "test_prompts", "max_new_tokens", "batch_size", "k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                said = name + " (--limit, --train)" if name.endswith("prompts") else name
                raise InputError(f"{said} is {value}; expected 1 or more")

    def capture_config(self, tasks: Sequence[Task]) -> CaptureConfig:
        longest = (
            max((t.published_max_new_tokens for t in tasks), default=self.max_new_tokens)
            if self.published
            else self.max_new_tokens
        )
        return CaptureConfig(self.k, self.hidden_dtype, self.batch_size, sampling=Sampling(longest, seed=self.seed))

    def answer_tokens(self, task: Task) -> int:
        return task.published_max_new_tokens if self.published else min(task.max_new_tokens, self.max_new_tokens)

    def facts(self) -> dict[str, Any]:
        return {**asdict(self), "judges": self.judges.facts()}


def study(
    load: Callable[[], Pair],
    tasks: Sequence[Task],
    out: str | Path,
    config: StudyConfig | None = None,
    *,
    said: dict[str, Any] | None = None,
    command: str = "run",
    progress: Progress | None = None,
) -> Results:
    """Run the whole method and write the study folder (docs/architecture.md).

    load: gives the pair; it is not called where the folder is finished already. said: more of the configuration for run.json (model names,
    device), which a second run must share. Raises InputError where `out` was made with another configuration.
    """
    config, out = config or StudyConfig(), Path(out)
    with folder_lock(out):
        record, test = _begin(tasks, out, config, said, command)
        if record.finished:
            return Results.read(out / "results.jsonl")
        train = {t.name: _first(t.prompts("train"), config.train_prompts) for t in tasks}
        for name, prompts in train.items():
            if len(prompts) < 3:
                raise InputError(f"found {len(prompts)} train prompts of {name}; expected at least 3 (train, select, report)")
        with record.stage("load"):
            pair = load()
        record.note(pair=pair.facts(), data={t.name: t.source() for t in tasks}, seeds={"study": config.seed})
        with record.stage("capture"):
            taken = capture(
                pair, [p for t in tasks for p in train[t.name]], out / "capture", config.capture_config(tasks), progress
            )
        results, veneer, shuffled = _extract(taken, [t.name for t in tasks], out, config, record, pair, progress)
        _measure(pair, veneer, shuffled, tasks, test, out, config, record, results, progress)
        return results


def measure(
    load: Callable[[], Pair], veneer: Veneer, tasks: Sequence[Task], out: str | Path, config: StudyConfig | None = None, *,
    said: dict[str, Any] | None = None, progress: Progress | None = None,
) -> Results:  # fmt: skip
    """The behavioural part of `study`, with a veneer that is there already."""
    config, out = config or StudyConfig(), Path(out)
    with folder_lock(out):
        record, test = _begin(tasks, out, config, said, "measure")
        if record.finished:
            return Results.read(out / "results.jsonl")
        with record.stage("load"):
            pair = load()
            veneer.check_fits(pair.base)
        record.note(pair=pair.facts(), data={t.name: t.source() for t in tasks}, seeds={"study": config.seed})
        results = Results()
        _measure(pair, veneer, None, tasks, test, out, config, record, results, progress)
        return results


def _begin(
    tasks: Sequence[Task], out: Path, config: StudyConfig, said: dict[str, Any] | None, command: str
) -> tuple[RunRecord, dict[str, list[Prompt]]]:
    """The folder's record, and each task's test prompts."""
    if not tasks:
        raise InputError("there is no task to measure; give at least one with --tasks")
    judges_of(tasks, config.judges)  # what cannot be judged is said before any work
    record = RunRecord(out, command, {**(said or {}), "tasks": [t.name for t in tasks], "settings": _plain(config.facts())})
    test = {t.name: _first(t.prompts("test"), config.test_prompts) for t in tasks}
    return record, test


def _measure(
    pair: Pair, veneer: Veneer, shuffled: Veneer | None, tasks: Sequence[Task], test: dict[str, list[Prompt]], out: Path,
    config: StudyConfig, record: RunRecord, results: Results, progress: Progress | None,
) -> None:  # fmt: skip
    """Behaviour, the browser's tokens, results and report."""
    shown = _behave(pair, veneer, shuffled, tasks, test, out, config, record, results, progress)
    with record.stage("tokens"):
        prompts = [p for t in tasks for p in test[t.name]]
        write_text(out / "tokens.jsonl", json_lines(token_rows(pair, veneer, prompts, shown, progress)))
    results.write(out / "results.jsonl")
    with record.stage("report"):
        write_report([out], out / "report.html")
    record.finish()
    write_report([out], out / "report.html")  # once more, with all its seconds


def _extract(
    taken: Capture, tasks: Sequence[str], out: Path, config: StudyConfig, record: RunRecord, pair: Pair, progress: Progress | None
) -> tuple[Results, Veneer, Veneer | None]:
    """The joint veneer, each task's own and the head-capacity control, with their held-out rows and the shift table."""
    results, device = Results(), pair.base.device
    how = replace(config.extraction, seed=config.seed)
    log = solver_progress(progress)
    with record.stage("extract"):
        veneer = extract_to(taken, how, out / "veneer", device=device, log=log)
    with record.stage("held-out"):
        found, rows = joint_rows(taken, veneer, how, device=device)
        results.extend(rows)
        write_text(out / "shifts.jsonl", json_lines(shift_table(found, pair.base.tokenizer)))
    if config.own and len(tasks) > 1:
        with record.stage("extract own"):
            for task in tasks:
                own = extract_to(taken, replace(how, tasks=(task,)), out / f"veneer-{task}", device=device, log=log)
                results.extend(own_rows(taken, own, task, how, device=device))
    shuffled = None
    if config.controls:
        with record.stage("extract control"):
            shuffled = extract_to(taken, replace(how, shuffled=True), out / "control", device=device, log=log)
            results.extend(control_rows(taken, shuffled, how, device=device))
    return results, veneer, shuffled


def _behave(
    pair: Pair, veneer: Veneer, shuffled: Veneer | None, tasks: Sequence[Task], test: dict[str, list[Prompt]], out: Path,
    config: StudyConfig, record: RunRecord, results: Results, progress: Progress | None,
) -> list[Response]:  # fmt: skip
    """Answers of every system to every task, their rows, and the responses that the report shows."""
    systems: list[System] = pair_systems(pair, veneer)
    if config.controls:
        systems += control_systems(pair, shuffled)
    judges, missing = judges_of(tasks, replace(config.judges, cache=config.judges.cache or out / "verdicts"))
    ids = sorted({judge.id for some in judges.values() for judge in some})
    record.note(systems=[s.facts() for s in systems], judges=ids, judges_missing=missing)
    shown: list[Response] = []
    for task in tasks:
        prompts, scored = test[task.name], []
        for system in systems:
            with record.stage(f"measure {system.name}"):
                answers = respond(
                    system, prompts, Sampling(config.answer_tokens(task), seed=config.seed), stop_strings=task.stop,
                    batch_size=config.batch_size, out=out / "responses" / f"{task.name}.{system.name}.jsonl", progress=progress,
                )  # fmt: skip
                scored.append(score(task, prompts, answers, judges[task.name], progress))
            if system.name in ("base", "veneer", "aligned"):
                keep = {p.id for p in prompts[: config.shown]}
                shown += [r for r in answers if r.prompt_id in keep]
        results.extend(behaviour_rows(task, prompts, scored, seed=config.seed))
    return shown


def _first(prompts: list[Prompt], limit: int | None) -> list[Prompt]:
    return prompts if limit is None else prompts[:limit]


def _plain(value: Any) -> Any:
    """As JSON gives it back, so that a configuration compares equal after a round trip."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
