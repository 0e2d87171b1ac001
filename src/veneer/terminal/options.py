"""Options that many commands share, and how progress and results are shown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.judges.config import JudgeConfig
    from veneer.models.formats import Format
    from veneer.models.pair import Pair
    from veneer.scale.cluster import RayConfig
    from veneer.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where models run and how they are loaded."""

    device: str = "auto"
    """Where models run: auto (a GPU if there is one), cpu, cuda, cuda:1, ..., or split (layers over
    GPUs, memory and disk) with or without limits: split:0=40GB,cpu=100GB (docs/scale.md)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of the weights; auto is float32 on a CPU (bfloat16 is several times slower there)
    and the checkpoint's own on a GPU."""
    revision: str | None = None
    """Git revision of models that come from the hub."""
    trust_remote_code: bool = False
    """Run code that comes with a model. Off: a model from the hub is data."""

    def how(self) -> dict[str, Any]:
        """Words for load_model."""
        return {k: getattr(self, k) for k in ("device", "dtype", "revision", "trust_remote_code")}

    def refuse_split(self, what: str) -> None:
        """Raise InputError where models would lie on several devices."""
        from veneer.foundation.errors import InputError
        from veneer.models.split import DeviceSplit

        if DeviceSplit.parse(self.device) is not None:
            raise InputError(
                f"{what} needs whole models, found --device {self.device}; give a single device"
            )


@dataclass(frozen=True, kw_only=True)
class PairTemplates(TemplateOptions):
    """What base and the aligned model read around each prompt (docs/chat-templates.md)."""

    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes, or a name: alpaca, question,
    answer, qa, user, plain, or chat (the tokenizer's chat template). It replaces the template that
    a task brings. Default: the text as it is."""
    system: str | None = None
    """System text for the aligned model's chat template. Default: the template's own."""
    aligned_plain: bool = False
    """The aligned model reads plain text like base, for one that has no chat template."""

    def formats(self) -> tuple[Format, Format]:
        """The formats of base and of the aligned model."""
        from veneer.models.formats import given_format

        chat = self.chat_format(self.system)
        base = given_format(self.base_template, chat)
        if self.aligned_plain and self.base_template != "chat":
            self.refuse_template_options("--aligned-plain")
        return base, base if self.aligned_plain else chat

    def settings(self) -> dict[str, Any]:
        """What a second run into the same folder must share."""
        names = ("base_template", "system", "aligned_plain")
        return {**{k: getattr(self, k) for k in names}, **self.template_words()}


def load_pair(base: str, aligned: str, templates: PairTemplates, machine: Machine) -> Pair:
    """The pair of two names. Raises InputError where they share no tokenizer."""
    from veneer.models.pair import Pair

    base_format, aligned_format = templates.formats()
    return Pair.load(
        base, aligned, base_format=base_format, aligned_format=aligned_format, **machine.how()
    )


def pair_settings(
    base: str, aligned: str, templates: PairTemplates, machine: Machine
) -> dict[str, Any]:
    """What run.json records of a pair on the command line, and a second run must share."""
    return {"base": base, "aligned": aligned, **templates.settings(), **machine.how()}


@dataclass(frozen=True, kw_only=True)
class PairOptions(TemplateOptions, Machine):
    base: str
    """The base model."""
    aligned: str
    """The aligned model; it must share base's tokenizer."""
    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes, or a name: alpaca, question,
    answer, qa, user, plain, or chat (the tokenizer's chat template). It replaces the template that
    a task brings. Default: the text as it is."""
    system: str | None = None
    """System text for the aligned model's chat template. Default: the template's own."""
    aligned_plain: bool = False
    """The aligned model reads plain text like base, for one that has no chat template."""

    def formats(self) -> tuple[Format, Format]:
        from veneer.models.formats import given_format

        chat = self.chat_format(self.system)
        base = given_format(self.base_template, chat)
        if self.aligned_plain and self.base_template != "chat":
            self.refuse_template_options("--aligned-plain")
        return base, base if self.aligned_plain else chat

    def pair(self) -> Pair:
        from veneer.models.pair import Pair

        base, aligned = self.formats()
        return Pair.load(
            self.base, self.aligned, base_format=base, aligned_format=aligned, **self.how()
        )

    def said(self) -> dict[str, Any]:
        """What a second run of the same command must share."""
        names = (
            "base",
            "aligned",
            "base_template",
            "system",
            "aligned_plain",
            "device",
            "dtype",
            "revision",
            "trust_remote_code",
        )
        return {**{k: getattr(self, k) for k in names}, **self.template_words()}


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    judge_url: str | None = None
    """OpenAI-compatible endpoint of a judge model, such as http://localhost:8000/v1."""
    judge_model: str | None = None
    """Name of the judge model at that endpoint."""
    judge_local: str | None = None
    """A model that judges here instead of an endpoint: hub id, folder or .gguf file."""
    judge_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key; the key itself is never written."""
    judge_concurrency: int = 8
    """Requests to the judge at once."""
    judge_timeout: float = 120.0
    """Seconds for one whole reply of the judge."""
    judge_retries: int = 5
    """Further attempts of a request that failed in passing (429, 500, 503, time-outs,
    lost connections)."""
    judge_price_in: float | None = None
    """Price of a million tokens that the judge reads, to show what the verdicts cost."""
    judge_price_out: float | None = None
    """Price of a million tokens that the judge writes."""
    judge_cache: str | None = None
    """Folder of verdicts that are kept between runs. Default: inside --out."""
    toxicity_model: str | None = None
    """Text-classification model that judges toxicity (hub id or folder), such as
    tomh/toxigen_roberta. Default: the built-in stand-in."""

    def judges(self, **local: Any) -> JudgeConfig:
        """local: device, dtype and batch_size of a local judge."""
        from veneer.judges.config import JudgeConfig

        return JudgeConfig(
            timeout=self.judge_timeout,
            retries=self.judge_retries,
            price_in=self.judge_price_in,
            price_out=self.judge_price_out,
            url=self.judge_url,
            model=self.judge_model,
            local=self.judge_local,
            key_env=self.judge_key_env,
            toxicity=self.toxicity_model,
            concurrency=self.judge_concurrency,
            cache=None if self.judge_cache is None else Path(self.judge_cache),
            **local,
        )


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    workers: int = 2
    """Of --engine ray; each holds the models, or its share of a capture's tokens."""
    cpus_per_worker: int = 1
    """CPUs and threads that each of them takes."""
    gpus_per_worker: float = 0.0
    """GPUs that each of them takes."""
    ray_address: str | None = None
    """Of a running Ray cluster, such as auto or 10.0.0.1:6379. Default: an own one
    on this machine."""

    def ray(self) -> RayConfig:
        from veneer.scale.cluster import RayConfig

        return RayConfig(self.workers, self.cpus_per_worker, self.gpus_per_worker, self.ray_address)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """A progress line on stderr: a bar in a terminal, a plain line every ten seconds elsewhere."""
    import sys
    import time

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        last = 0.0

        def say(done: int, total: int, what: str) -> None:
            nonlocal last
            if time.monotonic() - last >= 10 or (total and done == total):
                last = time.monotonic()
                print(
                    f"{what}: {done}" + (f" of {total}" if total else ""),
                    file=sys.stderr,
                    flush=True,
                )

        yield say
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def draw(done: int, total: int, what: str) -> None:
            key = what.split(":")[0]
            if key not in tasks:
                tasks[key] = bar.add_task(what, total=total or None)
            bar.update(tasks[key], completed=done, total=total or None, description=what)

        yield draw


def tasks_named(names: tuple[str, ...] | None, data: str | None) -> list[Task]:
    """The tasks of --tasks and --data; without names, all that the data folder has and that need
    no judge model. Raises InputError for an unknown or repeated name."""
    from veneer.tasks.registry import chosen_tasks

    return chosen_tasks(None if names is None else ",".join(names), data_folder(data))


def data_folder(data: str | None) -> Path | None:
    return None if data is None else Path(data)
