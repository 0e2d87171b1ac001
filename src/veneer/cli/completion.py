"""veneer completion: the script that completes commands and options in a shell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from veneer.foundation.settings import Option
from veneer.terminal.output import MessageOptions


@dataclass(frozen=True, kw_only=True)
class CompletionCommand:
    """Print the script with which a shell completes commands, options and their values
    (docs/terminal.md)."""

    examples: ClassVar[tuple[str, ...]] = (
        "veneer completion bash > ~/.local/share/bash-completion/completions/veneer",
        "veneer completion zsh > ~/.zfunc/_veneer",
        "veneer completion fish > ~/.config/fish/completions/veneer.fish",
    )

    shell: Annotated[Literal["bash", "zsh", "fish"], Option(positional=True, metavar="SHELL")]
    """bash, zsh or fish."""
    output: MessageOptions = field(default_factory=MessageOptions)

    def run(self) -> None:
        from veneer.cli.main import COMMANDS
        from veneer.terminal.command_line import completion

        print(completion(COMMANDS, self.shell))
