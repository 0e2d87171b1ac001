"""veneer recover: how near in-context prompts and a veneer bring a base model to
its aligned one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from veneer.terminal.options import JudgeOptions, PairOptions, data_folder, progress

if TYPE_CHECKING:
    from veneer.foundation.results import Results
    from veneer.studies.recovery.study import RecoverConfig
    from veneer.systems.system import System


@dataclass(frozen=True, kw_only=True)
class Recover(JudgeOptions, PairOptions):
    """Compare what a base model answers in context, and with a veneer, with its aligned model:
    similarity to the aligned model's answers on a scale from base (0) to the ceiling that the
    aligned model's other samples make (1), with an equivalence test. From models (--base,
    --aligned, --prompts), or from stored answers (--teacher, --responses, or --paper)."""

    base: str = ""
    """The base model."""
    aligned: str = ""
    """The aligned model, whose answers are the teacher's; it must share base's tokenizer."""
    out: str
    """Folder for the answers, the results and the report."""
    prompts: str | None = None
    """Prompt file, hub data set or a task's name."""
    variants: str = "urial,random-3,knn-prompt-3"
    """In-context prompts, separated by commas: urial, urial-teacher, random-K, knn-prompt-K,
    knn-response-K, summary, summary-cot. K is the number of examples. knn-response and summary are
    oracles: they have seen the test answer, and are marked."""
    veneer: str | None = None
    """Folder of a veneer to put on the same scale."""
    own_summaries: bool = False
    """The aligned model writes the summaries of the summary variants itself. Default: the
    judge model does."""
    peers: tuple[str, ...] = ()
    """Other aligned models, each a ceiling of its own: NAME=MODEL, or with stored answers the names
    among --responses."""
    samples: int = 5
    """Answers a prompt; the aligned model's first is the reference, its others are the ceiling."""
    temperature: float = 0.5
    """Of sampling."""
    max_new_tokens: int = 256
    """Longest answer, in tokens. Examples are dropped from a prompt that would not fit the
    context with it."""
    published: bool = False
    """In-context prompts byte for byte as the paper's, which join two lines of the instructions."""
    teacher: str | None = None
    """Stored answers of the aligned model: FILE or NAME=FILE; with --paper a name, by
    default llama-2-chat."""
    responses: tuple[str, ...] = ()
    """Stored answers of the others: NAME=FILE, as many as there are. Any format that `veneer
    diversity` reads."""
    base_name: str = "base"
    """Which of --responses is the scale's zero."""
    oracles: tuple[str, ...] = ()
    """Which of --responses have seen the test answers."""
    format: str = "auto"
    """Format of stored answers."""
    paper: str | None = None
    """Folder with the published answers (LIMA-OE/outputs/SYSTEM/samples.jsonl)."""
    measures: str = "lexical,embedding"
    """Similarities, separated by commas: lexical, embedding, bertscore, judge."""
    embedder: str | None = None
    """Embedding model: minilm (default), a sentence-transformers folder or hub
    id, model2vec:NAME."""
    bertscore: tuple[str, ...] = ()
    """Stored BERTScore files with the teacher as reference, to be read instead of computed."""
    encoder: str | None = None
    """Folder of the encoder for bertscore."""
    margin: float = 0.1
    """Margin of the equivalence test, as a share of the distance from base to ceiling."""
    absolute_margin: float | None = None
    """The margin in the measure's unit instead."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    limit: int | None = None
    """At most so many prompts."""
    batch_size: int = 16
    """Prompts answered together."""
    seed: int = 0
    """Of sampling, of random examples and of the intervals."""

    def run(self) -> None:
        from veneer.foundation.errors import InputError

        stored = bool(self.teacher or self.responses or self.paper)
        if stored and (self.base or self.aligned or self.prompts or self.veneer):
            raise InputError(
                "models and stored answers are both given; give --base, --aligned and --prompts, "
                "or --teacher and --responses"
            )
        if stored:
            self.refuse_template_options("stored answers")
        if not stored and not (self.base and self.aligned and self.prompts):
            raise InputError(
                "there is nothing to compare; give --base, --aligned and --prompts, or --teacher "
                "with --responses, or --paper"
            )
        stored_only = {
            "--oracles": self.oracles,
            "--bertscore": self.bertscore,
            "--base-name": self.base_name != "base",
        }
        for option, given in stored_only.items():
            if given and (not stored or self.paper):
                raise InputError(f"{option} is for --teacher with --responses; leave it out here")
        if self.paper and self.peers:
            raise InputError("--paper knows its aligned models; leave out --peers")
        with progress() as say:
            results, teacher = self._stored(say) if stored else (self._models(say), "aligned")
        show(results, teacher, Path(self.out))
        print(f"\nreport: {Path(self.out) / 'report.html'}")

    def _config(self, variants: str) -> RecoverConfig:
        from veneer.studies.recovery.study import RecoverConfig
        from veneer.studies.recovery.variants import parse_variants

        return RecoverConfig(
            variants=tuple(v.name for v in parse_variants(variants)),
            samples=self.samples,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            batch_size=self.batch_size,
            measures=_names(self.measures),
            embedder=self.embedder,
            encoder=self.encoder,
            margin=self.margin,
            absolute_margin=self.absolute_margin,
            judges=self.judges(),
            own_summaries=self.own_summaries,
            published=self.published,
            seed=self.seed,
        )

    def _models(self, say: Any) -> Results:
        from veneer.head.veneer import Veneer
        from veneer.studies.recovery.study import recover_models
        from veneer.tasks.source import load_prompts
        from veneer.terminal.pairs import named

        config = self._config(self.variants)
        peers = named(self.peers, "--peers", "NAME=MODEL")
        prompts = load_prompts(
            str(self.prompts), data=data_folder(self.data), split="test", limit=self.limit
        )
        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        said = {
            **self.said(),
            "veneer": None if veneer is None else veneer.identity(),
            "peers": peers,
        }
        return recover_models(
            self.pair,
            prompts,
            self.out,
            config,
            veneer=veneer,
            peers=lambda: self._peers(peers),
            said=said,
            progress=say,
        )

    def _peers(self, named: dict[str, str]) -> list[System]:
        from veneer.models.load import load_model
        from veneer.systems.system import System

        loaded = {name: load_model(model, **self.how()) for name, model in named.items()}
        return [
            System(name, lm, self.chat_format(self.system), lm.stop_ids)
            for name, lm in loaded.items()
        ]

    def _stored(self, say: Any) -> tuple[Results, str]:
        from veneer.foundation.errors import InputError
        from veneer.studies.recovery.published_answers import TEACHER, paper_layout
        from veneer.studies.recovery.study import recover_stored
        from veneer.terminal.pairs import named

        config = self._config("")
        if self.limit is not None:
            raise InputError(
                "--limit is of no use with stored answers, which are compared whole; leave it out"
            )
        if self.paper is not None:
            if self.responses:
                raise InputError(
                    "--paper brings its own answers; leave out --responses, or --paper"
                )
            found = paper_layout(Path(self.paper), self.teacher or TEACHER)
            teacher, files, base, peers, oracles = (
                found.teacher,
                found.responses,
                found.base,
                found.peers,
                found.oracles,
            )
            scores = found.scores
        else:
            if self.teacher is None:
                raise InputError(
                    "--responses are compared with a teacher's; give --teacher FILE too"
                )
            name, equals, file = self.teacher.partition("=")
            teacher = (name, Path(file)) if equals else ("aligned", Path(name))
            files = {
                n: Path(f) for n, f in named(self.responses, "--responses", "NAME=FILE").items()
            }
            base, peers, oracles = self.base_name, list(self.peers), list(self.oracles)
            scores = [Path(f) for f in self.bertscore]
        results = recover_stored(
            teacher,
            files,
            self.out,
            config,
            base=base,
            peers=peers,
            oracles=oracles,
            format=self.format,
            scores=scores,
            progress=say,
        )
        return results, teacher[0]


def _names(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in text.split(",") if n.strip())


def show(results: Results, teacher: str, out: Path) -> None:
    """A line a system: similarity and best of each measure, where it stands between base and
    ceiling, and the verdict."""
    from rich.console import Console
    from rich.table import Table

    from veneer.foundation.files import read_json_lines
    from veneer.terminal.show import figure

    verdicts = {
        (v["measure"], v["system"]): v
        for _, v in read_json_lines(
            out / "verdicts.jsonl", "verdicts, which `veneer recover` writes"
        )
        if v["statistic"] == "mean" and v["ceiling"] == teacher
    }
    rows = {
        (r.metric, r.of, r.system): r for r in results if r.split in (None, f"ceiling:{teacher}")
    }
    measures = list(
        dict.fromkeys(
            m.removesuffix("_similarity") for m, _, _ in rows if m.endswith("_similarity")
        )
    )
    console = Console(highlight=False)
    console.width = max(console.width, 120)
    for measure in measures:
        metric = f"{measure}_similarity"
        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in (measure, "n", "mean", "best", "0 base .. 1 ceiling", "verdict"):
            table.add_column(name, justify="left" if name in (measure, "verdict") else "right")
        for system in (s for m, _, s in rows if m == metric):
            row, verdict = rows[metric, None, system], verdicts.get((measure, system), {})
            word = "ceiling" if system == teacher else verdict.get("verdict", "")
            table.add_row(
                system + (" (oracle)" if verdict.get("oracle") else ""),
                str(row.n),
                figure(row),
                figure(rows.get((f"{measure}_best", None, system))),
                figure(rows.get(("portion", metric, system))),
                word,
            )
        console.print(table)
        console.print()
    console.print(
        "value [95 % interval]; mean and best: similarity to the teacher's first sample, the best "
        "at equal numbers of candidates; verdict: two one-sided tests against the ceiling, after "
        "Holm (verdicts.jsonl)"
    )
