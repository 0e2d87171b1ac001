"""Recovery: how near in-context prompts, a veneer or any other system bring a base model to its
aligned one (docs/recovery.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from veneer.embed import Embedder, load_embedder
from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock, json_lines, sha256_file, sha256_text, write_text
from veneer.foundation.progress import Progress
from veneer.foundation.results import Results
from veneer.foundation.run_record import RunRecord
from veneer.head.veneer import Veneer
from veneer.judges.asker import Asker, LocalAsker, asker_of
from veneer.judges.config import JudgeConfig
from veneer.models.decode import Sampling
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.report import write_report
from veneer.studies.recovery.answers import InContext
from veneer.studies.recovery.compare import Compared, Entry, compare, placed
from veneer.studies.recovery.prompts import query
from veneer.studies.recovery.rows import answer_rows, example_rows, rows, verdict_rows
from veneer.studies.recovery.similarity import Embedded, Judged, Lexical, Measure
from veneer.studies.recovery.stored import line_up, read_answers, read_scores
from veneer.studies.recovery.variants import Variant, parse_variant
from veneer.systems.responses import Response
from veneer.systems.system import Answering

MEASURES = ("lexical", "embedding", "bertscore", "judge")


@dataclass(frozen=True, slots=True)
class RecoverConfig:
    """variants: names as in studies/recovery/variants.py. samples, temperature: answers a prompt
    and how they are drawn. measures: of MEASURES. embedder: for the measure and for the nearest
    prompts. encoder: folder of BERTScore's encoder. margin: of the equivalence test, as a share of
    the distance from base to ceiling; absolute_margin: in the measure's unit instead. judges: the
    judge model of the measure "judge", which also writes the summaries of the semantic hint, unless
    `own_summaries`: then the teacher does. published: the paper's prompts with their joined
    lines."""

    variants: tuple[str, ...] = ()
    samples: int = 5
    temperature: float = 0.5
    max_new_tokens: int = 256
    batch_size: int = 32
    measures: tuple[str, ...] = ("lexical", "embedding")
    embedder: str | None = None
    encoder: str | None = None
    margin: float = 0.1
    absolute_margin: float | None = None
    judges: JudgeConfig = field(default_factory=JudgeConfig)
    own_summaries: bool = False
    published: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.temperature < 0 or (self.samples > 1 and self.temperature == 0):
            raise InputError(
                f"found {self.samples} samples at temperature {self.temperature}; expected a "
                "temperature above 0, or one sample at 0"
            )
        if not 0 < self.margin < 1:
            raise InputError(
                f"the margin is {self.margin}; expected a share of the distance from base to "
                "ceiling between 0 and 1"
            )
        if self.absolute_margin is not None and not self.absolute_margin > 0:
            raise InputError(
                f"the absolute margin is {self.absolute_margin}; expected a number above 0, in "
                "the measure's unit"
            )
        unknown = [m for m in self.measures if m not in MEASURES]
        if unknown or not self.measures:
            raise InputError(
                f"there is no measure {unknown[0] if unknown else ''!r}; expected some of "
                f"{', '.join(MEASURES)}"
            )
        if "bertscore" in self.measures and self.encoder is None:
            raise InputError(
                "BERTScore needs an encoder; give its folder with --encoder, or leave bertscore "
                "out of --measures"
            )
        if (
            not self._has_judge()
            and any(v.summaries for v in self.chosen())
            and not self.own_summaries
        ):
            raise InputError(
                "the summary variants need somebody who writes summaries; give a judge model "
                "(--judge-url and --judge-model, or --judge-local), or --own-summaries: the "
                "aligned model itself"
            )
        if "judge" in self.measures and not self._has_judge():
            raise InputError(
                "the measure judge needs a judge model; give --judge-url and --judge-model, or "
                "--judge-local MODEL"
            )

    def _has_judge(self) -> bool:
        return any((self.judges.url, self.judges.model, self.judges.local))

    def facts(self) -> dict[str, Any]:
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "judges": self.judges.facts(),
        }

    def chosen(self) -> list[Variant]:
        return [parse_variant(v) for v in self.variants]

    def sampling(self) -> Sampling:
        return Sampling(self.max_new_tokens, temperature=self.temperature, seed=self.seed)


def recover_stored(
    teacher: tuple[str, Path],
    responses: Mapping[str, Path],
    out: str | Path,
    config: RecoverConfig | None = None,
    *,
    base: str = "base",
    peers: Sequence[str] = (),
    oracles: Sequence[str] = (),
    format: str = "auto",
    scores: Sequence[Path] = (),
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Compare stored answers (any format of `imports`) with the teacher's and write a study folder.

    teacher: (name, file). responses: name -> file. base: the name of the scale's zero. peers: names
    of other aligned models, each a ceiling of its own. oracles: names of systems that have seen the
    test answers. scores: stored BERTScore files with the teacher as reference. Raises InputError
    for unknown names, before anything is written.
    """
    config = config or RecoverConfig()
    name, path = teacher
    for asked in (base, *peers, *oracles):
        if asked not in responses:
            raise InputError(
                f"there are no answers of {asked!r}; found {', '.join(responses) or 'none'}: name "
                "it in --responses"
            )
    if name in responses:
        raise InputError(
            f"the teacher's name {name!r} is among the responses too; give the teacher's "
            "answers once"
        )
    files = {name: path, **responses}
    taught, notes, queries = read_answers(path, name, format)
    answers: dict[str, list[Response]] = {}
    for system, file in responses.items():
        answers[system], found, more_queries = read_answers(file, system, format)
        notes += found
        queries = {**more_queries, **queries}
    lined = line_up(taught, answers)
    hashes = {n: sha256_file(p) for n, p in files.items()}
    if scores and "bertscore" in config.measures:
        raise InputError(
            "BERTScore is both stored and to be computed; leave bertscore out of --measures, "
            "or --bertscore"
        )
    stored, hashcode = read_scores(scores, name)
    hashes |= {p.name: sha256_file(p) for p in scores}
    settings = {
        **(said or {}),
        "files": hashes,
        "base": base,
        "peers": list(peers),
        "settings": config.facts(),
    }
    with folder_lock(Path(out)):
        record = RunRecord(Path(out), "recover", settings)
        if record.finished:
            return Results.read(Path(out) / "results.jsonl")
        measures = _measures(
            config, None, _judge(config, Path(out)), [queries.get(i, "") for i in lined.ids]
        )
        record.note(imported=[*notes, *lined.notes], seeds={"intervals": config.seed})
        entries = [
            Entry(
                s, a, "oracle: it has seen the test answers" if s in oracles else None, s in peers
            )
            for s, a in lined.systems.items()
        ]
        more = []
        if stored:
            more.append(
                placed(
                    stored,
                    "bertscore",
                    f"bertscore {hashcode}",
                    base=base,
                    peers=peers,
                    fraction=config.margin,
                    margin=config.absolute_margin,
                    seed=config.seed,
                )
            )
        return _finish(
            Path(out),
            record,
            config,
            measures,
            name,
            lined.teacher,
            entries,
            base,
            [],
            progress,
            more=more,
        )


def recover_models(
    load: Callable[[], Pair],
    prompts: Sequence[Prompt],
    out: str | Path,
    config: RecoverConfig | None = None,
    *,
    veneer: Veneer | None = None,
    more: Callable[[], Sequence[Answering]] | None = None,
    peers: Callable[[], Sequence[Answering]] | None = None,
    said: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Let base, base in context, the veneer, any further systems and the aligned model answer the
    prompts, and compare.

    load: gives the pair; not called where the folder is finished. more: further systems for the
    same scale (a shifted one), peers: other aligned models. Raises InputError where `out` was made
    with another configuration, or where prompts are too few for a variant.
    """
    config = config or RecoverConfig()
    out = Path(out)
    _check(prompts, config)
    asked = sha256_text(json_lines([p.id, p.task, list(p.messages), p.plain] for p in prompts))
    settings = {
        **(said or {}),
        "prompts": {"count": len(prompts), "sha256": asked},
        "settings": config.facts(),
    }
    with folder_lock(out):
        record = RunRecord(out, "recover", settings)
        if record.finished:
            return Results.read(out / "results.jsonl")
        embedder = load_embedder(config.embedder) if _embeds(config) else None
        judge = _judge(config, out)
        measures = _measures(config, embedder, judge, [query(p) for p in prompts])
        with record.stage("load"):
            pair = load().dated(record.day)
            if veneer is not None:
                veneer.check_fits(pair.base)
        record.note(pair=pair.facts(), seeds={"sampling": config.seed, "intervals": config.seed})
        writer = LocalAsker(pair.aligned, _cached(config, out)) if config.own_summaries else judge
        work = InContext(
            pair,
            prompts,
            out,
            config.sampling(),
            config.samples,
            config.batch_size,
            record,
            progress,
            config.published,
            writer,
        )
        teacher = work.teacher()
        material = work.material(config.chosen(), teacher, embedder)
        answered = {"base": work.base()}
        if veneer is not None:
            answered["veneer"] = work.veneer(veneer)
        for variant in config.chosen():
            answered[variant.name] = work.variant(variant, material)
        others = peers() if peers else ()
        for system in [*(more() if more else ()), *others]:
            if system.name in answered or system.name == "aligned":
                raise InputError(f"two systems are called {system.name!r}; give each its own name")
            answered[system.name] = work.answer(system, prompts)
        record.note(systems=work.facts, embedder=None if embedder is None else embedder.id)
        write_text(out / "in_context.jsonl", json_lines(work.shown))
        lined = line_up(teacher, answered)
        oracles = {v.name: v.oracle for v in config.chosen()}
        names = {s.name for s in others}
        entries = [Entry(s, a, oracles.get(s), s in names) for s, a in lined.systems.items()]
        extra = list(example_rows(work.examples, oracles, task=_task(prompts)))
        return _finish(
            out,
            record,
            config,
            measures,
            "aligned",
            lined.teacher,
            entries,
            "base",
            extra,
            progress,
            _task(prompts),
        )


def _finish(
    out: Path,
    record: RunRecord,
    config: RecoverConfig,
    measures: Sequence[Measure],
    teacher: str,
    taught: Sequence[Sequence[str]],
    entries: Sequence[Entry],
    base: str,
    extra: Sequence,
    progress: Progress | None,
    task: str = "prompts",
    more: Sequence[Compared] = (),
) -> Results:
    """Rows, verdicts and report."""
    results = Results()
    compared = list(more)
    for measure in measures:
        with record.stage(f"compare {measure.name}"):
            found = compare(
                measure,
                taught,
                entries,
                base=base,
                fraction=config.margin,
                margin=config.absolute_margin,
                seed=config.seed,
                progress=progress,
            )
        compared.append(found)
    verdicts: list[dict[str, Any]] = []
    for found in compared:
        results.extend(rows(found, entries, teacher=teacher, task=task, seed=config.seed))
        verdicts += verdict_rows(found, entries, teacher=teacher)
    own = Entry(teacher, taught)
    results.extend(
        answer_rows(
            [*entries, own], task=task, asked=max(len(some) for some in taught), seed=config.seed
        )
    )
    results.extend(extra)
    write_text(out / "verdicts.jsonl", json_lines(verdicts))
    results.write(out / "results.jsonl")
    share = None if config.absolute_margin is not None else config.margin
    record.note(
        scale={"zero": base, "one": teacher, "margin": _margin(config), "margin_share": share}
    )
    with record.stage("report"):
        write_report([out], out / "report.html")
    record.finish()
    write_report([out], out / "report.html")  # once more, with all its seconds
    return results


def _measures(
    config: RecoverConfig, embedder: Embedder | None, judge: Asker | None, queries: Sequence[str]
) -> list[Measure]:
    found: list[Measure] = []
    for name in dict.fromkeys(config.measures):
        if name == "lexical":
            found.append(Lexical())
        elif name == "embedding":
            found.append(Embedded(embedder or load_embedder(config.embedder)))
        elif name == "judge":
            assert judge is not None
            found.append(Judged(judge, queries))
        else:
            from veneer.studies.recovery.similarity import BertScore

            assert config.encoder is not None
            found.append(BertScore(config.encoder))
    return found


def _judge(config: RecoverConfig, out: Path) -> Asker | None:
    """The judge model, where something asks for it."""
    needed = "judge" in config.measures or (
        any(v.summaries for v in config.chosen()) and not config.own_summaries
    )
    return asker_of(_cached(config, out)) if needed else None


def _cached(config: RecoverConfig, out: Path) -> JudgeConfig:
    return replace(config.judges, cache=config.judges.cache or out / "verdicts")


def _embeds(config: RecoverConfig) -> bool:
    return "embedding" in config.measures or any(v.kind.startswith("knn") for v in config.chosen())


def _check(prompts: Sequence[Prompt], config: RecoverConfig) -> None:
    """What can be refused before models are loaded."""
    least = max((v.k for v in config.chosen() if v.chosen), default=0) + 1
    if len(prompts) < max(least, 1):
        raise InputError(
            f"found {len(prompts)} prompts; the variants need at least {least}, so that each has "
            "others as examples"
        )
    if config.samples < 2:
        raise InputError(
            "one sample a prompt gives the aligned model no other samples, which are the ceiling; "
            "give --samples 2 or more"
        )


def _task(prompts: Sequence[Prompt]) -> str:
    names = {p.task for p in prompts}
    return names.pop() if len(names) == 1 else "prompts"


def _margin(config: RecoverConfig) -> str:
    if config.absolute_margin is not None:
        return f"{config.absolute_margin:g} in each measure's unit"
    return f"{config.margin:.0%} of the distance from base to ceiling"
