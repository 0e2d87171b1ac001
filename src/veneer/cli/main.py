"""Routing, exit codes, and errors in one sentence."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextvars import copy_context
from typing import Any

from veneer.foundation.errors import InputError, SettingError, VeneerError
from veneer.foundation.invocation import note_options, note_typed
from veneer.foundation.registry import load_object, nearest
from veneer.foundation.threads import use_threads, wait_passively
from veneer.registry import study_commands
from veneer.terminal.command_line import UsageError, parse
from veneer.terminal.config_file import (
    option_of,
    options_of,
    refuse_repeated,
    typed_fields,
    with_config,
)

OWN = {  # commands that are no study; a study's commands come from its room (veneer.registry)
    "demo": "veneer.cli.demo:DemoCommand",
    "capture": "veneer.cli.capture:CaptureCommand",
    "merge": "veneer.cli.merge:MergeCommand",
    "generate": "veneer.cli.generate:GenerateCommand",
    "import": "veneer.cli.import_responses:ImportCommand",
    "serve": "veneer.cli.serve:ServeCommand",
    "chat": "veneer.cli.chat:ChatCommand",
    "report": "veneer.cli.report:ReportCommand",
    "push": "veneer.cli.push:PushCommand",
    "tasks": "veneer.cli.tasks:TasksCommand",
    "completion": "veneer.cli.completion:CompletionCommand",
}
# the help, in this order; commands of other packages follow
GROUPS = {
    "see it": ("demo", "chat", "tasks"),
    "how much is surface": ("run", "capture", "extract", "measure", "depth", "complexity", "curve"),
    "use a veneer": ("merge", "generate", "serve", "transfer", "program"),
    "a model that was tuned again": ("audit", "restore", "leak"),
    "variety of answers": ("diversity", "recover", "overton"),
    "answers, judges, other harnesses": ("import", "judge", "label", "lm-eval"),
    "publish and set up": ("report", "push", "completion"),
}
WIDEST = 100  # columns of the help, where the terminal has as many


class Commands(Mapping[str, type]):
    """Every command by name; its class is imported on first use."""

    def __init__(self) -> None:
        places = dict(OWN)
        for name, place in study_commands().items():
            places.setdefault(name, place)  # no package replaces a command of Veneer
        grouped = [name for names in GROUPS.values() for name in names]
        names = dict.fromkeys([*grouped, *places])
        self._places = {name: places[name] for name in names if name in places}

    def __getitem__(self, name: str) -> type:
        return load_object(self._places[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


COMMANDS = Commands()
DESCRIPTION = (
    "How much of a language model's alignment is only its surface, where it sits, and how to carry "
    "it over.",
    "A model is a hub id, a local folder (safetensors), a PEFT adapter folder (ADAPTER or "
    "ADAPTER@BASE), a .gguf file, an address hf://OWNER/NAME[@REVISION][/FOLDER], or one of the "
    "embedded lab:base, lab:aligned, lab:large-base, lab:large-aligned, lab:compromised, "
    "lab:deep-aligned. A veneer and a capture are folders, or such addresses (veneer push).",
)
START = """\
Veneer measures how much of a language model's alignment is only its surface.

  veneer demo             see it on a small pair of models that comes with the package
  veneer run --help       measure your own pair
  veneer --help           all commands
"""
OPTIONS = """\
options:
  -h, --help   show this help; after a command, its options and examples
  --version    show the version

Every command takes --quiet, long ones --dry-run, and those that print a table
--json and --markdown."""


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 2 bad input or usage, 130 interrupted, 1
    any other failure. What is noted of its options ends with it: Python may call another one, or
    the library."""
    return copy_context().run(_main, list(sys.argv[1:] if args is None else args))


def _main(args: list[str]) -> int:
    if args in (["--version"], ["-V"]):
        from importlib.metadata import version

        print("veneer", version("veneer"))
        return 0
    wait_passively()  # before torch is imported
    command, code = _parse(args)
    if command is None:
        return code
    from veneer.foundation.dry_run import DryRun
    from veneer.terminal.output import output_of

    try:
        with output_of(command):
            command.run()
        return 0
    except DryRun as end:
        from veneer.terminal.plan import show_plan

        show_plan(end.plan, as_json=bool(getattr(command.output, "json", False)))
        return 0
    except KeyboardInterrupt:
        print("veneer: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except VeneerError as error:
        return _fail(_typed(error, type(command)), error.exit_code)
    except BrokenPipeError:
        return _unheard()
    except BaseException as error:
        panicked = type(error).__name__ == "PanicException"  # of a library in Rust
        if not (panicked or isinstance(error, Exception)):
            raise
        if panicked:
            why = " ".join(str(error).split())[:200]
            return _fail(
                f"a library gave up on a text ({why}); expected a tokenizer that reads every text: "
                "fetch the model again from its author",
                1,
            )
        from veneer.foundation.write_failures import machine_failure

        if (failure := machine_failure(error)) is not None:
            return _fail(str(failure), failure.exit_code)
        from veneer.foundation.memory import is_out_of_memory

        if is_out_of_memory(error):
            return _fail(
                "memory ran out; free some, or give a smaller --batch-size, and run the same "
                "command again to resume",
                1,
            )
        if os.environ.get("VENEER_DEBUG"):
            raise
        text = " ".join(str(error).split()) or "no message"
        return _fail(f"{type(error).__name__}: {text[:400]}; set VENEER_DEBUG=1 to see where", 1)


def _parse(args: list[str]) -> tuple[Any, int]:
    """The command's object, or None and an exit code after --help or a usage error."""
    try:
        if args and args[0] in ("-h", "--help"):
            _print_help()
            return None, 0
        if not args:
            print(START, file=sys.stderr)
            return None, _fail(
                "no command is given; expected one such as demo or run: see veneer --help", 2
            )
        if args[0] == "help":  # as in git, cargo and pip
            return _parse([*args[1:2], "--help"])
        name = args[0]
        if name not in COMMANDS:
            kind = "option" if name.startswith("-") else "command"
            return None, _fail(f"there is no {kind} {name!r}; {nearest(name, list(COMMANDS))}", 2)
        refuse_repeated(COMMANDS[name], args[1:])
        words = with_config(COMMANDS[name], args[1:])
        command = parse(COMMANDS[name], name, words)
        if (threads := _threads(command)) is not None:
            use_threads(threads)
        note_options(None if command is None else options_of(command))
        note_typed(typed_fields(COMMANDS[name], args[1:]))
        return command, 0
    except (UsageError, InputError) as error:
        sentence = (
            _typed(error, COMMANDS[args[0]]) if isinstance(error, SettingError) else str(error)
        )
        return None, _fail(sentence, 2)
    except BrokenPipeError:
        return None, _unheard()


def _typed(error: VeneerError, command: type) -> str:
    """The error's sentence; a setting out of range is named as the option that was typed."""
    if isinstance(error, SettingError) and (option := option_of(command, error.setting)):
        return f"{option} {error.problem}"
    return str(error)


def _threads(command: Any) -> str | None:
    """What a command says of threads; None for one that computes nothing."""
    own = getattr(command, "threads", None)
    return own if own is not None else getattr(getattr(command, "machine", None), "threads", None)


def _print_help() -> None:
    """All commands in groups, each with the first sentence of its help."""
    width = min(WIDEST, shutil.get_terminal_size().columns)
    print("usage: veneer COMMAND [OPTIONS]")
    for text in DESCRIPTION:
        print(f"\n{textwrap.fill(text, width, break_on_hyphens=False)}")
    grouped = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in COMMANDS if name not in grouped)
    for heading, names in {**GROUPS, "from other packages": others}.items():
        if names:
            print(f"\n{heading}:")
        for name in names:
            print(
                textwrap.fill(
                    _summary(name),
                    width,
                    initial_indent=f"  {name:11}",
                    subsequent_indent=" " * 13,
                    break_on_hyphens=False,
                )
            )
    print(f"\n{OPTIONS}")


def _summary(name: str) -> str:
    """The first sentence of a command's help."""
    try:
        text = " ".join((COMMANDS[name].__doc__ or "").split())
    except InputError as error:  # its package cannot be imported
        return f"({error})"
    return text.split(". ")[0].split(": ")[0].rstrip(".")


def _unheard() -> int:
    """The reader of the output has gone (`veneer tasks | head`): print nothing more; this is
    no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fail(sentence: str, code: int) -> int:
    from veneer.terminal.secrets import hidden

    print(f"veneer: error: {hidden(' '.join(sentence.split()))}", file=sys.stderr)
    return code


def entry() -> None:
    from veneer.terminal.guarded import guard

    guard(sys.stdout)
    guard(sys.stderr)
    try:
        code = main()
    except KeyboardInterrupt:  # while modules were still being imported
        print("veneer: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
