"""The command line, made from settings objects: a field is an option, a nested object a group.

`parse` reads the words of one command into its object. What tyro (1.0.17) does not do by itself
stands here: help whose lines flow, no `{None}|STR`, comma lists, and examples below the help.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import inspect
import io
import itertools
import os
import re
import shutil
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, Union, get_args, get_origin, get_type_hints

import docstring_parser
import tyro
import tyro.extras
from tyro.constructors import PrimitiveConstructorSpec

from veneer.foundation.settings import Option
from veneer.terminal.config_file import spaced_list, values_of

CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
NUMBERS = {int: "a whole number", float: "a number"}
METAVARS = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}
# what stands for the value of a text: one word for options of one kind, in every command
NAMED_METAVARS = {
    name: metavar
    for metavar, names in {
        "MODEL": "base aligned model large compromised embedder",
        "FOLDER": "out data veneer capture tables plots include_path",
        "FILE": "gguf viewpoints",
        "TASK": "task tasks capability safe harmful",
        "TASK|FILE": "prompts harmless reattack",
        "NAME": "column teacher teacher_model aspect license variants measures programs given "
        "texts methods",
        "TEMPLATE": "base_template prompt_template large_template",
        "FORMAT": "format",
        "DATE": "template_date",
        "DEVICE": "device",
        "ADDRESS": "host",
        "SIZE": "max_shard_size",
        "N|auto": "threads",
        "ALPHA": "alpha alphas schedules",
        "JUDGE": "judge",
    }.items()
    for name in names.split()
}
HELP = {"-h", "--help"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")  # an ANSI code, with which tyro colours a terminal
_prepared: set[type] = set()


class UsageError(Exception):
    """The words are no command line of this command; the message is one sentence."""


def parse(command: type, name: str, words: Sequence[str]) -> Any | None:
    """The command's object, or None where only its help was requested and printed.

    command: a dataclass; its class variable `examples`, if any, stands below the help. Raises
    UsageError.
    """
    prepare(command)
    box, page, paragraphs = io.StringIO(), _Page(sys.stdout), _paragraphs(command)
    try:
        with contextlib.redirect_stderr(box), contextlib.redirect_stdout(page):
            values: Any = tyro.cli(
                command,
                prog=f"veneer {name}",
                description="\n\n".join(paragraphs),
                # for the help alone: tyro leaves positional words out of the help behind one
                args=["--help"] if HELP & set(words) else list(words),
                config=CONFIG,
            )
            _refuse_empty(values)
            return values
    except SystemExit as stop:
        if stop.code:
            print(box.getvalue(), file=sys.stderr, end="")
            plain = COLOUR.sub("", box.getvalue())
            spaced = spaced_list(command, words) if "Unrecognized" in plain else None
            raise UsageError(f"{spaced or _sentence(plain)}; see veneer {name} --help") from None
    width, text = shutil.get_terminal_size().columns, page.getvalue()
    usage, _, text = text.partition("\n")
    text = f"{_wrapped_usage(usage, width)}\n{text}"
    for paragraph in paragraphs:
        text = text.replace(paragraph, textwrap.fill(paragraph, width, break_on_hyphens=False), 1)
    print(text, end="")
    examples = getattr(command, "examples", ())
    if examples:
        print("\nexamples:\n" + "\n".join(f"  {example}" for example in examples))
    from_file = "Options may also come from a file: --config FILE.yaml (docs/config.md)"
    print(f"\n{textwrap.fill(from_file, width, break_on_hyphens=False)}")
    return None


def _wrapped_usage(line: str, width: int) -> str:
    """The line of usage, broken between options and never within `[--out FOLDER]`."""
    if len(COLOUR.sub("", line)) <= width:
        return line
    whole = re.sub(r"\[[^\]]*\]|--\S+ [A-Z]\S*", lambda m: m[0].replace(" ", "\0"), line)
    filled = textwrap.fill(
        whole, width, subsequent_indent=" " * 7, break_on_hyphens=False, break_long_words=False
    )
    return filled.replace("\0", " ")


def _refuse_empty(values: Any) -> None:
    """Raise UsageError for a model, a path or a name that is the empty text, as that of a shell's
    unset variable: as a path it would be the current folder."""
    for known, value in values_of(values):
        kind = known.option.metavar or NAMED_METAVARS.get(known.field)
        texts = value if isinstance(value, tuple) else (value,)
        if "" in texts and value != known.default and kind not in (None, "TEXT", "TEMPLATE"):
            name = known.field.upper() if known.option.positional else f"--{known.name}"
            raise UsageError(
                f"{name} has an empty value; give one (is a variable of the shell unset?)"
            )


class _Page(io.StringIO):
    """The help as tyro prints it, in the encoding of the stream that it is for; coloured for a
    terminal, unless NO_COLOR is set (https://no-color.org)."""

    def __init__(self, stream: TextIO):
        super().__init__()
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has an attribute
        return self.stream.encoding

    def isatty(self) -> bool:
        return self.stream.isatty() and not os.environ.get("NO_COLOR")


def _paragraphs(command: type) -> list[str]:
    """A command's docstring, each paragraph in one line: tyro keeps a line break before a line
    that does not begin with a letter, takes out all others, and wraps nothing."""
    text = inspect.getdoc(command) or ""
    return [" ".join(p.split()) for p in text.split("\n\n")]


def completion(commands: Mapping[str, type], shell: str) -> str:
    """The script with which a shell (bash, zsh or fish) completes these commands. It needs python3
    at each completion, and nothing of Veneer."""
    classes: dict[str, Callable[..., Any]] = {name: commands[name] for name in commands}
    for command in commands.values():
        prepare(command)
    words, box = ["--tyro-write-completion", shell, "-"], io.StringIO()
    with contextlib.redirect_stdout(box), contextlib.suppress(SystemExit):
        tyro.extras.subcommand_cli_from_dict(classes, prog="veneer", args=words, config=CONFIG)
    # names of files where the script knows nothing better, such as a veneer's folder
    return box.getvalue().replace("complete -F", "complete -o default -F")


def prepare(command: type) -> None:
    """Give the fields of a command, and of the objects in it, their help and their form. To be
    called before tyro first reads a class: it remembers what it read."""
    for cls in _classes(command):
        if cls in _prepared:
            continue
        _prepared.add(cls)
        own = inspect.get_annotations(cls)
        hints = get_type_hints(cls, include_extras=True)
        helps = {p.arg_name: p.description for p in docstring_parser.parse_from_object(cls).params}
        defaults = {f.name: f.default for f in dataclasses.fields(cls)}
        for name in own:
            if name in defaults:  # no class variable
                form = _form(name, hints[name], helps.get(name) or "", defaults[name])
                cls.__annotations__[name] = form


def _classes(command: type) -> Iterator[type]:
    """A dataclass, those that it inherits from, and those of its fields, each once."""
    for cls in command.__mro__:
        if dataclasses.is_dataclass(cls):
            yield cls
            for hint in get_type_hints(cls).values():
                if inspect.isclass(hint) and dataclasses.is_dataclass(hint):
                    yield from _classes(hint)


def _form(name: str, hint: Any, text: str, default: Any) -> Any:
    """The field's type with what tyro should know of it."""
    option = next((x for x in getattr(hint, "__metadata__", ()) if isinstance(x, Option)), Option())
    if option.hidden:  # no option at all: a suppressed one could still clash with another group's
        return Annotated[hint, tyro.conf.Fixed, tyro.conf.Suppress]
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    inner = _without_none(bare)
    words: dict[str, Any] = {"name": option.name, "help": " ".join(text.split()) or None}
    if option.alias:
        words["aliases"] = [option.alias]
    if default in (None, "", ()) or inner is bool:
        words["help_behavior_hint"] = ""  # the text says what the default is; a flag is off
    elif option.positional and default is dataclasses.MISSING:
        words["help_behavior_hint"] = "(required)"  # tyro takes no word of a tuple for none
    if dataclasses.is_dataclass(inner):  # a group; its title is the name and "options"
        words["name"] = words["name"] or name.removesuffix("s").replace("_", " ")
        words["prefix_name"] = False
        words["help"] = words["help"] or "\n\n".join(_paragraphs(bare))
    elif inner is not bool:
        words["metavar"] = _metavar(name, inner, option)
    marks: list[Any] = [tyro.conf.arg(**{k: v for k, v in words.items() if v is not None})]
    if option.positional:
        marks.append(tyro.conf.Positional)
    if option.repeat:
        marks.append(tyro.conf.UseAppendAction)
    if option.commas:
        marks.append(_commas(get_args(inner)[0], words["metavar"]))
        bare = Any
    elif inner in NUMBERS:
        marks.append(_number(inner, words["metavar"]))
        bare = Any
    return Annotated[(bare, *_others(hint), option, *marks)]  # config_file.py reads the option


def _others(hint: Any) -> list[Any]:
    return [x for x in getattr(hint, "__metadata__", ()) if not isinstance(x, Option)]


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [x for x in get_args(hint) if x is not type(None)]
        return inner[0] if len(inner) == 1 else hint
    return hint


def _metavar(name: str, hint: Any, option: Option) -> str | None:
    """What stands for the value of a field: `N`, `TASK,...` for a list with commas, `FILE ...` for
    one with spaces."""
    if get_origin(hint) is Literal:
        return "{" + ",".join(map(str, get_args(hint))) + "}"
    if get_origin(hint) is tuple and Ellipsis in get_args(hint):
        item = option.metavar or _metavar(name, get_args(hint)[0], option)
        if option.positional or option.repeat or (option.commas and option.metavar):
            return item
        return f"{item}{',...' if option.commas else ' ...'}"
    if option.metavar is not None:
        return option.metavar
    if get_origin(hint) is tuple:
        return " ".join(METAVARS.get(item, "VALUE") for item in get_args(hint))
    named = NAMED_METAVARS.get(name) if hint is str else None
    return named or METAVARS.get(hint)


def _commas(item: Callable[[str], Any], metavar: str) -> PrimitiveConstructorSpec:
    """Items in one word, separated by commas; empty ones are left out."""

    def read(words: list[str]) -> tuple:
        return tuple(_read(item, w.strip()) for w in words[0].split(",") if w.strip())

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(map(str, value or ()))],
    )


def _number(kind: type, metavar: str) -> PrimitiveConstructorSpec:
    """A number; Python's own message for another word names its base."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: _read(kind, words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [str(value)],
    )


def _read(kind: Callable[[str], Any], word: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        expected = NUMBERS.get(kind) if isinstance(kind, type) else None
        if expected is None:
            raise
        raise ValueError(f"found {word!r}, expected {expected}") from None


def _sentence(box: str) -> str:
    """What a box drawn by tyro says, as one sentence: the words between its title and its first
    rule, and what was probably meant."""
    if missing := _listed(box, "Missing from"):
        unknown = [word for word in _listed(box, "Unrecognized options") if word.startswith("--")]
        guesses = [
            f"{word} (did you mean {m[0]}?)"
            for word in unknown
            if (m := difflib.get_close_matches(word, missing))
        ]
        return f"missing: {', '.join(missing)}" + "".join(
            f"; unknown: {guess}" for guess in guesses
        )
    lines = [line.strip("│| ") for line in box.splitlines()][1:]
    lines = ["" if set(line) <= set("╭╮╰╯─-+") else line for line in lines]
    # the title has a rule of its own where the box is drawn in ASCII
    lines = list(itertools.dropwhile(lambda line: not line, lines))
    text = " ".join(" ".join(itertools.takewhile(bool, lines)).split()).rstrip(". ")
    text = re.sub(r"\.\s+(Expected|Got)", lambda m: f"; {m[1].lower()}", text)
    text = text.removeprefix("Error parsing ")
    # "Missing value for argument '--rank'; expected 1 values"
    text = re.sub(r"^Missing value for argument '(.+?)'.*", r"\1 has no value; expected one", text)
    text = re.sub(r"one of \(([^)]*)\)", lambda m: f"one of {m[1].replace(chr(39), '')}", text)
    # "--compare: no type matching {None}|{STR STR} could be instantiated from ['x']"
    if "input length" in text or "no type matching" in text:
        option, given = text.partition(":")[0], re.search(r"expected argument count (\d+)", box)
        if given:
            text = f"{option} takes {given[1]} values, with a space between them"
    if text.startswith("Unrecognized options: "):
        unknown = text.removeprefix("Unrecognized options: ").replace(",", " ").split()
        kind = "option" if unknown[0].startswith("-") else "place for the word"
        text = f"there is no {kind} {unknown[0]}"
    if "Perhaps you meant:" in lines:
        after = lines[lines.index("Perhaps you meant:") + 1 :]
        meant = dict.fromkeys(line.split()[0] for line in after if line.startswith("--"))
        if meant:
            text += f"; did you mean {' or '.join(list(meant)[:2])}?"
    return text or "the command line could not be read"


def _listed(box: str, title: str) -> list[str]:
    """The options that a box of tyro lists below a title: each stands four columns into the box,
    its help further in."""
    _, heading, rest = box.partition(title)
    block = re.split(r"^.\s[-─]{5,}", rest, maxsplit=1, flags=re.MULTILINE)[0]
    items = re.findall(r"^[│| ]\s{5}(\S+)", block, re.MULTILINE) if heading else []
    return [item for item in items if item.startswith(("--", "{")) or item.isupper()]
