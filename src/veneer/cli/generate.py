"""veneer generate: answers of one system, one JSON line per answer, in the order of the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from veneer.foundation.dry_run import DryRun, Plan, noted_models
from veneer.foundation.settings import Option, refuse_unused
from veneer.foundation.stages import Stage
from veneer.systems.forced import Beginning
from veneer.terminal.options import Machine, data_folder, progress
from veneer.terminal.output import LongOptions
from veneer.terminal.template_options import TemplateOptions, arguments

if TYPE_CHECKING:
    from veneer.models.decode import Sampling
    from veneer.models.formats import Format
    from veneer.models.language_model import LanguageModel
    from veneer.prompts.prompt import Prompt
    from veneer.systems.alpha import Alpha
    from veneer.systems.shifted import ShiftedSystem
    from veneer.systems.system import Answering, System


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """A model behind an endpoint, in place of one that is loaded here."""

    url: Annotated[str | None, Option(metavar="URL")] = None
    """OpenAI-compatible endpoint that answers, such as vLLM's http://localhost:8000/v1. It applies
    its model's chat template; with --plain it continues the plain text."""
    key_env: Annotated[str, Option(metavar="NAME")] = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key; the key itself is never written."""
    concurrency: int = 8
    """Number of simultaneous requests to the endpoint."""
    timeout: Annotated[float, Option(metavar="SECONDS")] = 120.0
    """Seconds to wait for one whole reply of the endpoint."""


@dataclass(frozen=True, kw_only=True)
class GenerateTemplates(TemplateOptions):
    """How the model reads prompts. Default: what the veneer recorded for base, otherwise plain."""

    chat: bool = False
    """Read prompts through the model's chat template."""
    plain: bool = False
    """Read prompts as plain text."""
    base_template: str | None = None
    """Text around each plain prompt, with {prompt} where it goes, or a template's name (alpaca,
    question, answer, qa, user, plain). It replaces the template that a task brings."""
    system: str | None = None
    """System text for the chat template."""

    def given_format(self) -> Format | None:
        """The format that the options name, or None."""
        from veneer.models.formats import PlainFormat, given_format

        if self.chat:
            return self.chat_format(self.system)
        if self.base_template is not None:
            return given_format(self.base_template, self.chat_format(self.system))
        return PlainFormat() if self.plain else None


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How the next token is chosen (veneer.models.sampling.Sampling)."""

    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    min_new_tokens: int = 0
    """Shortest answer, in tokens."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy."""
    top_p: float = 1.0
    """Probability mass of the most likely tokens that sampling keeps."""
    top_k: int = 0
    """Number of the most likely tokens that sampling keeps; 0 is all of them."""
    min_p: float = 0.0
    """Sampling leaves out tokens below this share of the most likely one's probability."""
    repetition_penalty: float = 1.0
    """Divides the logits of tokens that prompt or answer hold (multiplies negative ones); 1 is
    none."""
    presence_penalty: float = 0.0
    """Subtracted from the logit of each token that the answer holds."""
    frequency_penalty: float = 0.0
    """Subtracted from the logit of each token as often as the answer holds it."""
    seed: int = 0
    """Seed for the sampling."""

    def sampling(self) -> Sampling:
        """Raises InputError for a number out of range."""
        from veneer.models.sampling import Sampling

        return Sampling(**asdict(self))


@dataclass(frozen=True, kw_only=True)
class GenerateCommand:
    """Let a model, with or without a veneer, or a model behind an endpoint (--url), answer prompts.
    Resumes if run again."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer generate --model lab:base --prompts lab-requests --limit 12 --out base.jsonl",
        "veneer generate --model lab:base --veneer run/veneer --prompts lab-requests --samples 4 "
        "--temperature 0.8 --out veneer.jsonl",
    )

    model: str
    """The model; with --veneer, the base that the veneer belongs to; with --large, the small one;
    with --url, its name at the endpoint."""
    prompts: str
    """A task's name or a file, as for `veneer capture`."""
    out: Annotated[str, Option(metavar="FILE")]
    """File for the answers, JSON lines."""
    veneer: str | None = None
    """Folder of a veneer to add to the head."""
    large: str | None = None
    """A larger model with the same tokenizer, which answers while --model and --veneer shift its
    logits. --chat, --plain, --base-template and --system then say how it reads prompts (default:
    plain); --model reads them as the veneer recorded."""
    alpha: str = "1"
    """How much of the veneer to add; 1 is all of it. With --large also a schedule over the answer's
    positions: 1.5@10 (1.5 for the first 10 tokens, then 0), 1.5>0.2@10 (a line from 1.5 to 0.2 at
    the tenth token, constant after), 1.5~8 (fading, half of it every 8 tokens)."""
    column: str | None = None
    """Column that holds the prompt, in a CSV or Parquet file or a hub data set."""
    data: str | None = None
    """Folder with the tasks' data. Default: the environment variable VENEER_DATA."""
    split: Literal["train", "test"] = "test"
    """Part of a task's prompts."""
    limit: int | None = None
    """At most this many prompts. Default: all."""
    samples: int = 1
    """Answers per prompt; more than one needs a temperature above 0."""
    model_settings: bool = False
    """Apply the generation settings that the model ships (generation_config.json), wherever no
    option says otherwise."""
    batch_size: int = 32
    """Prompts answered together; halved where memory runs out."""
    beginning: Beginning = field(default_factory=Beginning)
    endpoint: EndpointOptions = field(default_factory=EndpointOptions)
    templates: GenerateTemplates = field(default_factory=GenerateTemplates)
    method: SamplingSettings = field(default_factory=SamplingSettings)
    machine: Machine = field(default_factory=Machine)
    output: LongOptions = field(default_factory=LongOptions)

    def run(self) -> None:
        from pathlib import Path

        from veneer.systems import System
        from veneer.systems.alpha import Alpha
        from veneer.systems.respond import respond
        from veneer.systems.shifted import ShiftedSystem
        from veneer.tasks.source import load_prompts, refuse_unread

        self._check_options()
        alpha, sampling = Alpha.parse(self.alpha), self.method.sampling()
        url = self.endpoint.url
        if url is None:
            self._check_models(alpha)
        prompts = load_prompts(
            self.prompts,
            data=data_folder(self.data),
            column=self.column,
            limit=self.limit,
            split=self.split,
            measured=False,
        )
        refuse_unread(self, self.prompts)
        prompts = self.beginning.of(prompts)
        system = self._models(alpha, prompts) if url is None else self._endpoint(url)
        if isinstance(system, System | ShiftedSystem):
            sampling = self._with_settings(system, sampling)
            prompts = self.beginning.cut(prompts, answering_model(system).tokenizer)
        if self.output.dry_run:
            raise DryRun(self._plan(system, prompts, sampling))
        with progress() as report_progress:
            answers = respond(
                system,
                prompts,
                sampling,
                batch_size=self.batch_size,
                samples=self.samples,
                out=Path(self.out),
                progress=report_progress,
            )
        print(f"{len(answers)} {'answer' if len(answers) == 1 else 'answers'} in {self.out}")

    def _plan(self, system: Answering, prompts: Sequence[Prompt], sampling: Sampling) -> Plan:
        """What would be answered, and what is there of it. Raises InputError for prompts that are
        too long."""
        from collections import Counter
        from pathlib import Path

        from veneer.capture.plan import check_lengths
        from veneer.foundation.files import look_at_folder
        from veneer.systems.respond import state_of

        out, lengths = Path(self.out), system.prompt_tokens(prompts)
        look_at_folder(out.parent)
        check_lengths(lengths, [p.id for p in prompts], system.longest(), sampling.max_new_tokens)
        answers = Stage(
            "answers",
            prompts=Counter(p.task for p in prompts),
            systems=(system.name,),
            samples=self.samples,
            tokens=sampling.max_new_tokens,
            writes=(out.name, f"{out.name}.manifest.json"),
        )
        return Plan(
            command="generate",
            out=self.out,
            state=state_of(out),
            stages=(answers,),
            models=noted_models(),
            costs={"prompt tokens": f"{sum(lengths) * self.samples:,}"},
            writes=answers.writes,
            unchecked=("endpoint",) if self.endpoint.url is not None else ("weights",),
        )

    def _check_options(self) -> None:
        """Raises InputError for options that exclude each other."""
        from veneer.foundation.errors import InputError

        templates, url = self.templates, self.endpoint.url
        if templates.plain or (url is None and not templates.chat):
            templates.refuse_template_options(
                "beside --plain" if templates.plain else "without --chat"
            )
        if url is not None and templates.template_date is not None:
            raise InputError(
                "found --template-date beside --url, whose server writes the date itself; "
                "leave it out"
            )
        if templates.chat and templates.plain:
            raise InputError("found both --chat and --plain; give one of them")
        if templates.chat and templates.base_template is not None:
            raise InputError("found both --chat and --base-template; give one of them")
        if url is None:
            refuse_unused(self.endpoint, "without --url")
            self.machine.refuse_unread(self.model, self.large)
        else:
            self.machine.refuse_loading("with --url")
        self.method.sampling()  # a number out of range is named first
        if self.method.temperature == 0 and not self.model_settings:
            refuse_unused(self.method, "at temperature 0", "top_p", "top_k", "min_p")
        if url is not None and self.model_settings:
            raise InputError(
                "found --model-settings beside --url, whose server applies its model's settings "
                "itself; leave it out"
            )
        if self.samples > 1 and self.method.temperature == 0 and not self.model_settings:
            raise InputError(
                f"found --samples {self.samples} with temperature 0, which gives the same answer "
                "each time; add --temperature 0.5, say"
            )

    def _with_settings(self, system: System | ShiftedSystem, sampling: Sampling) -> Sampling:
        """The settings that the answering model ships are applied, or a line says
        that they are not."""
        from veneer.foundation.errors import InputError
        from veneer.models.shipped import applied, warn_of_settings

        lm = answering_model(system)
        if not self.model_settings:
            warn_of_settings(lm, mend="--model-settings applies them")
            return sampling
        sampling = applied(lm, sampling)
        if self.samples > 1 and sampling.temperature == 0:
            raise InputError(
                f"found --samples {self.samples}, but the settings of {lm.name} are greedy, which "
                "gives the same answer each time; add --temperature 0.5, say"
            )
        return sampling

    def _endpoint(self, url: str) -> Answering:
        """The model behind an endpoint. Raises InputError for options of models that
        are loaded here."""
        from veneer.endpoint import EndpointConfig
        from veneer.foundation.errors import InputError
        from veneer.systems.endpoint import EndpointSystem

        given = {
            "veneer": self.veneer,
            "large": self.large,
            "base-template": self.templates.base_template,
            "alpha": None if self.alpha == "1" else self.alpha,
        }
        foreign = [name for name, value in given.items() if value is not None]
        if foreign:
            raise InputError(
                f"found --{foreign[0]} beside --url, whose model is not loaded "
                "here; leave it out, or serve what it makes (`veneer serve`, or `veneer merge` "
                "and another server)"
            )
        endpoint = EndpointConfig(
            url,
            self.model,
            key_env=self.endpoint.key_env,
            timeout=self.endpoint.timeout,
            concurrency=self.endpoint.concurrency,
        )
        return EndpointSystem(
            endpoint,
            style="completion" if self.templates.plain else "chat",
            system=self.templates.system,
            arguments=arguments(self.templates.template_arg),
        )

    def _check_models(self, alpha: Alpha) -> None:
        from veneer.foundation.errors import InputError
        from veneer.systems.alpha import Alpha

        if self.large is not None and self.veneer is None:
            raise InputError(
                "found --large without --veneer; give the veneer of --model, which is to shift "
                "the large model's logits"
            )
        if self.veneer is None and alpha != Alpha():
            raise InputError(
                f"found --alpha {alpha} without --veneer, whose strength it is; give the veneer, "
                "or leave --alpha out"
            )
        if self.large is None and alpha.constant is None:
            raise InputError(
                f"found the schedule --alpha {alpha} without --large; give a number, or --large "
                "and the model that is shifted"
            )

    def _models(self, alpha: Alpha, prompts: Sequence[Prompt]) -> Answering:
        """The model, with its veneer, or a large one that they shift. Raises InputError
        where the veneer was fitted behind several templates and these prompts leave open
        which one is meant."""
        from pathlib import Path

        from veneer.head.merge import merged_facts
        from veneer.head.recorded import chosen_format
        from veneer.head.veneer import Veneer
        from veneer.models.formats import PlainFormat, check_arguments
        from veneer.models.load import load_model
        from veneer.models.places import check_places
        from veneer.systems import System
        from veneer.systems.shifted import SMALL_MEND, ShiftedSystem
        from veneer.systems.system import warn_of_plain_text

        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        chosen = self.templates.given_format()
        facts = merged_facts(self.model) if veneer is None else veneer.facts
        if self.large is not None and veneer is not None:
            small = chosen_format(veneer.facts, prompts, mend=SMALL_MEND)
            check_places(self.model, self.large)
            lm, large = (
                load_model(name, **self.machine.how()) for name in (self.model, self.large)
            )
            check_arguments(chosen or PlainFormat(), large.tokenizer)
            return ShiftedSystem.of_models(
                large, lm, veneer, alpha=alpha, format=chosen, small_format=small
            )
        is_open = chosen is None and not facts
        chosen = chosen or chosen_format(facts, prompts)
        lm = load_model(self.model, **self.machine.how())
        if is_open:
            warn_of_plain_text(lm, "--chat", "--plain")
        check_arguments(chosen, lm.tokenizer)
        name = "veneer" if veneer is not None else Path(self.model).name
        return System.of_model(lm, veneer, format=chosen, alpha=alpha.start, name=name)


def answering_model(system: System | ShiftedSystem) -> LanguageModel:
    """The model whose tokens the answers are made of."""
    from veneer.systems.shifted import ShiftedSystem

    return system.large if isinstance(system, ShiftedSystem) else system.lm
