"""Regular expressions of strangers: whether one may backtrack for ever, told from its shape, and
tried out in a child process with limits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MANY = 3  # repetitions beyond which a bound within another repetition is as good as none
LONGEST_CHAIN = 4  # unbounded repetitions in one sequence that tokenizers in use have at most
CPU_SECONDS = 2  # of the child process; an expression in use takes milliseconds
NAMES_CPU_SECONDS = 1  # the same for Python's engine, over names of modules
WALL_SECONDS = 60.0  # of the child process on a machine that is busy
MEMORY = 4 * 2**30  # bytes of address space of the child process
EXPONENTIAL, POLYNOMIAL = 48, 1500  # repetitions in a text that shows the one or the other
ENDS = ("\0", "", "!", "a", "0", " ", "\n")  # what may keep an expression from matching
SPLIT = """\
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({cpu}, {cpu}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
pattern, texts = json.load(sys.stdin)
split = Split(Regex(pattern), "isolated")
for text in texts:
    split.pre_tokenize_str(text)
"""
MATCH = """\
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({cpu}, {cpu}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
pattern, texts = json.load(sys.stdin)
for text in texts:
    re.fullmatch(pattern, text)
"""


def is_risky(pattern: str) -> bool:
    """Whether an expression's shape may take more than quadratic time: an unbounded repetition of
    what can match in several ways, a long chain of unbounded repetitions, or a reference back."""
    if re.search(r"\|[^()]*\)[*+{]", pattern):  # Python's parser makes one class of (a|b)
        return True
    tree = _parsed(pattern)
    if tree is None:  # syntax that Python's parser does not know
        return bool(re.search(r"[*+}?]\)+[*+{]", pattern)) or len(re.findall("[*+]", pattern)) > 24
    return _risky(tree)


def splits_in_time(pattern: str) -> bool:
    """Whether the tokenizers' engine gets through texts that are made to keep this expression
    busy, tried in a child process."""
    return _survives(SPLIT, pattern, list(_texts(pattern)))


def matches_in_time(pattern: str, texts: Sequence[str]) -> bool:
    """Whether Python's engine gets through `texts`, tried in a child process."""
    return _survives(MATCH, pattern, list(texts), NAMES_CPU_SECONDS)


def least_width(pattern: str) -> int:
    """The least number of characters that an expression matches; 0 where it cannot be told."""
    tree = _parsed(pattern)
    return 0 if tree is None else int(tree.getwidth()[0])


def _survives(program: str, pattern: str, texts: list[str], cpu: int = CPU_SECONDS) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", program.format(cpu=cpu, memory=MEMORY)],
            input=json.dumps([pattern, texts]).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _parsed(pattern: str) -> Any:
    """The tree of an expression; None where Python cannot parse it. Classes that only other engines
    know stand as word characters."""
    plain = re.sub(r"\\[pP]\{[^}]*\}|\\[pP][A-Z]|\[:\^?\w+:\]", r"\\w", pattern)
    plain = re.sub(r"\\[hH]", r"\\w", plain).replace(r"\z", r"\Z")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(plain)
    except (re.error, RecursionError, OverflowError, ValueError):
        return None


def _inner(operation: Any, argument: Any) -> list[Any]:
    """The parts of a node that are expressions themselves."""
    if operation in _REPEATS:
        return [argument[2]]
    if operation is codes.BRANCH:
        return list(argument[1])
    if operation in (codes.SUBPATTERN, codes.ASSERT, codes.ASSERT_NOT):
        return [argument[-1]]
    if operation is codes.ATOMIC_GROUP:
        return [argument]
    if operation is codes.GROUPREF_EXISTS:
        return [part for part in argument[1:] if part is not None]
    return []


_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


def _unbounded(operation: Any, argument: Any) -> bool:
    return operation in _REPEATS and argument[1] > MANY


def _varies(tree: Any) -> bool:
    """Whether an expression can match texts of several lengths or in several ways."""
    return any(
        operation is codes.BRANCH
        or (operation in _REPEATS and argument[0] != argument[1])
        or any(_varies(part) for part in _inner(operation, argument))
        for operation, argument in tree
    )


def _risky(tree: Any) -> bool:
    chain = 0
    for operation, argument in tree:
        if operation is codes.GROUPREF:
            return True
        if _unbounded(operation, argument):
            chain += 1
            if _varies(argument[2]):
                return True
        if any(_risky(part) for part in _inner(operation, argument)):
            return True
    return chain > LONGEST_CHAIN


def _texts(pattern: str) -> Iterator[str]:
    """Texts that repeat what the expression repeats, behind what comes before it, with something
    else in front of what has to follow; and plain ones."""
    for pump in ("a", "aB", "0", " ", "a ", ".", "\n", "\r\n", "\u00e9"):
        yield pump * POLYNOMIAL
    tree = _parsed(pattern)
    seen: set[tuple[str, str]] = set()
    for before, pump, after in _pumps(tree, "", "") if tree is not None else ():
        if pump and (before, pump) not in seen and len(seen) < 40:
            seen.add((before, pump))
            for end in ENDS:
                # an engine looks for what has to follow before it tries anything
                yield before + pump * EXPONENTIAL + end + after
            for end in ENDS[:3]:
                yield before + pump * POLYNOMIAL + end + after


def _pumps(tree: Any, before: str, after: str) -> Iterator[tuple[str, str, str]]:
    """(what comes before a repetition, what it repeats, what follows)"""
    nodes = list(tree)
    for number, (operation, argument) in enumerate(nodes):
        rest = _sample(nodes[number + 1 :], 0) + after
        if _unbounded(operation, argument):
            for choice in range(3):
                yield before, _sample(argument[2], choice), rest
        for part in _inner(operation, argument):
            yield from _pumps(part, before, rest)
        before += _sample([(operation, argument)], 0)


def _sample(tree: Any, choice: int) -> str:
    """A text that the expression matches; choice: which of several."""
    out = ""
    for operation, argument in tree:
        if operation is codes.LITERAL:
            out += chr(argument)
        elif operation is codes.NOT_LITERAL:
            out += "a" if argument != ord("a") else "b"
        elif operation is codes.ANY:
            out += "a"
        elif operation is codes.IN:
            out += _member(argument, choice)
        elif operation is codes.BRANCH:
            out += _sample(argument[1][choice % len(argument[1])], choice)
        elif operation in _REPEATS:
            out += _sample(argument[2], choice) * min(max(int(argument[0]), 1), MANY)
        elif operation is codes.SUBPATTERN:
            out += _sample(argument[-1], choice)
        elif operation is codes.ATOMIC_GROUP:
            out += _sample(argument, choice)
    return out


_CATEGORIES = {
    codes.CATEGORY_DIGIT: "0",
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_WORD: "a",
    codes.CATEGORY_NOT_DIGIT: "a",
    codes.CATEGORY_NOT_SPACE: "a",
    codes.CATEGORY_NOT_WORD: ".",
}


def _member(members: Any, choice: int) -> str:
    """A character of a class."""
    negated = bool(members) and members[0][0] is codes.NEGATE
    listed = [
        chr(argument)
        if operation is codes.LITERAL
        else chr(argument[0])
        if operation is codes.RANGE
        else _CATEGORIES.get(argument, "a")
        for operation, argument in members
        if operation is not codes.NEGATE
    ]
    if negated:
        return next((c for c in "a0 .\nZ~" if c not in listed), "\u00e9")
    return listed[choice % len(listed)] if listed else "a"
