"""Routing, exit codes, and errors in one sentence."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro

from veneer.foundation.registry import load_object
from veneer.registry import study_commands

OWN = {  # commands that are no study; a study's commands come from its room (veneer.registry)
    "demo": "veneer.cli.demo:Demo",
    "capture": "veneer.cli.capture:Capture",
    "merge": "veneer.cli.merge:Merge",
    "generate": "veneer.cli.generate:Generate",
    "import": "veneer.cli.import_responses:Import",
    "lm-eval": "veneer.cli.lm_eval:LmEval",
    "serve": "veneer.cli.serve:Serve",
    "report": "veneer.cli.report:Report",
    "tasks": "veneer.cli.tasks:Tasks",
}
# the order of the help; the others follow
FIRST = ("demo", "run", "capture", "extract", "merge", "generate", "measure")


def _commands() -> dict[str, type]:
    places = {**OWN, **study_commands()}
    names = [*FIRST, *(name for name in places if name not in FIRST)]
    return {name: load_object(places[name]) for name in names}


COMMANDS = _commands()
DESCRIPTION = """How much of a language model's alignment is only its surface, where it sits, and \
how to carry it over.

A model is a hub id, a local folder (safetensors), a PEFT adapter folder (ADAPTER or \
ADAPTER@BASE), a .gguf file, or one of the
embedded lab:base, lab:aligned, lab:large-base, lab:large-aligned, lab:compromised."""


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 2 bad input or usage, 130 interrupted, 1
    any other failure."""
    args = list(sys.argv[1:] if args is None else args)
    if args in (["--version"], ["-V"]):
        from importlib.metadata import version

        print("veneer", version("veneer"))
        return 0
    command, code = _parse(args)
    if command is None:
        return code
    from veneer.foundation.errors import VeneerError

    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # bars of libraries; ours is a plain line there
    try:
        command.run()
        return 0
    except KeyboardInterrupt:
        print("veneer: interrupted; the same command goes on where it was", file=sys.stderr)
        return 130
    except VeneerError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        return _unheard()
    except Exception as error:
        from veneer.foundation.files import is_disk_full

        if is_disk_full(error):
            return _fail(
                "the disk is full; free some space and run the same command again, it goes on "
                "where it was",
                1,
            )
        from veneer.foundation.memory import is_out_of_memory

        if is_out_of_memory(error):
            return _fail(
                "memory ran out; free some, or give a smaller --batch-size, and run the same "
                "command again: it goes on",
                1,
            )
        if os.environ.get("VENEER_DEBUG"):
            raise
        text = " ".join(str(error).split()) or "no message"
        return _fail(f"{type(error).__name__}: {text[:400]}; set VENEER_DEBUG=1 to see where", 1)


def _parse(args: list[str]) -> tuple[Any, int]:
    """The command object, or None and an exit code after --help or a usage error."""
    kinds: Any = Union[  # noqa: UP007
        tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in COMMANDS.items())
    ]
    if args and not args[0].startswith("-") and args[0] not in COMMANDS:
        return None, _fail(
            f"there is no command {args[0]!r}; expected one of {', '.join(COMMANDS)}", 2
        )
    if {"-h", "--help"} & set(args):
        from veneer.terminal.help import flow

        flow(COMMANDS.values())
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
            return tyro.cli(
                kinds, prog="veneer", description=DESCRIPTION, args=args, config=config
            ), 0
    except BrokenPipeError:
        return None, _unheard()
    except SystemExit as stop:
        if not stop.code:
            return None, 0
        print(said.getvalue(), file=sys.stderr, end="")
        return None, _fail(_sentence(said.getvalue()), 2)


def _sentence(box: str) -> str:
    """What a box drawn by the parser says, as one sentence: the words between its title
    and its first rule."""
    lines = [line.strip("│| ") for line in box.splitlines()][1:]
    lines = ["" if set(line) <= set("╭╮╰╯─-+") else line for line in lines]
    while lines and not lines[0]:  # the title has a rule of its own where the box is drawn in ASCII
        del lines[0]
    words = itertools.takewhile(bool, lines)
    text = " ".join(" ".join(words).split()).rstrip(". ")
    text = re.sub(r"\.\s+(Expected|Got)", lambda m: f"; {m[1].lower()}", text)
    return f"{text or 'the command line could not be read'}; see veneer --help"


def _unheard() -> int:
    """Whoever read the output has gone (`veneer tasks | head`): nothing more is said, and
    nothing went wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _fail(sentence: str, code: int) -> int:
    from veneer.terminal.secrets import hidden

    print(f"veneer: error: {hidden(' '.join(sentence.split()))}", file=sys.stderr)
    return code


def entry() -> None:
    try:
        code = main()
    except KeyboardInterrupt:  # while modules were still being imported
        print("veneer: interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
