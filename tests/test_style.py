"""The names rule of docs/style.md, read off the syntax trees: names of values are nouns."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tests", "tools", "benchmarks", "examples")
BARRED = {"found", "said", "told", "asked"}


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of each name that a module binds: values, parameters, attributes, definitions,
    imports and what a `match` or an `except` catches."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name


def barred(source: str) -> list[tuple[int, str]]:
    return [(line, name) for line, name in names(ast.parse(source)) if name.lower() in BARRED]


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_of_values_are_nouns(folder):
    faults = [
        f"{path.relative_to(REPOSITORY)} line {line}: {name}"
        for path in sorted((REPOSITORY / folder).rglob("*.py"))
        for line, name in barred(path.read_text(encoding="utf-8"))
    ]
    assert not faults, "name each by the noun that says what it is: " + "; ".join(faults)


@pytest.mark.parametrize(
    "line",
    [
        "found = 1",
        "found: int = 1",
        "a, (said, *told) = b",
        "[1 for asked in b]",
        "def told(): pass",
        "def f(*, asked): pass",
        "lambda *said: 1",
        "self.asked = 1",
        "ASKED = 1",
        "if found := f(): pass",
        "with a as told: pass",
        "try: pass\nexcept E as told: pass",
        "import a as found",
        "class Told: pass",
        "match a:\n    case [*said]: pass",
    ],
)
def test_the_check_sees_a_barred_name(line):
    assert barred(line)


def test_other_names_and_texts_pass():
    assert not barred("result = 'found'; rows['said'] = a.told; f(found_at=1)")
