"""veneer diversity: is base's variety gone, filtered, or gathered into one answer?"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.foundation.settings import Option, refuse_unused
from veneer.judges.config import JudgeConfig
from veneer.studies.diversity.settings import DiversitySettings
from veneer.terminal.options import Machine, data_folder
from veneer.terminal.options import progress as progress_line
from veneer.terminal.output import TableOptions, as_json, present
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.embed import Embedder
    from veneer.foundation.results import Results
    from veneer.models.formats import Format
    from veneer.prompts.prompt import Prompt
    from veneer.studies.diversity.study import Judging
    from veneer.systems.system import System


@dataclass(frozen=True, kw_only=True)
class StoredFiles:
    """Stored answers, and judgements of them."""

    responses: Annotated[tuple[str, ...], Option(metavar="NAME=FILE")] = ()
    """Stored answers in any format of `veneer import`; `base` and `aligned` are the names that are
    compared."""
    drop_truncated: bool = False
    """Leave out answers that ended at the token limit. Default: they count, as in the published
    figures."""
    drop_empty: bool = False
    """Leave out answers without text. Default: they count; two of them are equal."""
    quality: Annotated[tuple[str, ...], Option(metavar="NAME=FILE")] = ()
    """Judgements of quality, of which --aspect is read."""
    stance: Annotated[tuple[str, ...], Option(metavar="NAME=FILE")] = ()
    """Judgements of stance (yes, no, both, other)."""
    novelty: Annotated[tuple[str, ...], Option(metavar="REFERENCE/ALTERNATIVE=FILE")] = ()
    """Judgements of what an alternative adds to a reference."""
    topics: Annotated[tuple[str, ...], Option(metavar="REFERENCE/ALTERNATIVE=FILE")] = ()
    """Judgements of topics in A (the reference), B or both."""

    def refuse_judgements(self) -> None:
        """Raise InputError for judgements of answers that do not exist yet."""
        for word in (*self.quality, *self.stance, *self.novelty, *self.topics):
            raise InputError(
                f"found {word} beside models, which have not answered yet; sample first, then "
                "give the files of OUT/responses with --responses"
            )


@dataclass(frozen=True, kw_only=True)
class SampledModels:
    """Models that answer, in place of stored answers."""

    base: str | None = None
    """The base model."""
    aligned: str | None = None
    """The aligned model; it must share base's tokenizer."""
    veneer: Annotated[tuple[str, ...], Option(metavar="FOLDER")] = ()
    """Folders of veneers: base with each of them is one more system."""


@dataclass(frozen=True, kw_only=True)
class SampledTemplates(TemplateOptions):
    """What the models read around each prompt (docs/chat-templates.md)."""

    base_format: Literal["plain", "query"] = "plain"
    """What base reads: the text as it is, or the fenced "# Query:" form of arXiv 2406.17692."""
    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes. Default: the text as it
    is."""
    system: str | None = None
    """System text for the aligned model's chat template. Default: the template's own."""
    aligned_plain: bool = False
    """The aligned model reads what base reads."""


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """The prompts that models answer, or that were answered where the answers are stored."""

    prompts: Annotated[str | None, Option(metavar="TASK|FILE")] = None
    """A task's name or a file of prompts. Beside stored answers: their texts, which join answers of
    several files and which a judge reads, and their clusters."""
    column: str | None = None
    """Column that holds the prompt, in a CSV or Parquet file or a hub data set."""
    data: Annotated[str | None, Option(metavar="FOLDER")] = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most this many prompts. Default: all."""

    def load(self) -> list[Prompt]:
        from veneer.tasks.source import load_prompts, refuse_unread

        if self.prompts is None:
            refuse_unused(self, "without --prompts", "column", "data")
            return []
        prompts = load_prompts(
            self.prompts,
            data=data_folder(self.data),
            column=self.column,
            limit=self.limit,
            split="test",
            measured=False,
        )
        refuse_unread(self, self.prompts)
        return prompts


@dataclass(frozen=True, kw_only=True)
class DiversityCommand:
    """Measure how much answers vary, how much of that variety quality control and aggregation
    remove, and which topics and stances the answers cover: from stored answers, or from models.
    Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer diversity --base lab:base --aligned lab:aligned --prompts lab-harmless --limit 8 "
        "--samples 3 --max-new-tokens 16 --out diversity",
        "veneer diversity --responses base=base.jsonl aligned=aligned.jsonl --out diversity-stored",
    )

    out: Annotated[str, Option(metavar="FOLDER")]
    """Folder for the results and the report."""
    stored: StoredFiles = field(default_factory=StoredFiles)
    models: SampledModels = field(default_factory=SampledModels)
    templates: SampledTemplates = field(default_factory=SampledTemplates)
    prompts: PromptOptions = field(default_factory=PromptOptions)
    method: DiversitySettings = field(default_factory=DiversitySettings)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    machine: Machine = field(default_factory=Machine)
    output: TableOptions = field(default_factory=TableOptions)

    def run(self) -> None:
        from veneer.studies.diversity.show import show_diversity

        if bool(self.stored.responses) == bool(self.models.base or self.models.aligned):
            raise InputError(
                "expected stored answers (--responses NAME=FILE ...) or models (--base, "
                "--aligned, --prompts), one of the two"
            )
        self._refuse_unused()
        results = self._study_stored() if self.stored.responses else self._study_models()
        present(results, self.out, lambda: show_diversity(results))

    def _refuse_unused(self) -> None:
        """Raise SettingError for options that nothing reads: those of models beside stored answers,
        of stored answers beside models, and of judgements where there are none."""
        method, stored, judged = self.method, self.stored, self.judge.names_model
        if stored.responses:
            where = "with stored answers"
            refuse_unused(self.models, where)
            refuse_unused(self.templates, where)
            self.machine.refuse_loading(where)
            sampling = ("samples", "temperature", "max_new_tokens", "batch_size")
            refuse_unused(method, where, *sampling)
        else:
            refuse_unused(stored, "without --responses", "drop_truncated", "drop_empty")
            self.machine.refuse_unread(self.models.base, self.models.aligned)
        self.judge.refuse_unread(asks=True)
        if not judged:
            refuse_unused(method, "without a judge model", "judge_for")
        if not stored.quality and not (judged and "quality" in method.judge_for):
            refuse_unused(method, "without judgements of quality", "threshold", "aspect")

    def _study_stored(self) -> Results:
        from veneer.imports import Rules
        from veneer.studies.diversity.stored import StoredMaterial, named_files, paired_files
        from veneer.studies.diversity.study import study_stored

        files = self.stored
        answers = StoredMaterial(self.prompts.limit)
        source = self.prompts.prompts or ""
        prompts = replace(self.prompts, limit=None).load()  # the answers say which come first
        rules = Rules(clean=False, drop_truncated=files.drop_truncated, drop_empty=files.drop_empty)
        named = named_files(files.responses, "--responses")
        answers.add_answers(named, rules, prompts, source)
        answers.add_judgements(
            named_files(files.quality, "--quality"),
            named_files(files.stance, "--stance"),
            paired_files(files.novelty, "--novelty"),
            paired_files(files.topics, "--topics"),
            self.method.aspect,
        )
        print("\n".join(answers.notes), file=sys.stderr if as_json() else sys.stdout)
        if Path(self.out).is_file():
            raise InputError(
                f"{self.out} is a file; expected a new or an empty folder: give another --out"
            )
        with progress_line() as progress:
            return study_stored(
                answers.material,
                Path(self.out),
                self.method,
                embedder=self._embedder(),
                judging=self._judging(answers.prompts),
                settings={**answers.settings, **self._settings()},
                facts={"imported": answers.notes},
                progress=progress,
            )

    def _study_models(self) -> Results:
        from veneer.studies.diversity.study import study_systems

        if not (self.models.base and self.models.aligned and self.prompts.prompts):
            raise InputError(
                "models are compared on prompts: expected --base, --aligned and --prompts together"
            )
        if self.method.samples < 2:
            raise InputError(
                f"--samples is {self.method.samples}; expected 2 or more: diversity is of the "
                "answers to one prompt"
            )
        prompts = self.prompts.load()
        self.stored.refuse_judgements()
        templates = ("base_format", "base_template", "system", "aligned_plain")
        with progress_line() as progress:
            return study_systems(
                lambda: self._systems(prompts),
                prompts,
                Path(self.out),
                self.method,
                embedder=self._embedder(),
                settings={
                    **self._settings(),
                    "prompts": self.prompts.prompts,
                    **{name: getattr(self.models, name) for name in ("base", "aligned", "veneer")},
                    **{name: getattr(self.templates, name) for name in templates},
                    **self.templates.template_words(),
                    **self.machine.how(),
                },
                progress=progress,
            )

    def _settings(self) -> dict[str, Any]:
        """What a second run into the same folder must share, whatever answers."""
        judge: dict[str, Any] = {}
        if self.judge.url or self.judge.local:
            judge = {"judges": self.judge.facts(), "judge_for": list(self.method.judge_for)}
        return {
            **judge,
            "limit": self.prompts.limit,
            "aspect": self.method.aspect,
            "drop_truncated": self.stored.drop_truncated,
            "drop_empty": self.stored.drop_empty,
        }

    def _embedder(self) -> Embedder | None:
        from veneer.embed import load_embedder

        method = self.method
        return None if method.embedder == "none" else load_embedder(method.embedder, cut=method.cut)

    def _judging(self, prompts: dict[str, Prompt]) -> Judging | None:
        """Asks the judge model, if there is one. That it can be asked is checked at once."""
        from veneer.judges.asker import asker_of
        from veneer.studies.diversity.judge_answers import ask_judge

        judge, method = self.judge, self.method
        if judge.url is None and judge.model is None and judge.local is None:
            return None
        asker = asker_of(replace(judge, cache=judge.cache or Path(self.out) / "verdicts"))
        return lambda material, run: ask_judge(
            material, prompts, asker, method.judge_for, aspect=method.aspect, progress=run.progress
        )

    def _systems(self, prompts: list[Prompt]) -> list[System]:
        """base, veneers, aligned. A veneer reads the format that it recorded; of several,
        --base-template chooses."""
        from veneer.head.veneer import Veneer
        from veneer.models.formats import given_format
        from veneer.models.pair import Pair
        from veneer.studies.diversity.study import QUERY_FORMAT, QUERY_STOP
        from veneer.systems.system import System

        models, templates = self.models, self.templates
        assert models.base is not None and models.aligned is not None
        query = templates.base_format == "query"
        if templates.base_template is not None and query:
            raise InputError("found both --base-template and --base-format query; give one of them")
        chat = templates.chat_format(templates.system)
        plain = QUERY_FORMAT if query else given_format(templates.base_template, chat)
        veneers = dict(
            zip(self._veneer_names(), [Veneer.load(v) for v in models.veneer], strict=True)
        )
        if templates.aligned_plain:
            templates.refuse_template_options("beside --aligned-plain")
        aligned = plain if templates.aligned_plain else chat
        pair = Pair.load(
            models.base,
            models.aligned,
            base_format=plain,
            aligned_format=aligned,
            **self.machine.how(),
        )
        stops, fence = pair.stop_ids, QUERY_STOP if query else ()
        with_veneer = [
            System.of_model(pair.base, v, name=n, format=self._veneer_format(v.facts, prompts))
            for n, v in veneers.items()
        ]
        return [
            System("base", pair.base, plain, stops, stop=fence),
            *(replace(system, stop_ids=stops) for system in with_veneer),
            System(
                "aligned",
                pair.aligned,
                pair.aligned_format,
                pair.aligned_stop_ids,
                stop=fence if templates.aligned_plain else (),
            ),
        ]

    def _veneer_names(self) -> list[str]:
        folders = self.models.veneer
        names = ["veneer"] if len(folders) == 1 else [f"veneer-{Path(v).name}" for v in folders]
        if len(set(names)) < len(names):
            raise InputError(
                f"two veneers have the same folder name ({', '.join(names)}); rename one of "
                "the folders"
            )
        return names

    def _veneer_format(self, facts: dict[str, Any], prompts: list[Prompt]) -> Format:
        from veneer.head.recorded import chosen_format, recorded_format
        from veneer.models.formats import given_format

        templates = self.templates
        chosen = None
        if templates.base_template is not None:
            chosen = given_format(templates.base_template, templates.chat_format(templates.system))
        return recorded_format(facts) or chosen or chosen_format(facts, prompts)
