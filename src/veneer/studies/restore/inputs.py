"""The models, files and tasks that a restoration may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from veneer.capture import Capture
from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.reading.content import stem
from veneer.head.veneer import Veneer
from veneer.imports.teacher import check_answers
from veneer.models.formats import ChatFormat, Format, PlainFormat, check_arguments, dated
from veneer.models.language_model import LanguageModel
from veneer.models.vocabulary import match_vocabularies
from veneer.prompts.files import read_prompts
from veneer.prompts.prompt import Prompt
from veneer.studies.restore.settings import BASE_METHODS, OWN_METHODS
from veneer.systems.system import System
from veneer.tasks.custom import is_task_file
from veneer.tasks.registry import TASKS, get_task
from veneer.tasks.task import Better, Split, Task

Load = Callable[[], LanguageModel]


def task_names(tasks: Iterable[Task]) -> str:
    """The tasks' names joined, as rows of several tasks name them: "svamp+xstest"."""
    return "+".join(t.name for t in tasks)


@dataclass(frozen=True)
class Roles:
    """Tasks by what they are for.

    harmful: prompts that should be refused. safe: prompts that should not, measured as
    over-refusal. capability: what the model should still be able to do. harmless: what a new veneer
    learns beside refusals; without it, the veneer would learn to refuse every prompt.
    """

    harmful: tuple[Task, ...]
    safe: tuple[Task, ...]
    capability: tuple[Task, ...]
    harmless: tuple[Task, ...] = ()

    def __post_init__(self) -> None:
        for role in ("harmful", "safe", "capability"):
            if not getattr(self, role):
                raise InputError(f"there is no {role} task; name at least one with --{role}")
        both = {t.name for t in self.harmful} & {
            t.name for t in (*self.safe, *self.capability, *self.harmless)
        }
        if both:
            raise InputError(
                f"{', '.join(sorted(both))} is given as harmful and as harmless; give each task "
                "one of the two"
            )
        for task in (*self.harmful, *self.safe, *self.harmless):
            if task.kind != "generate":
                raise InputError(
                    f"{task.name} has no answers in words, so that nothing can be refused; give "
                    "it as --capability"
                )
        for task in self.capability:
            if task.better != "up":
                raise InputError(
                    f"less {task.headline} is better on {task.name}, so that it measures no "
                    "capability; give a task such as svamp"
                )

    def check(self, methods: Sequence[str]) -> None:
        """Raise InputError where a method cannot be measured on a task."""
        choices = [t.name for t in self.capability if t.kind == "choice"]
        if "shifted" in methods and choices:
            raise InputError(
                f"{', '.join(choices)} compares likelihoods, which a shifted system does not give; "
                "leave shifted out of --ways, or take a capability that is answered in words"
            )

    def measured(self) -> list[Task]:
        """The tasks that systems are measured on, each once."""
        return list({t.name: t for t in (*self.harmful, *self.safe, *self.capability)}.values())

    def learned(self) -> list[Task]:
        """The tasks that a veneer may be extracted on, each once."""
        return list({t.name: t for t in (*self.harmful, *self.harmless)}.values())


@dataclass(frozen=True)
class PromptFile(Task):
    """A file of prompts to learn from (prompts.files.read_prompts), without answers to score and
    without test prompts."""

    path: Path
    name: str
    headlines: ClassVar[Mapping[str, Better]] = {}

    def prompts(self, split: Split) -> list[Prompt]:
        prompts = read_prompts(str(self.path)) if split == "train" else []
        return [replace(p, task=self.name) for p in prompts]

    def source(self) -> dict[str, Any]:
        return {"from": str(self.path), "files": {self.path.name: sha256_file(self.path)}}


def harmless_tasks(names: Sequence[str], data: Path | None) -> tuple[Task, ...]:
    """The tasks of these names: tasks, custom task files and files of prompts. Raises InputError
    for any other name, and for one that is given twice."""
    tasks: list[Task] = []
    for name in names:
        path = Path(name)
        if name in TASKS or name.startswith("file:") or (path.is_file() and is_task_file(path)):
            tasks.append(get_task(name, data))
        elif path.is_file():
            tasks.append(PromptFile(path, stem(path)))
        else:
            raise InputError(
                f"{name} is neither a task nor a file; expected harmless prompts to learn "
                "beside refusals"
            )
    if len({t.name for t in tasks}) < len(tasks):
        raise InputError(f"--harmless {','.join(names)} names a task twice; name each once")
    return tuple(tasks)


@dataclass
class RestoreModels:
    """The loaded models, and the files beside them.

    compromised and aligned read the format `chat`, base reads `plain`.
    """

    compromised: LanguageModel
    aligned: LanguageModel | None = None
    base: LanguageModel | None = None
    veneer: Veneer | None = None
    capture: Capture | None = None
    responses: tuple[Path, ...] = ()
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)

    def __post_init__(self) -> None:
        """Raises InputError where vocabularies differ or the compromised model has
        no chat template."""
        for other in (self.aligned, self.base):
            if other is not None:
                match_vocabularies(self.compromised, other)
        for lm in (self.compromised, self.aligned):
            if lm is None or not isinstance(self.chat, ChatFormat):
                continue
            if not lm.tokenizer.chat_template:
                raise InputError(
                    f"the tokenizer of {lm.name} has no chat template, which held its alignment; "
                    "save its tokenizer with the aligned model's template"
                )
        check_arguments(self.chat, *self._chat_tokenizers())
        if self.veneer is not None and self.base is not None:
            self.veneer.check_fits(self.base)

    def dated(self, day: str) -> RestoreModels:
        """The same models with the date `day` in a chat template that writes today's date, unless
        a date was chosen (see formats.dated)."""
        chat = dated(self.chat, day, *self._chat_tokenizers())
        return self if chat == self.chat else replace(self, chat=chat)

    def _chat_tokenizers(self) -> list[Any]:
        models = (self.compromised, self.aligned)
        return [lm.tokenizer for lm in models if lm is not None]

    def compromised_system(self) -> System:
        return System("compromised", self.compromised, self.chat, self.compromised.stop_ids)

    def references(self) -> list[System]:
        """The systems that every method is compared with: compromised, and aligned if it is
        given."""
        systems = [self.compromised_system()]
        if self.aligned is not None:
            systems.append(System("aligned", self.aligned, self.chat, self.aligned.stop_ids))
        return systems

    def teacher_name(self) -> str:
        """The aligned model's name, for people."""
        if self.aligned is not None:
            return self.aligned.name
        return (
            str(self.veneer.facts.get("aligned"))
            if self.veneer is not None
            else "the aligned model"
        )

    def facts(self) -> dict[str, Any]:
        named = {"compromised": self.compromised, "aligned": self.aligned, "base": self.base}
        return {
            **{k: lm.facts() for k, lm in named.items() if lm is not None},
            "veneer": None if self.veneer is None else self.veneer.identity(),
            "format": self.chat.facts(),
            "base_format": self.plain.facts(),
        }


@dataclass(frozen=True)
class RestoreInputs:
    """The models, which are loaded when they are needed, and the files beside them.

    veneer: from base to aligned; None: extracted here. capture: the aligned model's answers to
    train prompts, so that it need not answer again. responses: files of its answers, for the method
    own-responses; without one it answers here. chat: what compromised and aligned read; plain: what
    base reads. data: the tasks' data folder.
    """

    compromised: Load
    aligned: Load | None = None
    base: Load | None = None
    veneer: Veneer | None = None
    capture: Capture | None = None
    responses: tuple[Path, ...] = ()
    chat: Format = field(default_factory=ChatFormat)
    plain: Format = field(default_factory=PlainFormat)
    data: Path | None = None

    def check(self, methods: Sequence[str]) -> None:
        """Raise InputError where a method lacks an input that it needs."""
        for method in methods:
            if method == "own" and self.aligned is None and self.capture is None:
                raise InputError(
                    "the method own learns from the aligned model's distributions; give --aligned, "
                    "or a --capture of it, or use own-responses"
                )
            if method == "own-responses" and self.aligned is None and not self.responses:
                raise InputError(
                    "the method own-responses learns from the aligned model's answers; give a file "
                    "with --responses, or --aligned"
                )
            answers = self.aligned is not None or self.capture is not None
            learnable = self.base is not None and answers
            if method in BASE_METHODS and self.veneer is None and not learnable:
                raise InputError(
                    f"the method {method} needs the veneer of base and aligned model; give "
                    f"--veneer, or --base and --aligned to extract it, or leave {method} out of "
                    "--ways"
                )
            if method == "shifted" and self.base is None:
                raise InputError(
                    "the method shifted lets base read along; give --base, or leave shifted out "
                    "of --ways"
                )

    def response_files(self) -> tuple[Path, ...]:
        """`responses`. Raises InputError for one that does not exist."""
        for path in self.responses:
            if not path.is_file():
                raise InputError(
                    f"there is no file {path}; expected answers of the aligned model, as `veneer "
                    "generate` writes them"
                )
        return self.responses

    def check_responses(self, methods: Sequence[str], prompts: Sequence[Prompt]) -> None:
        """Raise InputError, before a model is loaded, for a file of answers to none of the prompts
        that a veneer is extracted from."""
        if "own-responses" in methods:
            for path in self.response_files():
                check_answers(path, prompts)

    def extracts(self, methods: Sequence[str]) -> bool:
        """Whether one of the methods extracts a veneer, and so needs train prompts."""
        return any(m in OWN_METHODS or (m in BASE_METHODS and self.veneer is None) for m in methods)

    def load(self, methods: Sequence[str]) -> RestoreModels:
        """Load the models; base only for a method that uses it. Raises InputError where they do
        not fit together."""
        needs_base = any(m in BASE_METHODS for m in methods)
        return RestoreModels(
            self.compromised(),
            self.aligned() if self.aligned else None,
            self.base() if self.base and needs_base else None,
            self.veneer,
            self.capture,
            self.responses,
            self.chat,
            self.plain,
        )
