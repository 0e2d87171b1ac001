"""veneer recover: how near in-context prompts and a veneer bring a base model to its aligned
one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.errors import InputError
from veneer.foundation.progress import Progress
from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.recovery.settings import RecoverySettings
from veneer.terminal.options import Machine, PairTemplates, data_folder, load_pair, pair_settings
from veneer.terminal.options import progress as progress_line
from veneer.terminal.output import TableOptions, present

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.studies.recovery.published_answers import Layout
    from veneer.systems.system import System


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Models that answer prompts."""

    base: str | None = None
    """The base model."""
    aligned: str | None = None
    """The aligned model, whose answers are the teacher's; it must share base's tokenizer."""
    prompts: Annotated[str | None, Option(metavar="TASK|FILE")] = None
    """Prompt file, hub data set or a task's name."""
    veneer: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder of a veneer to put on the same scale."""
    data: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most this many prompts. Default: all."""

    @property
    def given(self) -> bool:
        return bool(self.base or self.aligned or self.prompts or self.veneer)

    def needed(self) -> tuple[str, str, str]:
        """(base, aligned, prompts). Raises InputError where one is missing."""
        if not (self.base and self.aligned and self.prompts):
            raise InputError(
                "there is nothing to compare; give --base, --aligned and --prompts, or --teacher "
                "with --responses, or --paper"
            )
        return self.base, self.aligned, self.prompts


@dataclass(frozen=True, kw_only=True)
class StoredOptions:
    """Stored answers in place of models."""

    teacher: Annotated[str | None, Option(metavar="[NAME=]FILE")] = None
    """Stored answers of the aligned model: FILE or NAME=FILE; with --paper a name, by default
    llama-2-chat."""
    responses: Annotated[tuple[str, ...], Option(metavar="NAME=FILE")] = ()
    """Stored answers of the other systems, in any format of `veneer import`."""
    base_name: Annotated[str, Option(metavar="NAME")] = "base"
    """The one of --responses that is the scale's zero; with --paper llama-2-base by default."""
    oracles: Annotated[tuple[str, ...], Option(metavar="NAME")] = ()
    """Those of --responses that have seen the test answers."""
    format: str = "auto"
    """Format of the stored answers."""
    paper: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the published answers (LIMA-OE/outputs/SYSTEM/samples.jsonl)."""
    bertscore: Annotated[tuple[str, ...], Option(metavar="FILE")] = ()
    """Stored BERTScore files with the teacher as reference, which are read instead of computed."""

    @property
    def given(self) -> bool:
        return bool(self.teacher or self.responses or self.paper)

    def refuse_where_unused(self) -> None:
        """Raise InputError for options that only go with --teacher and --responses."""
        options = {
            "--oracles": (self.oracles, self.paper),
            "--bertscore": (self.bertscore, self.paper),
            "--base-name": (self.base_name != "base", None),
        }
        for option, (given, against) in options.items():
            if given and (not self.given or against):
                raise InputError(f"{option} is for --teacher with --responses; leave it out here")


@dataclass(frozen=True, kw_only=True)
class RecoverCommand:
    """Compare what a base model answers in context, and with a veneer, with its aligned model:
    similarity to the aligned model's answers on a scale from base (0) to the ceiling that the
    aligned model's other samples make (1), with an equivalence test. From models (--base,
    --aligned, --prompts), or from stored answers (--teacher, --responses, or --paper). Resumes
    if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer recover --base lab:base --aligned lab:aligned --prompts lab-harmless --limit 8 "
        "--variants urial,random-2 --samples 3 --max-new-tokens 16 --out recover",
        "veneer recover --teacher aligned.jsonl --responses base=base.jsonl other=other.jsonl "
        "--out recover-stored",
    )

    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for the answers, the results and the report."""
    peers: Annotated[tuple[str, ...], Option(metavar="NAME[=MODEL]")] = ()
    """Other aligned models, each a ceiling of its own: NAME=MODEL, or with stored answers the names
    among --responses."""
    models: ModelOptions = field(default_factory=ModelOptions)
    templates: PairTemplates = field(default_factory=PairTemplates)
    stored: StoredOptions = field(default_factory=StoredOptions)
    method: RecoverySettings = field(default_factory=RecoverySettings)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.studies.recovery.show import show

        self._check()
        with progress_line() as progress:
            if self.stored.given:
                results, teacher = self._recover_stored(progress)
            else:
                results, teacher = self._recover_models(progress), "aligned"
        present(results, self.out, lambda: show(results, teacher))

    def _check(self) -> None:
        if self.stored.given and self.models.given:
            raise InputError(
                "models and stored answers are both given; give --base, --aligned and --prompts, "
                "or --teacher and --responses"
            )
        if self.stored.given:
            where = "with stored answers"
            refuse_unused(self.templates, where)
            refuse_unused(self.models, where)
            self.machine.refuse_loading(where)
            made = ("variants", "own_summaries", "published", "samples", "temperature")
            refuse_unused(self.method, where, *made, "max_new_tokens", "batch_size")
        else:
            self.models.needed()
            peers = (peer.partition("=")[2] or peer for peer in self.peers)
            self.machine.refuse_unread(self.models.base, self.models.aligned, *peers)
            refuse_unused(self.stored, "without stored answers", "format")
            if not any(v.summaries for v in self.method.prompts):
                where = "without a summary variant in --variants"
                refuse_unused(self.method, where, "own_summaries")
        self._refuse_unread()
        self.stored.refuse_where_unused()
        if self.stored.paper and self.peers:
            raise InputError("--paper has its own aligned models; leave out --peers")

    def _refuse_unread(self) -> None:
        """Raise SettingError for options of measures and judges that are not in use."""
        variants = () if self.stored.given else self.method.prompts
        asks = "judge" in self.method.measures
        writes = any(v.summaries for v in variants)
        asks = asks or (writes and not self.method.own_summaries)
        self.judge.refuse_unread(asks=asks, keeps=asks or writes)
        if "embedding" not in self.method.measures and not any(v.nearest_by for v in variants):
            where = "without a measure or a variant that embeds"
            refuse_unused(self.method, where, "embedder", "cut")
        if self.method.absolute_margin is not None:
            refuse_unused(self.method, "with --absolute-margin", "margin")

    def _recover_models(self, progress: Progress) -> Results:
        from veneer.head.veneer import Veneer
        from veneer.studies.recovery.study import recover_models
        from veneer.tasks.source import load_prompts, refuse_unread
        from veneer.terminal.pairs import named

        models = self.models
        base, aligned, source = models.needed()
        peers = named(self.peers, "--peers", "NAME=MODEL")
        prompts = load_prompts(
            source,
            data=data_folder(models.data),
            split="test",
            limit=models.limit,
            measured=False,
        )
        refuse_unread(models, source)
        veneer = None if models.veneer is None else Veneer.load(models.veneer)
        pair = (base, aligned, self.templates, self.machine)
        return recover_models(
            lambda: load_pair(*pair),
            prompts,
            self.out,
            self.method,
            judge=self.judge,
            veneer=veneer,
            peers=lambda: self._load_peers(peers),
            settings={
                **pair_settings(*pair),
                "veneer": None if veneer is None else veneer.identity(),
                "peers": peers,
            },
            progress=progress,
        )

    def _load_peers(self, peers: dict[str, str]) -> list[System]:
        from veneer.models.load import load_model
        from veneer.systems.system import System

        chat = self.templates.chat_format(self.templates.system)
        loaded = {name: load_model(model, **self.machine.how()) for name, model in peers.items()}
        return [System(name, lm, chat, lm.stop_ids) for name, lm in loaded.items()]

    def _recover_stored(self, progress: Progress) -> tuple[Results, str]:
        """(results, the teacher's name)"""
        from veneer.studies.recovery.published_answers import BASE, TEACHER, paper_layout
        from veneer.studies.recovery.study import recover_stored

        stored = self.stored
        if stored.paper is None:
            layout = self._layout()
        elif stored.responses:
            raise InputError("--paper brings its own answers; leave out --responses, or --paper")
        else:
            base = BASE if stored.base_name == "base" else stored.base_name
            layout = paper_layout(Path(stored.paper), stored.teacher or TEACHER, base)
        results = recover_stored(
            layout.teacher,
            layout.responses,
            self.out,
            self.method,
            judge=self.judge,
            base=layout.base,
            peers=layout.peers,
            oracles=layout.oracles,
            format=stored.format,
            scores=layout.scores,
            progress=progress,
        )
        return results, layout.teacher[0]

    def _layout(self) -> Layout:
        """The files that --teacher, --responses and --bertscore name."""
        from veneer.studies.recovery.published_answers import Layout
        from veneer.terminal.pairs import named

        stored = self.stored
        if stored.teacher is None:
            raise InputError("--responses are compared with a teacher's; give --teacher FILE too")
        name, equals, file = stored.teacher.partition("=")
        return Layout(
            (name, Path(file)) if equals else ("aligned", Path(name)),
            {n: Path(f) for n, f in named(stored.responses, "--responses", "NAME=FILE").items()},
            stored.base_name,
            list(self.peers),
            list(stored.oracles),
            [Path(f) for f in stored.bertscore],
        )
