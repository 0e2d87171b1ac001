"""veneer serve: systems behind an OpenAI-compatible HTTP endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.terminal.options import Machine
from veneer.terminal.output import MessageOptions
from veneer.terminal.template_options import TemplateOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from veneer.head.veneer import Veneer
    from veneer.models.formats import ChatFormat, Format
    from veneer.serve.served import Served
    from veneer.systems.alpha import Alpha
    from veneer.systems.shifted import ShiftedSystem
    from veneer.systems.system import System


@dataclass(frozen=True, kw_only=True)
class ServeTemplates(TemplateOptions):
    """How the systems read requests."""

    chat: bool = False
    """Base and veneer read the chat template. Default: what the veneer recorded for base, otherwise
    plain text."""
    large_chat: bool = False
    """The large model reads its chat template, as a broken aligned model does. Default: plain
    text."""
    base_template: str | None = None
    """Text around each plain prompt of a chat request, with {prompt} where it goes, or a template's
    name (alpaca, question, answer, qa, user, plain). Text completions are read as they stand."""
    system: str | None = None
    """System text for chat templates. Default: the template's own."""
    join_turns: bool = False
    """Systems that read plain text accept conversations: contents in order, an empty line between.
    Default: one user message only."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where the server listens, whom it answers, and its limits."""

    host: str = "127.0.0.1"
    """Address to listen on. Any but this machine's own needs --key-env."""
    port: int = 8000
    """Port to listen on; 0 chooses a free one, which is printed."""
    key_env: Annotated[str | None, Option(metavar="NAME")] = None
    """Environment variable that holds the key which clients must send. Default: no key."""
    allow_host: tuple[str, ...] = ()
    """More names that requests may call this server by (their Host), beside localhost, --host and
    addresses."""
    max_tokens: int = 1024
    """Longest answer, in tokens."""
    max_body: int = 4 * 2**20
    """Largest request, in bytes."""
    batch_size: int = 32
    """Answers decoded at once."""
    queue: int = 256
    """Answers that may wait; the server asks further requests to come back later (503)."""

    def check(self) -> None:
        """Raises InputError for a number out of range."""
        from veneer.foundation.errors import InputError

        least = {"max_tokens": 1, "max_body": 1, "batch_size": 1, "queue": 1, "port": 0}
        for name, minimum in least.items():
            if (value := getattr(self, name)) < minimum:
                raise InputError(
                    f"--{name.replace('_', '-')} is {value}; expected {minimum} or more"
                )
        if self.port > 65535:
            raise InputError(f"--port is {self.port}; expected 65535 at most, or 0 for a free one")

    def key(self) -> str | None:
        """The key that clients must send. Raises InputError where it is missing but needed."""
        import os

        from veneer.foundation.errors import InputError
        from veneer.serve.guard import is_local

        key = None
        if self.key_env is not None:
            key = os.environ.get(self.key_env, "").strip()
            if not key:
                raise InputError(
                    f"the environment variable {self.key_env} is empty or not set; expected the "
                    "key for --key-env"
                )
        if key is None and not is_local(self.host):
            raise InputError(
                f"--host {self.host} can be reached from other machines, and no key is set; name "
                "the environment variable that holds one with --key-env, or listen on 127.0.0.1"
            )
        return key


@dataclass(frozen=True, kw_only=True)
class ServeCommand:
    """Answer OpenAI-compatible requests (chat and text completions) with base, veneered, shifted
    and aligned systems.

    Each system is a model id: `base` (--model), `veneer` (--veneer), `large` and `shifted-ALPHA`
    (--large), `aligned` (--aligned). Ctrl-C ends it, with exit code 0."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer serve --model lab:base --veneer run/veneer --port 8000",
        "veneer serve --model lab:base --veneer run/veneer --large lab:large-base --alpha 1,1.5@10",
    )

    model: str | None = None
    """The base model; with --veneer, the one that the veneer belongs to. Required, unless only
    --aligned is served."""
    veneer: str | None = None
    """Folder of a veneer: adds the system `veneer`, base with the veneer on its head."""
    large: str | None = None
    """A larger model with base's tokenizer: adds the systems `large` and `shifted-ALPHA`, the large
    model with base's veneer."""
    aligned: str | None = None
    """An aligned model: adds the system `aligned`, which reads its chat template."""
    alpha: str = "1"
    """How much of the veneer to add: a number, or for shifted systems a schedule over the answer's
    tokens (1.5@10, 1.5>0.2@10, 1.5~8); several, separated by commas, give one shifted system each
    (`veneer` then has all of it, 1)."""
    model_settings: bool = False
    """Apply the generation settings that the models ship (generation_config.json) to what a
    request leaves open."""
    templates: ServeTemplates = field(default_factory=ServeTemplates)
    server: ServerOptions = field(default_factory=ServerOptions)
    machine: Machine = field(default_factory=Machine)
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        import sys

        from veneer.foundation.errors import MissingExtra

        try:
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise MissingExtra(error.name or "starlette", "serve", "veneer serve") from None
        from veneer.serve.app import Service, create_app
        from veneer.serve.guard import LOCAL, Guard
        from veneer.serve.requests import Limits
        from veneer.serve.scheduler import Scheduler
        from veneer.serve.server import address_of, open_socket, run

        server = self.server
        server.check()
        self.machine.refuse_unread(self.model, self.large, self.aligned)
        key = server.key()
        listener = open_socket(server.host, server.port)
        try:
            systems = {s.id: s for s in self.served()}
            hosts = tuple(
                dict.fromkeys((*LOCAL, *(h.lower() for h in (server.host, *server.allow_host))))
            )
            limits = Limits(
                max_tokens=server.max_tokens,
                max_body=server.max_body,
                max_rows=min(128, server.queue),
            )
            scheduler = Scheduler(most_rows=server.batch_size, most_waiting=server.queue)
            app = create_app(Service(systems, scheduler, limits), Guard(key, hosts))

            def ready() -> None:
                print(
                    f"veneer: serving {', '.join(systems)} at {address_of(listener)}/v1",
                    file=sys.stderr,
                    flush=True,
                )

            run(app, listener, ready, scheduler.stop)
        finally:
            listener.close()

    def _check(self, alphas: list[Alpha]) -> None:
        """Raises InputError for options that exclude or need each other."""
        from veneer.foundation.errors import InputError

        if self.model is None and (
            self.aligned is None or self.veneer is not None or self.large is not None
        ):
            raise InputError(
                "no base model is named; give --model, or --aligned alone to serve only an "
                "aligned model"
            )
        if self.large is not None and self.veneer is None:
            raise InputError(
                "found --large without --veneer; give the folder of base's veneer, or serve the "
                "large model as --model"
            )
        if self.large is None and (len(alphas) > 1 or alphas[0].constant is None):
            raise InputError(
                f"--alpha is {self.alpha!r}; schedules and several values are for shifted "
                "systems: add --large, or give one number"
            )
        templates = self.templates
        if templates.chat and templates.base_template is not None:
            raise InputError("found both --chat and --base-template; give one of them")
        if not (templates.chat or templates.large_chat or self.aligned is not None):
            templates.refuse_template_options("without --chat, --large-chat and --aligned")

    def served(self) -> list[Served]:
        """The systems, over each model loaded once."""
        from veneer.models.formats import check_arguments
        from veneer.models.sampling import Sampling
        from veneer.models.shipped import applied, warn_of_settings
        from veneer.serve.served import Served
        from veneer.systems.alpha import Alpha
        from veneer.systems.shifted import ShiftedSystem

        alphas = [Alpha.parse(a) for a in self.alpha.split(",")]
        self._check(alphas)
        chat = self.templates.chat_format(self.templates.system)
        served: list[Served] = []
        for system, facts in self._systems(alphas, chat):
            lm = system.large if isinstance(system, ShiftedSystem) else system.lm
            if not self.model_settings:
                warn_of_settings(lm, mend="--model-settings applies them")
            settings = applied(lm, Sampling()) if self.model_settings else Sampling()
            served.append(Served(system, self.templates.join_turns, facts, settings=settings))
        check_arguments(chat, *(s.lm.tokenizer for s in served if s.system.format is chat))
        return served

    def _systems(
        self, alphas: list[Alpha], chat: ChatFormat
    ) -> Iterator[tuple[System | ShiftedSystem, dict[str, object]]]:
        """Each system, and what the list of models says of it."""
        from veneer.head.veneer import Veneer
        from veneer.models.formats import PlainFormat
        from veneer.models.load import load_model
        from veneer.systems.shifted import ShiftedSystem
        from veneer.systems.system import System, warn_of_plain_text

        if self.veneer is None:
            refuse_unused(self, "without --veneer", "alpha")
        if self.large is None:
            refuse_unused(self.templates, "without --large", "large_chat")
        if self.model is None:
            refuse_unused(self.templates, "without --model", "chat", "base_template", "join_turns")
        if self.templates.chat and (self.large is None or self.templates.large_chat):
            where = "without a system that reads plain text"
            refuse_unused(self.templates, where, "join_turns")
        veneer = None if self.veneer is None else Veneer.load(self.veneer)
        own = self._base_format(veneer, chat)
        base = None if self.model is None else load_model(self.model, **self.machine.how())
        if base is not None and veneer is None:
            if not self._says_format():
                warn_of_plain_text(base, "--chat", "--base-template plain", "chat requests")
            yield System.of_model(base, format=own), {}
        if base is not None and veneer is not None:
            constant = alphas[0].constant if len(alphas) == 1 else None
            alpha = 1.0 if constant is None else constant
            veneered = System.of_model(base, veneer, format=own, alpha=alpha)
            yield System.of_model(base, format=veneered.format), {}
            yield veneered, {"veneer": veneer.identity(), "alpha": alpha}
        if self.large is not None and base is not None and veneer is not None:
            large = load_model(self.large, **self.machine.how())
            form = chat if self.templates.large_chat else PlainFormat()
            yield System.of_model(large, format=form, name="large"), {}
            for schedule in alphas:
                shifted = ShiftedSystem.of_models(
                    large, base, veneer, alpha=schedule, format=form, small_format=own
                )
                yield shifted, {}
        if self.aligned is not None:
            lm = load_model(self.aligned, **self.machine.how())
            yield System("aligned", lm, chat, lm.stop_ids), {}

    def _says_format(self) -> bool:
        """Whether the options, or the record of a merged checkpoint, say how base reads chat
        requests."""
        from veneer.head.merge import merged_facts

        templates = self.templates
        given = templates.chat or templates.base_template is not None
        return given or (self.model is not None and bool(merged_facts(self.model)))

    def _base_format(self, veneer: Veneer | None, chat: ChatFormat) -> Format | None:
        """How base and the veneer read requests: as the options say, else as the veneer recorded.
        Warns where the veneer was fitted behind another format."""
        from veneer.head.merge import merged_facts
        from veneer.head.recorded import chosen_format, fitted_formats, warn_of_formats
        from veneer.models.formats import given_format
        from veneer.prompts.prompt import Prompt

        template = self.templates.base_template
        if not self.templates.chat and template is None:
            if self.model is None:
                return None
            return chosen_format(merged_facts(self.model) if veneer is None else veneer.facts)
        own = chat if template is None else given_format(template, chat)
        if veneer is not None:
            request = [Prompt.from_text("request", "text")]
            warn_of_formats("veneer", own, fitted_formats(veneer.facts), request)
        return own
