"""`--config FILE`: options from a YAML, JSON or TOML file, or from the run.json of an earlier
run."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from veneer.foundation.errors import InputError
from veneer.foundation.reading.decode import decoded
from veneer.foundation.reading.json_values import RepeatedKey, unique_keys
from veneer.foundation.registry import nearest
from veneer.foundation.settings import Option

CONFIG = "--config"
LARGEST = 1 << 20  # bytes
# what the YAML library says of a problem -> what is wrong
YAML_PROBLEMS = {
    "mapping values": "a value that holds a colon and a space needs quotes",
    "'\\t'": "a tab stands where spaces are expected",
    "end of stream": "a quote is not closed",
    "stream end": "a bracket is not closed",
    "expected <block end>": "this line is indented otherwise than the lines above it, or is no "
    "option with a value",
    "could not determine a constructor": "a tag that begins with ! is not allowed",
}


@dataclasses.dataclass(frozen=True)
class _Known:
    """One option of a command. settings: the class of its field. name: as it is typed, without
    dashes. is_flag: it takes no value. is_list: it takes several words."""

    settings: type
    name: str
    field: str
    option: Option
    is_flag: bool
    is_list: bool
    default: Any


def with_config(command: type, words: Sequence[str]) -> list[str]:
    """The words of a command line with those of `--config FILE` in front, so that a word of the
    command line wins. Raises InputError for a file that cannot be read, an option that the command
    does not have, or a value that is none."""
    own, files = [], []
    waiting = iter(words)
    for word in waiting:
        name, sign, value = word.partition("=")
        if name != CONFIG:
            own.append(word)
        elif file := value if sign else next(waiting, ""):
            files.append(file)
        else:
            raise InputError(f"{CONFIG} names no file; give the path of a YAML, JSON or TOML file")
    known = {k.name: k for k in known_options(command)}
    given: list[str] = []
    positional: list[str] = []
    for file in files:
        spelt: dict[str, str] = {}
        for name, value in _read(Path(file)).items():
            option = _find(known, str(name), file)
            if (before := spelt.setdefault(option.name, str(name))) != str(name):
                raise InputError(
                    f"{file} gives {option.name} twice, as {before!r} and {str(name)!r}; give it "
                    "once"
                )
            target = positional if option.option.positional else given
            target += _words(option, value, file)
    return [*given, *own] if _has_positional(own, known) else [*given, *positional, *own]


def options_of(command: Any) -> dict[str, Any]:
    """The options of a command's object that differ from their defaults, by name, as a file for
    `--config` may hold them."""
    options: dict[str, Any] = {}
    for option, value in values_of(command):
        unchanged = value == option.default and not option.option.positional
        if unchanged or not option.option.recorded:
            continue
        if option.is_flag:
            options[option.name] = True
        elif isinstance(value, tuple):
            options[option.name] = [_plain(v) for v in value]
        else:
            options[option.name] = _plain(value)
    return options


def option_of(command: type, field: str) -> str | None:
    """The option of a settings field in a command, with its dashes: `--timeout`, or, where a field
    of the command has a word before it, `--teacher-timeout`. None where the command has no such
    option, or several."""
    options = [k for k in known_options(command) if not k.option.positional]
    names = {k.name for k in options if k.field == field}
    names = names or {k.name for k in options if k.field.endswith(f"_{field}")}
    return f"--{names.pop()}" if len(names) == 1 else None


def typed_fields(command: type, words: Sequence[str]) -> frozenset[tuple[type, str]]:
    """The settings class and the field of each option that a command line names."""
    names = {_dashed(word) for word in words if word.startswith("-")}
    return frozenset(
        (k.settings, k.field)
        for k in known_options(command)
        if names & {f"--{k.name}", k.option.alias}
    )


def refuse_repeated(command: type, words: Sequence[str]) -> None:
    """Raise InputError for an option that takes several values and stands twice on a command
    line: the values of the last one would take the place of the others."""
    typed = Counter(_dashed(word) for word in words if word.startswith("-"))
    for k in known_options(command):
        count = typed[f"--{k.name}"] + (typed[k.option.alias] if k.option.alias else 0)
        if k.is_list and not k.option.repeat and count > 1:
            between = "commas" if k.option.commas else "spaces"
            raise InputError(
                f"--{k.name} is given {count} times; give it once, with {between} between its "
                "values"
            )


def spaced_list(command: type, words: Sequence[str]) -> str | None:
    """What is wrong with a line that has spaces between the values of a list with commas
    (`--ranks 1 4`); None for a line that has none."""
    lists = {f"--{k.name}" for k in known_options(command) if k.option.commas}
    for i, word in enumerate(words):
        if word not in lists:
            continue
        values = list(takewhile(lambda w: not w.startswith("-"), words[i + 1 :]))
        if len(values) > 1:
            joined = ",".join(v.strip(",") for v in values)
            return (
                f"{word} is followed by {' '.join(values)}; put commas and no spaces between its "
                f"values: {word} {joined}"
            )
    return None


def _dashed(word: str) -> str:
    """The option that a word names, in the spelling of the help."""
    return word.partition("=")[0].replace("_", "-")


@cache
def known_options(command: type) -> tuple[_Known, ...]:
    """Every option of a command and of the settings objects in it."""
    return tuple(_fields(command))


def _fields(command: type) -> Iterator[_Known]:
    hints = get_type_hints(command, include_extras=True)
    for f in dataclasses.fields(command):
        hint = hints[f.name]
        marks = getattr(hint, "__metadata__", ())
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        option = next((m for m in marks if isinstance(m, Option)), Option())
        if option.hidden:
            continue
        if isinstance(bare, type) and dataclasses.is_dataclass(bare):
            yield from known_options(bare)
        else:
            is_flag = f.default is True or f.default is False
            name = (option.name or f.name).replace("_", "-")
            if f.default is True:
                name = f"no-{name}"
            # a parsed class has no type left for a list with commas
            is_list = option.commas or _is_list(bare)
            yield _Known(command, name, f.name, option, is_flag, is_list, f.default)


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(map(_is_list, get_args(hint)))


def values_of(command: Any) -> Iterator[tuple[_Known, Any]]:
    """Each option with its value in a command's object."""
    own = {k.field: k for k in known_options(command.__class__)}
    hints = get_type_hints(command.__class__, include_extras=True)
    for f in dataclasses.fields(command):
        value = getattr(command, f.name)
        if any(getattr(m, "hidden", False) for m in getattr(hints[f.name], "__metadata__", ())):
            continue
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from values_of(value)
        elif f.name in own:
            yield own[f.name], value


def _read(path: Path) -> dict[str, Any]:
    """The options in a file. Raises InputError."""
    expected = "expected a mapping of option names to values, such as `train: 100`"
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} has more than {LARGEST} bytes; {expected}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the file of {CONFIG}, {path}, cannot be read ({error.strerror}); {expected}"
        ) from None
    text = decoded(data, path)
    try:
        value = _parsed(path.suffix.lower(), text)
    except RepeatedKey as error:
        raise InputError(f"{path} has the key {str(error)!r} twice; give it once") from None
    except Exception as error:  # each parser has errors of its own
        reason = _yaml_problem(error) or " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} is no {(path.suffix[1:] or 'yaml').upper()} ({reason}); {expected}"
        ) from None
    if isinstance(value, dict) and {"command", "config"} <= value.keys():  # a run.json
        value = value.get("options")
        if not value:
            raise InputError(
                f"{path} records no options; expected the run.json of a run that was started "
                "from the command line"
            )
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
        raise InputError(f"{path} holds {kinds.get(type(value), 'no mapping')}; {expected}")
    return value


def _parsed(suffix: str, text: str) -> Any:
    """The value of a file. Numbers stay as they are written: an option takes a text, and 0.10 may
    be a folder's name."""
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=unique_keys, parse_int=str, parse_float=str)
    if suffix == ".toml":
        return tomllib.loads(text, parse_float=str)
    return _parsed_yaml(text)


def _parsed_yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            unique_keys([(key.value, None) for key, _ in node.value if isinstance(key.value, str)])
            return super().construct_mapping(node, deep)

    for kind in ("int", "float", "timestamp"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", Loader.construct_scalar)
    return yaml.load(text, Loader)


def _yaml_problem(error: Exception) -> str | None:
    """Where a file is no YAML and why, in words of our own; None for another parser's error."""
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None))
    if mark is None:
        return None
    reason = next((text for key, text in YAML_PROBLEMS.items() if key in problem), None)
    return f"line {mark.line + 1}, column {mark.column + 1}{f': {reason}' if reason else ''}"


def _find(known: Mapping[str, _Known], name: str, file: str) -> _Known:
    typed = name.lstrip("-").replace("_", "-")
    by_field = {
        k.field.replace("_", "-"): k for k in known.values() if not k.name.startswith("no-")
    }
    option = known.get(typed) or by_field.get(typed)
    if option is None:
        raise InputError(f"{file} has the option {name!r}; {nearest(typed, list(known))}")
    return option


def _words(option: _Known, value: Any, file: str) -> list[str]:
    """The option with its value, as they are typed."""
    if value is None:
        return []
    dashed = f"--{option.name}"
    if option.is_flag:
        if not isinstance(value, bool):
            raise InputError(f"{file} gives {option.name} as {value!r}; expected true or false")
        return [dashed] if value else []
    items = value if isinstance(value, list) else [value]
    if any(isinstance(i, bool | dict | list) or i is None for i in items):
        raise InputError(
            f"{file} gives {option.name} as {value!r}; expected a text, a number or a list of them"
        )
    texts = [str(i) for i in items]
    if len(texts) != 1 and not option.is_list:
        raise InputError(f"{file} gives {option.name} as {value!r}; expected one value")
    if option.option.positional:
        return texts
    if option.option.commas:
        return [dashed, ",".join(texts)]
    if option.option.repeat:
        return [word for text in texts for word in (dashed, text)]
    return [dashed, *texts]


def _has_positional(words: Sequence[str], known: Mapping[str, _Known]) -> bool:
    """Whether a command line has a word that is neither an option nor its value."""
    skip = False
    for word in words:
        if word.startswith("--"):
            name, sign, _ = word[2:].partition("=")
            option = known.get(name.replace("_", "-"))
            skip = not sign and option is not None and not option.is_flag
        elif not skip:
            return True
        else:
            skip = False
    return False


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
