"""veneer diversity: is base's variety gone, filtered, or gathered into one answer?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from veneer.terminal.options import JudgeOptions, Machine, data_folder, progress
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from veneer.embed import Embedder
    from veneer.prompts.prompt import Prompt
    from veneer.studies.diversity.answers_table import Judgements, Material
    from veneer.studies.diversity.study import DiversityConfig
    from veneer.systems.system import System


@dataclass(frozen=True, kw_only=True)
class Diversity(TemplateOptions, JudgeOptions, Machine):
    """Diversity of answers, what quality control and aggregation take of it, coverage, stances: of
    stored answers, or of models."""

    out: str
    """Folder for the results and the report."""
    responses: tuple[str, ...] = ()
    """Stored answers, NAME=FILE each, in any format of `veneer import`; `base` and `aligned` are
    the names that are compared."""
    quality: tuple[str, ...] = ()
    """Judgements of helpfulness, NAME=FILE each."""
    stance: tuple[str, ...] = ()
    """Judgements of stance (yes, no, both, other), NAME=FILE each."""
    novelty: tuple[str, ...] = ()
    """Judgements of what an alternative adds to a reference, REFERENCE/ALTERNATIVE=FILE each."""
    topics: tuple[str, ...] = ()
    """Judgements of topics in A (the reference), B or both, REFERENCE/ALTERNATIVE=FILE each."""
    judge_for: tuple[Literal["quality", "stance", "novelty", "topics"], ...] = ("quality",)
    """What a judge model (--judge-url and --judge-model, or --judge-local) is asked about, where no
    stored judgements are given."""
    aspect: str = "helpfulness"
    """Aspect of the quality judgements that filters."""
    drop_truncated: bool = False
    """Leave out stored answers that ended at the token limit. Default: they count, as in the
    published figures."""
    drop_empty: bool = False
    """Leave out stored answers without text. Default: they count; two of them are equal."""
    base: str | None = None
    """The base model."""
    aligned: str | None = None
    """The aligned model."""
    veneer: tuple[str, ...] = ()
    """Folders of veneers: base with each of them is one more system."""
    prompts: str | None = None
    """A task's name or a file of prompts: what the models answer; with stored answers,
    what a judge reads."""
    base_format: Literal["plain", "query"] = "plain"
    """What base reads: the text as it is, or the fenced "# Query:" form of arXiv 2406.17692."""
    base_template: str | None = None
    """Text around each prompt for base, with {prompt} where it goes."""
    system: str | None = None
    """System text for the aligned model's chat template."""
    aligned_plain: bool = False
    """The aligned model reads what base reads."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    column: str | None = None
    """Column that holds the prompt, of a CSV or Parquet file or a hub data set."""
    limit: int | None = None
    """At most so many prompts. Default: all."""
    samples: int = 5
    """Answers a prompt and model."""
    temperature: float = 0.5
    """Of sampling."""
    max_new_tokens: int = 256
    """Longest answer, in tokens."""
    batch_size: int = 32
    """Answers that are made together."""
    threshold: float = 4.0
    """Helpfulness that an answer must reach in the decomposition; the filter is shown at
    every threshold."""
    vendi: tuple[float, ...] = (1.0,)
    """Orders q of the Vendi score; inf is one."""
    embedder: str = "minilm"
    """minilm, model2vec:NAME, a sentence-transformers folder or hub id; none leaves
    semantic measures out."""
    seed: int = 0
    """Of sampling and of the intervals."""

    def run(self) -> None:
        from veneer.foundation.errors import InputError
        from veneer.studies.diversity.study import DiversityConfig

        if bool(self.responses) == bool(self.base or self.aligned):
            raise InputError(
                "expected stored answers (--responses NAME=FILE ...) or models (--base, "
                "--aligned, --prompts), one of the two"
            )
        if self.responses:
            self.refuse_template_options("--responses")
        config = DiversityConfig(
            self.samples,
            self.temperature,
            self.max_new_tokens,
            self.batch_size,
            self.threshold,
            tuple(self.vendi),
            self.seed,
        )
        self._stored(config) if self.responses else self._models(config)

    def _stored(self, config: DiversityConfig) -> None:
        from veneer.foundation.files import sha256_file
        from veneer.imports import Rules, read_stored
        from veneer.studies.diversity.answers_table import Material, by_prompt
        from veneer.studies.diversity.study import study_stored

        rules = Rules(clean=False, drop_truncated=self.drop_truncated, drop_empty=self.drop_empty)
        files = _named(self.responses, "--responses")
        material, lines, said = Material("prompts", {}), [], {}
        texts = {p.id: p for p in self._prompts()} if self.prompts else {}
        asked: dict[str, int] = {}
        for name, path in files.items():
            found = read_stored(path, rules=rules, system=name)
            keep = {p: None for p in dict.fromkeys(r.prompt_id for r in found.responses)}
            wanted = set(list(keep)[: self.limit])
            material.answers[name] = by_prompt(r for r in found.responses if r.prompt_id in wanted)
            texts = {**{p.id: p for p in found.prompts}, **texts}
            asked[name] = found.facts.get("prompts", len(keep))
            lines += found.summary()
            said[f"responses {name}"] = {"file": str(path), "sha256": sha256_file(path)}
        said |= self._judgements(material, asked)
        print("\n".join(lines))
        self._check_out()
        with progress() as say:
            results = study_stored(
                material,
                Path(self.out),
                config,
                embedder=self._embedder(),
                said={**said, **self._said()},
                facts={"imported": lines},
                judge=self._judge(texts, say),
                progress=say,
            )
        self._show(results)

    def _models(self, config: DiversityConfig) -> None:
        from veneer.foundation.errors import InputError
        from veneer.studies.diversity.study import study_systems

        if not (self.base and self.aligned and self.prompts):
            raise InputError(
                "models are compared on prompts: expected --base, --aligned and --prompts together"
            )
        prompts = self._prompts()
        for row in (*self.quality, *self.stance, *self.novelty, *self.topics):
            raise InputError(
                f"found {row} beside models, whose answers are not there yet; sample first, then "
                "give the files of OUT/responses with --responses"
            )
        embedder = self._embedder()
        said = {
            **self._said(),
            "prompts": self.prompts,
            **{
                k: getattr(self, k)
                for k in (
                    "base",
                    "aligned",
                    "veneer",
                    "base_format",
                    "base_template",
                    "system",
                    "aligned_plain",
                    "device",
                    "dtype",
                    "revision",
                    "trust_remote_code",
                )
            },
            **self.template_words(),
        }
        with progress() as say:
            results = study_systems(
                lambda: self._systems(prompts),
                prompts,
                Path(self.out),
                config,
                embedder=embedder,
                said=said,
                progress=say,
            )
        self._show(results)

    def _prompts(self) -> list[Prompt]:
        from veneer.tasks.source import load_prompts

        assert self.prompts is not None
        return load_prompts(
            self.prompts,
            data=data_folder(self.data),
            column=self.column,
            limit=self.limit,
            split="test",
        )

    def _judge(
        self, texts: dict[str, Prompt], say: Callable[[int, int, str], None]
    ) -> Callable[[Material], None] | None:
        """Asks the judge model, if there is one. That it can be asked is checked at once."""
        from dataclasses import replace

        from veneer.judges.asker import asker_of
        from veneer.studies.diversity.judge_answers import ask_judge

        config = self.judges()
        if config.url is None and config.model is None and config.local is None:
            return None
        asker = asker_of(replace(config, cache=config.cache or Path(self.out) / "verdicts"))
        return lambda material: ask_judge(
            material, texts, asker, self.judge_for, aspect=self.aspect, progress=say
        )

    def _systems(self, prompts: list[Prompt]) -> list[System]:
        """base, veneers, aligned. A veneer reads the format that it recorded; of several,
        --base-template chooses."""
        from dataclasses import replace

        from veneer.foundation.errors import InputError
        from veneer.head.recorded import chosen_format, recorded_format
        from veneer.head.veneer import Veneer
        from veneer.models.formats import Format, given_format
        from veneer.models.pair import Pair
        from veneer.studies.diversity.study import QUERY_FORMAT, QUERY_STOP
        from veneer.systems.system import System

        assert self.base is not None and self.aligned is not None
        if self.base_template is not None and self.base_format == "query":
            raise InputError("found both --base-template and --base-format query; give one of them")
        query = self.base_format == "query"
        plain = (
            QUERY_FORMAT
            if query
            else given_format(self.base_template, self.chat_format(self.system))
        )
        veneers = [Veneer.load(v) for v in self.veneer]
        if self.aligned_plain:
            self.refuse_template_options("--aligned-plain")
        aligned = plain if self.aligned_plain else self.chat_format(self.system)
        pair = Pair.load(
            self.base, self.aligned, base_format=plain, aligned_format=aligned, **self.how()
        )
        stops, fence = pair.stop_ids, QUERY_STOP if query else ()
        names = ["veneer"] if len(veneers) == 1 else [f"veneer-{Path(v).name}" for v in self.veneer]
        if len(set(names)) < len(names):
            raise InputError(
                f"two veneers have the same folder name ({', '.join(names)}); rename one of "
                "the folders"
            )

        def reads(veneer: Veneer) -> Format:
            chosen = (
                given_format(self.base_template, self.chat_format(self.system))
                if self.base_template is not None
                else None
            )
            return recorded_format(veneer.facts) or chosen or chosen_format(veneer.facts, prompts)

        with_veneer = [
            replace(System.of_model(pair.base, v, name=n, format=reads(v)), stop_ids=stops)
            for n, v in zip(names, veneers, strict=True)
        ]
        return [
            System("base", pair.base, plain, stops, stop=fence),
            *with_veneer,
            System(
                "aligned",
                pair.aligned,
                pair.aligned_format,
                pair.aligned_stop_ids,
                stop=fence if self.aligned_plain else (),
            ),
        ]

    def _judgements(self, material: Material, asked: dict[str, int]) -> dict[str, Any]:
        """Stored judgements of the answers at hand. asked: how many prompts each file of
        answers is about."""
        from veneer.foundation.errors import InputError
        from veneer.studies.diversity.judgements import ASPECTS, aspect, novelty, stance, topics

        if self.aspect not in ASPECTS:
            raise InputError(
                f"there is no aspect {self.aspect!r}; expected one of {', '.join(ASPECTS)}"
            )
        said: dict[str, Any] = {}
        for name, path in _named(self.quality, "--quality").items():
            material.helpfulness[name] = self._read(
                path, aspect(self.aspect), material, name, asked, said
            )
        for name, path in _named(self.stance, "--stance").items():
            material.stance[name] = self._read(path, stance, material, name, asked, said)
        for (reference, name), path in _pairs(self.novelty, "--novelty").items():
            material.novelty[reference, name] = self._read(
                path, novelty, material, name, asked, said
            )
        for (reference, name), path in _pairs(self.topics, "--topics").items():
            material.topics[reference, name] = self._read(path, topics, material, name, asked, said)
        return said

    def _read(
        self,
        path: Path,
        parse: Callable[[str], Any],
        material: Material,
        name: str,
        asked: dict[str, int],
        said: dict[str, Any],
    ) -> Judgements[Any]:
        """Of the prompts that the system's answers are about."""
        from veneer.foundation.files import sha256_file
        from veneer.studies.diversity.answers_table import read_judgements

        found = read_judgements(path, parse, prompts=asked.get(name))
        said[f"judgements {path}"] = sha256_file(path)
        if self.limit is not None and name in material.answers:
            found.values = {
                p: row for p, row in found.values.items() if p in material.answers[name]
            }
        return found

    def _said(self) -> dict[str, Any]:
        config = self.judges()
        asked = (
            {"judges": config.facts(), "judge_for": list(self.judge_for)}
            if config.url or config.local
            else {}
        )
        return {
            **asked,
            "limit": self.limit,
            "aspect": self.aspect,
            "drop_truncated": self.drop_truncated,
            "drop_empty": self.drop_empty,
        }

    def _embedder(self) -> Embedder | None:
        from veneer.embed import load_embedder

        return None if self.embedder == "none" else load_embedder(self.embedder)

    def _check_out(self) -> None:
        from veneer.foundation.errors import InputError

        if Path(self.out).is_file():
            raise InputError(
                f"{self.out} is a file; expected a new or an empty folder: give another --out"
            )

    def _show(self, results: Any) -> None:
        from veneer.studies.diversity.show import show_diversity

        show_diversity(results)
        print(f"\nreport: {Path(self.out) / 'report.html'}")


def _named(rows: tuple[str, ...], option: str) -> dict[str, Path]:
    """NAME=FILE, each name once."""
    from veneer.foundation.errors import InputError

    found: dict[str, Path] = {}
    for row in rows:
        name, sign, path = row.partition("=")
        if not sign or not name or not path:
            raise InputError(f"found {option} {row}; expected NAME=FILE")
        if name in found:
            raise InputError(f"found {option} {name} twice; give each name once")
        if not Path(path).is_file():
            raise InputError(
                f"{path} ({option} {name}) "
                f"{'is a folder' if Path(path).is_dir() else 'does not exist'}; expected a file"
            )
        found[name] = Path(path)
    return found


def _pairs(rows: tuple[str, ...], option: str) -> dict[tuple[str, str], Path]:
    from veneer.foundation.errors import InputError

    found = {}
    for name, path in _named(rows, option).items():
        reference, sign, alternative = name.partition("/")
        if not (sign and reference and alternative):
            raise InputError(
                f"found {option} {name}=...; expected REFERENCE/ALTERNATIVE=FILE, such as "
                "aligned/base=FILE"
            )
        found[reference, alternative] = path
    return found
