"""What the documents name exists: modules, commands, options, and other documents."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from veneer.cli.main import COMMANDS
from veneer.foundation.settings import Option

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLUGIN = {"wordiness"}  # the command of the package that docs/extending.md shows
OTHERS = {"lm_eval", "datasets"}  # first folders of paths in other people's code
names = [str(page.relative_to(ROOT)) for page in PAGES]


def command_lines(text: str) -> Iterator[list[str]]:
    """Every `veneer ...` line of a code block, continued lines joined, as words."""
    joined = text.replace("\\\n", " ")
    for line in re.findall(r"^(?: {4,}|\$ )(veneer [a-z-]+ .*)$", joined, re.MULTILINE):
        words = re.split(r"\s{2,}#|\s\|\s|\s&&\s", line)[0]
        try:
            yield shlex.split(words.replace("'", "\\'"))
        except ValueError:
            yield words.split()


def options(cls: type) -> set[str]:
    """Every option of a command and of the settings objects in it."""
    names = {"--help", "--config"}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        marks: tuple[Any, ...] = getattr(hint, "__metadata__", ())
        inner = get_args(hint)[0] if marks else hint
        option = next((m for m in marks if isinstance(m, Option)), Option())
        if isinstance(inner, type) and hasattr(inner, "__dataclass_fields__"):
            names |= options(inner)
        else:
            names |= {f"--{(option.name or name).replace('_', '-')}", option.alias or "--help"}
            names |= {f"--no-{name.replace('_', '-')}"}
    return names


# before any command is parsed: that replaces the marks of its fields by the parser's
OPTIONS = {name: options(command) for name, command in COMMANDS.items()}


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_commands_and_options_exist(page):
    for _, command, *words in command_lines(page.read_text(encoding="utf-8")):
        if command in PLUGIN:
            continue
        assert command in COMMANDS, f"veneer {command}"
        known = OPTIONS[command]
        given = {w.split("=")[0].strip("[]`.,;:)") for w in words if w.strip("[").startswith("--")}
        assert given <= known, f"veneer {command} has no {', '.join(sorted(given - known))}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_modules_exist(page):
    text = page.read_text(encoding="utf-8")
    ours = [
        str(p)
        for folder in ("src", "tests", "tools", "benchmarks", "examples")
        for p in (ROOT / folder).rglob("*.py")
    ]
    paths = {p for p in re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.py)`", text)}
    missing = [
        path
        for path in paths
        if path.split("/")[0] not in OTHERS and not any(own.endswith(f"/{path}") for own in ours)
    ]
    assert not missing, missing
    files = set(re.findall(r"`((?:src|tests|tools|benchmarks|examples)/[\w./-]+\.[a-z]+)`", text))
    assert not [file for file in files if "NAME" not in file and not (ROOT / file).exists()]
    modules = set(re.findall(r"\b((?:veneer|tools)(?:\.[a-z_0-9]+)+)\b(?!\()", text))
    for module in modules:
        parts = module.split(".")
        base = ROOT / "src" if parts[0] == "veneer" else ROOT
        inside = [base.joinpath(*parts[:n]) for n in range(len(parts), 1, -1)]
        folder = base / parts[0]
        first = base.joinpath(*parts[:2])
        known = first.is_dir() or first.with_suffix(".py").exists()
        named = parts[1] in (folder / "__init__.py").read_text(encoding="utf-8")
        if parts[1] in ("json", "safetensors", "py", "fish"):  # files
            continue
        assert known or named, module
        assert any(p.is_dir() or p.with_suffix(".py").exists() for p in inside) or named, module


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target
