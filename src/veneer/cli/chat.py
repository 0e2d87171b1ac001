"""veneer chat: base, veneer and aligned answer a typed question side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

from veneer.foundation.settings import Option, refuse_unused
from veneer.terminal.options import Machine
from veneer.terminal.output import MessageOptions

if TYPE_CHECKING:
    from veneer.chat.side_by_side import SideBySide
    from veneer.models.sampling import Sampling


@dataclass(frozen=True, kw_only=True)
class ChatCommand:
    """Ask base, the veneer and the aligned model a question, and see the three answers side by
    side, with KL at every token. The models and the veneer are those of a run."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer chat veneer-demo",
        "veneer chat veneer-demo --web",
        "veneer chat runs/mine --veneer runs/mine/veneer-advbench --alpha 0.5",
    )

    run_folder: Annotated[str, Option(positional=True, metavar="RUN")]
    """Folder of `veneer run` or `veneer demo`."""
    veneer: str | None = None
    """Folder of another veneer of the same base. Default: RUN/veneer."""
    base_template: str | None = None
    """Text around each question for base and the veneer, with {prompt} where it goes, or a name
    (alpaca, question, answer, qa, user, plain). Default: what the veneer recorded."""
    alpha: float = 1.0
    """Strength of the veneer: W + alpha dW."""
    temperature: float = 0.0
    """Temperature of sampling; 0 is greedy."""
    max_new_tokens: int = 96
    """Longest answer, in tokens."""
    seed: int = 0
    """Seed for the sampling."""
    web: bool = False
    """Show the answers on a page in the browser instead of in the terminal. Needs the extra
    serve."""
    port: int = 8001
    """Port of the page on this machine; 0 chooses a free one, which is printed."""
    machine: Machine = field(default_factory=Machine)
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        import math

        from veneer.foundation.errors import InputError
        from veneer.models.sampling import Sampling

        if not math.isfinite(self.alpha):
            raise InputError(f"--alpha is {self.alpha}; expected a finite number")
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port is {self.port}; expected 0 (a free one is chosen) to 65535")
        sampling = Sampling(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=self.seed
        )
        if self.web:
            self._serve(sampling)
            return
        refuse_unused(self, "without --web", "port")
        from veneer.chat.terminal import converse

        converse(self._side_by_side(), sampling, self.alpha)

    def _serve(self, sampling: Sampling) -> None:
        """Show the page until Ctrl-C."""
        import sys

        from veneer.foundation.errors import MissingExtra

        try:
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise MissingExtra(error.name or "starlette", "serve", "veneer chat --web") from None
        from veneer.chat.web import ChatPage, starting_values
        from veneer.serve.guard import Guard
        from veneer.serve.server import address_of, open_socket, run

        start = starting_values(sampling, self.alpha)
        listener = open_socket("127.0.0.1", self.port)
        try:
            app = ChatPage(self._side_by_side(), start).app(Guard())

            def ready() -> None:
                print(
                    f"veneer: open {address_of(listener)} in a browser; Ctrl-C ends",
                    file=sys.stderr,
                    flush=True,
                )

            run(app, listener, ready, lambda: None)
        finally:
            listener.close()

    def _side_by_side(self) -> SideBySide:
        """The models of the run. Raises InputError where RUN records none."""
        from pathlib import Path

        from veneer.chat.side_by_side import SideBySide
        from veneer.foundation.errors import InputError
        from veneer.foundation.files import read_json
        from veneer.head.veneer import Veneer
        from veneer.models.formats import format_from_facts, given_format
        from veneer.models.pair import Pair

        record = Path(self.run_folder) / "run.json"
        if not record.is_file():
            raise InputError(
                f"{self.run_folder} holds no run.json; expected the folder of a finished `veneer "
                "run` or `veneer demo`"
            )
        run = read_json(record, "the record of a run")
        facts = run.get("pair") if isinstance(run, dict) else None
        if not isinstance(facts, dict):
            raise InputError(
                f"{record} names no base and aligned model; expected the folder of a finished "
                "`veneer run` or `veneer demo`"
            )
        veneer = Veneer.load(self.veneer or Path(self.run_folder) / "veneer")
        self.machine.refuse_split("veneer chat")
        names = (str(facts["base"]["name"]), str(facts["aligned"]["name"]))
        self.machine.refuse_unread(*names)
        pair = Pair.load(
            *names,
            base_format=format_from_facts(facts["base_format"]),
            aligned_format=format_from_facts(facts["aligned_format"]),
            **self.machine.how(),
        )
        template = self.base_template
        return SideBySide(pair, veneer, None if template is None else given_format(template))
