"""The house rules of docs/architecture.md, read off the source: who imports whom, how long a module
is, and no pickles."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

import veneer

ROOT = Path(veneer.__file__).resolve().parent
MODULES = {
    p.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): p
    for p in sorted(ROOT.rglob("*.py"))
}
LONGEST = 450  # lines

# From the top down; a part imports its own level and those below it.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"studies", "chat"},
    {"terminal"},
    {"report"},
    {"measures", "adapters", "serve"},
    {"systems", "judges", "tasks", "imports", "scale", "publish"},
    {"head"},
    {"capture"},
    {"models", "embed"},
    {"endpoint", "reasoning", "prompts", "hub"},
    {"registry"},
    {"moved"},
    {"foundation"},
    {"statistics"},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
LAB_MAY = {"lab", "models", "prompts", "foundation"}  # lab stands beside the levels
# inside a function only: its tasks and its models by name
MAY_IMPORT_LAB = {"tasks.lab", "models.load"}
# The package's own __init__ holds the public names, so it may import everything but cli, and
# nothing imports it.
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@cache
def tree(source: str) -> ast.Module:
    """Many checks read the same sources: parsed once."""
    return ast.parse(source)


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Every node of a source."""
    return tuple(ast.walk(tree(source)))


@cache
def imports(source: str, module: str) -> tuple[tuple[str, bool], ...]:
    """(imported module, whether it waits) of every import in a source, lazy ones and those for
    type checking as well."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            typing_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            inside = lazy or typing_only or isinstance(child, FUNCTIONS)
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, (
                    f"{module} line {child.lineno}: relative import; write the whole name"
                )
                yield from ((f"{child.module}.{alias.name}", inside) for alias in child.names)
            if not isinstance(child, ast.expr):  # an expression holds no import
                yield from walk(child, inside)

    return tuple(walk(tree(source), False))


@cache
def source_of(module: str) -> str:
    return MODULES[module].read_text(encoding="utf-8")


def part(module: str) -> str:
    return module.split(".")[0]


def room(module: str) -> str | None:
    """The study that a module belongs to; None for what all studies share."""
    parts = module.split(".")
    return (
        parts[1]
        if parts[0] == "studies" and len(parts) > 1 and (ROOT / "studies" / parts[1]).is_dir()
        else None
    )


def of_veneer(source: str, module: str) -> list[tuple[str, bool]]:
    """Imports of this package, without its name: ("models.pair.Pair", False)."""
    own_imports = [
        (name.removeprefix("veneer").removeprefix("."), lazy)
        for name, lazy in imports(source, module)
        if part(name) == "veneer"
    ]
    return own_imports


def fault(module: str, name: str, lazy: bool) -> str | None:
    """What is wrong with `module` importing `name`, or None. Both without the leading `veneer`."""
    own, other = part(module), part(name)
    if module == "__init__":
        return "the public names hold no command" if other == "cli" else None
    if other not in LEVEL and other != "lab":
        return "is in no level of docs/architecture.md"
    if own == "lab":
        return None if other in LAB_MAY else "lab imports models at most"
    if other == "lab":
        if module not in MAY_IMPORT_LAB:
            return "only tasks.lab and models.load import lab"
        return None if lazy else "lab is imported inside a function only"
    if other == "cli" and own not in ("cli", "__main__"):
        return "nothing imports cli"
    if own == other == "studies" and room(module) and room(name) and room(module) != room(name):
        return "a study imports no other study; what both need is a measure"
    if module in ("studies.study", "studies.runner") and room(name):
        return "the runner knows no study"
    return None if LEVEL[own] <= LEVEL[other] else "imports run downwards only"


def test_every_part_has_its_level():
    parts = {part(m) for m in MODULES} - {"__init__", "lab"}
    assert parts == set(LEVEL), "docs/architecture.md, LEVELS and src/veneer name the same parts"
    assert ROOT.name == "veneer" and len(MODULES) > 80


def in_all(check: Callable[[str], list[str]], but: Callable[[str], bool] = lambda _: False) -> str:
    """What a check finds in the sources of the modules, one line per module."""
    faults = {m: check(source_of(m)) for m in MODULES if not but(m)}
    return "\n".join(f"{m}: {'; '.join(places)}" for m, places in faults.items() if places)


def test_imports_run_downwards():
    wrong = [
        f"{module} imports {name}: {why}"
        for module in MODULES
        for name, lazy in of_veneer(source_of(module), module)
        if (why := fault(module, name, lazy))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("models.pair", "from veneer.capture import Capture"),
        ("models.pair", "def f():\n    from veneer.head.veneer import Veneer"),
        ("models.pair", "def f():\n    if 1:\n        import veneer.systems.system"),
        ("models.pair", "if TYPE_CHECKING:\n    from veneer.terminal.options import Machine"),
        ("foundation.errors", "from veneer.models import pair"),
        ("lab.world", "from veneer.head import extract"),
        ("lab.train", "from veneer.statistics.intervals import mean"),
        ("tasks.registry", "from veneer.lab import lab_prompts"),
        ("models.load", "from veneer.lab import lab_folder"),
        ("studies.portion.study", "def f():\n    from veneer.lab import names"),
        ("systems.system", "from veneer.measures import kl"),
        ("statistics.intervals", "from veneer import Pair"),
        ("report.render", "from veneer.cli import entry"),
        ("studies.audit.study", "def f():\n    from veneer.studies.restore.study import restore"),
        ("studies.runner", "from veneer.studies.audit import study"),
        ("report.render", "from veneer.studies.audit.page import SECTION"),
    ],
)
def test_the_check_sees_what_it_is_for(module, line):
    assert [why for name, lazy in of_veneer(line, module) if (why := fault(module, name, lazy))]


def _loaded(name: str) -> str:
    """The module that an imported name lives in: `models.pair.Pair` -> `models.pair`."""
    while name and name not in MODULES and f"{name}.__init__" not in MODULES:
        name = name.rpartition(".")[0]
    return name if name in MODULES else f"{name}.__init__" if name else "__init__"


def test_no_import_runs_in_a_circle():
    """Modules imported at import time; a lazy import may close no circle between levels, which the
    rule above forbids."""
    graph = {}
    for module in MODULES:
        eager = [name for name, lazy in of_veneer(source_of(module), module) if not lazy]
        graph[module] = (
            {_loaded(name) for name in eager} - {module} if module != "__init__" else set()
        )
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


def test_head_and_capture_have_an_order():
    """Within their level too: head reads captures, capture knows no head."""
    for module in MODULES:
        if part(module) == "capture":
            imported = [name for name, _ in of_veneer(source_of(module), module)]
            assert "head" not in map(part, imported), module


def test_no_module_is_long():
    lines = {module: len(source_of(module).splitlines()) for module in MODULES}
    assert not {module: n for module, n in lines.items() if n > LONGEST}


def pickles(source: str) -> list[str]:
    """What reads or writes pickles, or runs text as code, in a source."""
    uses = [
        name
        for name, _ in imports(source, "?")
        if part(name) in PICKLES or name in ("torch.load", "torch.save")
    ]
    for node in nodes(source):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("load", "save")
            and ast.unparse(node.value) == "torch"
        ):
            uses.append(f"torch.{node.attr}")
        if (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and not (isinstance(node.value, ast.Constant) and node.value.value is False)
        ):
            uses.append("allow_pickle")
        if isinstance(node, ast.Attribute) and node.attr in ("read_pickle", "to_pickle"):
            uses.append(node.attr)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("eval", "exec", "compile")
        ):
            uses.append(node.func.id)
    return uses


def test_nothing_is_pickled():
    assert not in_all(pickles)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "x = torch.load(p)",
        "from torch import load",
        "numpy.load(p, allow_pickle=True)",
        "eval(x)",
    ],
)
def test_the_check_sees_pickles(line):
    assert pickles(line)


@pytest.mark.parametrize("name", veneer.__all__)
def test_public_names_can_be_imported(name):
    thing = getattr(veneer, name)
    assert callable(thing) and thing.__doc__


def test_public_names_are_the_modules_own():
    """A name that veneer.__init__ hands on is the one that its own package exports."""
    from veneer import capture, head, systems

    assert veneer.capture_responses is capture.capture and veneer.Capture is capture.Capture
    assert veneer.System is systems.System and veneer.Veneer is head.Veneer
    assert sorted(veneer.__all__) == sorted(set(veneer.__all__))
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'; dir\(veneer\) lists"):
        veneer.nonsense  # noqa: B018
    with pytest.raises(AttributeError, match=r"did you mean extract_veneer\?"):
        veneer.extract  # noqa: B018


def test_the_package_lists_its_public_names():
    shown = {name for name in dir(veneer) if not name.startswith("_")}
    assert shown == set(veneer.__all__) == {*veneer._WHERE, *veneer._VERBS}
    assert veneer.__version__ == version("veneer") and (ROOT / "py.typed").is_file()


@pytest.mark.parametrize(
    "name", [m.removesuffix(".__init__") for m in MODULES if m.endswith(".__init__")]
)
def test_exports_exist(name):
    package = __import__(f"veneer.{name}", fromlist=["x"])
    assert all(hasattr(package, exported) for exported in getattr(package, "__all__", ()))


STARTS = {  # what runs: the libraries that it must not import
    "import veneer; from veneer.cli.main import COMMANDS; [COMMANDS[n] for n in COMMANDS]": (
        "torch transformers scipy pyarrow"
    ),
    "from veneer.report.sections import all_sections; all_sections()": (
        "torch transformers scipy.stats"
    ),
    "import veneer.studies.portion.extract_study, veneer.scale.ray_extract": "transformers",
    "import veneer.studies.judging.label_page; from veneer.judges.registry import JUDGES; "
    "JUDGES.get('refusal'); JUDGES.get('harm')": "transformers",
}


@pytest.mark.parametrize(
    ("code", "heavy"), STARTS.items(), ids=["options", "pages", "extraction", "judging"]
)
def test_what_answers_at_once_imports_no_heavy_library(code, heavy):
    """`veneer --help` needs no library of its commands, and `veneer report` no model; neither do an
    extraction (each worker of a cluster begins with it) and judges that load none."""
    end = f"import sys; sys.exit(' '.join(set({heavy.split()}) & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}; {end}"],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert run.stderr.strip() == ""


# What a person reads is made from facts, and never read back (docs/architecture.md, "A study").
TAKES_APART = {
    *("partition", "rpartition", "split", "rsplit", "splitlines", "startswith", "endswith"),
    *("removeprefix", "removesuffix", "replace", "find", "index", "strip", "lstrip", "rstrip"),
}
PATTERNS = {"match", "fullmatch", "search", "findall", "finditer", "sub", "split"}
SHOWN = {"note", "system"}  # the text of a row, and the name of its system
# folders of Veneer 0.1 hold texts alone: one module per study reads them
READS_OLD_TEXTS = ("folders_0_1", "foundation.system_id")


def _is_shown(node: ast.AST) -> bool:
    """Whether an expression is `row.note` or `row.system`, perhaps `(row.note or "")`."""
    if isinstance(node, ast.BoolOp):
        return any(_is_shown(value) for value in node.values)
    return isinstance(node, ast.Attribute) and node.attr in SHOWN


def texts_taken_apart(source: str) -> list[str]:
    """Places where a row's note or a system's name is parsed, as source texts."""
    places = []
    for node in nodes(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in TAKES_APART and _is_shown(node.func.value):
                places.append(ast.unparse(node))
            is_pattern = node.func.attr in PATTERNS and any(_is_shown(a) for a in node.args)
            if is_pattern and ast.unparse(node.func.value) != "self":
                places.append(ast.unparse(node))
        if isinstance(node, ast.Compare) and any(
            isinstance(operator, ast.In | ast.NotIn)
            and isinstance(right, ast.AST)
            and _is_text(right)
            for operator, right in zip(node.ops, node.comparators, strict=True)
        ):
            places.append(ast.unparse(node))
    return places


def _is_text(node: ast.AST) -> bool:
    """`row.note` on the right of `in`: a search within the text."""
    if isinstance(node, ast.BoolOp):
        return any(_is_text(value) for value in node.values)
    return isinstance(node, ast.Attribute) and node.attr == "note"


def test_no_text_is_taken_apart():
    assert not in_all(texts_taken_apart, but=lambda module: module.endswith(READS_OLD_TEXTS))


@pytest.mark.parametrize(
    "line",
    [
        "row.note.partition(':')[0]",
        "(row.note or '').replace('a', 'b')",
        "'oracle' in row.note",
        "'oracle' in (row.note or '')",
        "row.system.startswith('shifted-')",
        "re.fullmatch(r'lora-(\\\\d+)', row.system)",
    ],
)
def test_the_check_sees_a_text_that_is_taken_apart(line):
    assert texts_taken_apart(line)


# Modules that make English of results: pages, the terminal, and each study's words
VIEWS = ("page", "show", "words", "command", "measure_command", "extract_command")


def english_in_rows(source: str) -> list[str]:
    """Literal sentences that are given to a row as its note."""
    sentences = []
    for node in nodes(source):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "note" and isinstance(
                    keyword.value, ast.Constant | ast.JoinedStr
                ):
                    text = ast.unparse(keyword.value)
                    if " " in text:
                        sentences.append(text)
    return sentences


def test_results_are_data():
    assert not in_all(english_in_rows, but=lambda module: module.split(".")[-1] in VIEWS)


def test_only_the_runner_records_runs():
    """One place locks, records, resumes and renders; a study only measures."""
    for module in MODULES:
        calls = {
            n.func.id
            for n in nodes(source_of(module))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        if module not in ("studies.runner", "foundation.run_record"):
            assert "RunRecord" not in calls, f"{module} builds a run record"
        if module not in ("studies.runner", "report.render", "cli.report"):
            assert "write_report" not in calls, f"{module} renders a study's page"
