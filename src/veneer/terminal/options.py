"""Options that many commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from veneer.foundation.progress import progress_line
from veneer.foundation.settings import refuse_unused
from veneer.foundation.threads import AUTO
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.models.formats import Format
    from veneer.models.pair import Pair
    from veneer.tasks.task import Task

progress = progress_line  # every long command shows it


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where models run and how they are loaded."""

    device: str = "auto"
    """Where models run: auto (a GPU if there is one), cpu, cuda, cuda:1, ..., or split (layers over
    GPUs, memory and disk) with or without limits: split:0=40GB,cpu=100GB (docs/scale.md)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number type of the weights; auto is float32 on a CPU (bfloat16 is several times slower there)
    and the checkpoint's own on a GPU."""
    threads: str = AUTO
    """Threads that compute on the CPU: a number, or auto: as many as there are free cores when the
    command starts, or what OMP_NUM_THREADS says. A resumed run keeps the number of its first part,
    since last digits depend on it (docs/performance.md)."""
    revision: str | None = None
    """Git revision of models that come from the hub."""
    trust_remote_code: bool = False
    """Run code that comes with a model. Off: a model from the hub is data."""

    def how(self) -> dict[str, Any]:
        """The keyword arguments of load_model."""
        return {k: getattr(self, k) for k in ("device", "dtype", "revision", "trust_remote_code")}

    def refuse_unread(self, *names: str | None) -> None:
        """Raise SettingError for a revision where no model comes from the hub. names: of all models
        of the command; None counts as none."""
        from veneer.models.load import may_be_on_hub

        local = [name for name in names if name]
        if not any(map(may_be_on_hub, local)):
            where = f"with models that are not from the hub ({', '.join(local)})"
            refuse_unused(self, where, "revision")

    def refuse_loading(self, where: str) -> None:
        """Raise SettingError for options of loading models where none is loaded. where: in which
        case, such as "with --url"."""
        refuse_unused(self, where, *self.how())

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
    a task brings. Default: the text unchanged."""
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
            self.refuse_template_options("beside --aligned-plain")
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


def tasks_named(names: tuple[str, ...] | None, data: str | None) -> list[Task]:
    """The tasks of --tasks and --data; without names, all that the data folder has and that need
    no judge model. Raises InputError for an unknown or repeated name."""
    from veneer.tasks.registry import chosen_tasks

    return chosen_tasks(None if names is None else ",".join(names), data_folder(data))


def data_folder(data: str | None) -> Path | None:
    return None if data is None else Path(data)
