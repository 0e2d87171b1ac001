"""The doors from outside: a package that adds a task, a judge, a study and a teacher, as a user
installs it, without a change in Veneer. tests/plugin is that package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import veneer
from forked import Runner
from veneer.foundation.errors import InputError
from veneer.foundation.registry import Registry
from veneer.tasks.registry import TASKS

PLUGIN = Path(__file__).with_name("plugin")
PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")
BROKEN = """[veneer.{0}]
{1} = veneer_broken.nowhere:thing
"""


def install(target: Path, name: str, points: str) -> None:
    """Do what pip does with a package of no dependencies: a dist-info folder beside the code."""
    info = target / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the plug-in installed."""
    target = tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN / "veneer_courtesy", target / "veneer_courtesy")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    install(
        target,
        project["name"],
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
            for group, points in project["entry-points"].items()
        ),
    )
    return target


@pytest.fixture(scope="module")
def with_plugin(site) -> Iterator[Runner]:
    """Commands where the plug-in is installed."""
    runner = Runner(installed=site)
    yield runner
    runner.close()


def call(*args: object, path: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with the packages in `path` installed."""
    source = Path(veneer.__file__).resolve().parents[1]
    places = os.pathsep.join([str(path), str(source)])
    return subprocess.run(
        [sys.executable, "-m", "veneer", *map(str, args)],
        env={**os.environ, "PYTHONPATH": places, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def flat(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


def test_the_task_is_listed(with_plugin):
    listed = with_plugin.run("tasks", "--json")
    assert (listed.status, listed.err) == (0, "")
    (task,) = [row for row in json.loads(listed.out) if row["name"] == "favours"]
    assert (task["train"], task["test"], task["judges"]) == (10, 10, ["courtesy"])
    shown = with_plugin.run("tasks", "show", "favours", "-n", 1)
    assert "Will you open the door?" in shown.out and "judge courtesy" in shown.out


@pytest.fixture(scope="module")
def measured(with_plugin, tmp_path_factory) -> Path:
    """A study of the lab pair on the plug-in's task."""
    out = tmp_path_factory.mktemp("measured") / "run"
    options = ("--tasks", "favours", "--no-controls", "--max-new-tokens", 8, "--out", out)
    done = with_plugin.run("run", *PAIR, *options)
    assert done.status == 0, done.err
    return out


def test_run_measures_the_task_with_the_judge(measured):
    rates = [r for r in rows(measured) if r["metric"] == "courtesy_rate" and r["split"] == "test"]
    assert {r["system"] for r in rates} == {"base", "veneer", "aligned"}
    assert {(r["task"], r["judge"], r["n"]) for r in rates} == {("favours", "courtesy-words-1", 10)}
    values = {r["system"]: r["value"] for r in rates}
    assert values["base"] == 0, "it writes numbers"
    assert values["aligned"] == 1, "it says that it would be glad, or good morning"
    portions = [r for r in rows(measured) if r["metric"] == "portion" and r["split"] == "test"]
    assert [(r["of"], r["judge"]) for r in portions] == [("courtesy_rate", "courtesy-words-1")]
    page = (measured / "report.html").read_text(encoding="utf-8")
    assert "courtesy-words-1" in page and "favours" in page


def test_the_study_has_a_command_and_a_section(with_plugin, measured, tmp_path):
    file, out = measured / "responses" / "favours.base.jsonl", tmp_path / "wordiness"
    assert "wordiness Count the words of stored answers" in flat(with_plugin.run("--help").out)
    done = with_plugin.run("wordiness", file, "--out", out)
    assert done.status == 0, done.err
    (row,) = rows(out)
    counts = [len(json.loads(line)["text"].split()) for line in file.read_text().splitlines()]
    assert row["value"] == pytest.approx(sum(counts) / len(counts))
    page = (out / "report.html").read_text()
    assert "How wordy the answers are" in page and "Mean words per answer" in page
    assert json.loads((out / "run.json").read_text())["finished"]


def test_the_teacher_answers_a_capture(with_plugin, tmp_path):
    out = tmp_path / "capture"
    options = ("--base", "lab:base", "--prompts", "favours", "--limit", 3, "--out", out)
    done = with_plugin.run("capture", *options, "--teacher", "constant:Thank you, yes.")
    assert done.status == 0, done.err
    (responses,) = out.glob("responses-*.jsonl")
    texts = [json.loads(line)["text"] for line in responses.read_text().splitlines()]
    assert texts == ["Thank you, yes."] * 3
    assert (
        json.loads((out / "run.json").read_text())["config"]["teacher"]
        == "constant:Thank you, yes."
    )
    both = with_plugin.run("capture", *options, *PAIR[2:], "--teacher", "constant")
    assert both.status == 2
    assert "found --aligned and --teacher; expected one of --aligned, --responses" in both.err


def test_a_mistyped_name_suggests_the_nearest(with_plugin):
    done = with_plugin.run("tasks", "show", "favour")
    assert done.status == 2 and "did you mean 'favours'?" in done.err
    options = ("--base", "lab:base", "--prompts", "favours", "--out", "nowhere", "--dry-run")
    done = with_plugin.run("capture", *options, "--teacher", "constnat")
    assert done.status == 2
    assert "there is no teacher 'constnat'; did you mean 'constant'?" in done.err


def test_a_broken_package_breaks_nothing_else(tmp_path):
    """Each of its doors gives one sentence that names it."""
    points = "".join(
        BROKEN.format(group, "broken") for group in ("tasks", "judges", "studies", "teachers")
    )
    install(tmp_path, "veneer-broken", points)
    listed = call("tasks", path=tmp_path)
    assert listed.returncode == 0 and "lab-sums" in listed.stdout
    assert "the task 'broken' of veneer-broken cannot be imported" in listed.stderr
    assert "Traceback" not in listed.stderr
    assert call("--help", path=tmp_path).returncode == 0
    shown = call("tasks", "show", "broken", path=tmp_path)
    assert shown.returncode == 2 and "mend or uninstall veneer-broken" in shown.stderr


def test_a_study_with_a_missing_command_or_section_breaks_nothing_else(measured, site, tmp_path):
    (tmp_path / "half.py").write_text(
        "from veneer import Room\n"
        "ROOM = Room(commands={'half': 'half.nowhere:Half', 'run': 'half:other'},"
        " sections=('half.nowhere:SECTION',))\n"
    )
    install(tmp_path, "veneer-half", "[veneer.studies]\nhalf = half:ROOM\n")
    assert "half.nowhere:Half cannot be imported" in flat(call("--help", path=tmp_path).stdout)
    half = call("half", path=tmp_path)
    assert half.returncode == 2 and "mend or uninstall half" in half.stderr
    assert "--aligned" in call("run", "--help", path=tmp_path).stdout, "the built-in command stays"
    page = call("report", measured, "--out", tmp_path / "page.html", path=tmp_path)
    assert page.returncode == 0 and "half.nowhere:SECTION cannot be imported" in page.stderr


def test_a_program_registers_without_a_package():
    @veneer.task("made-up-task")
    class MadeUp(veneer.Task):
        name = "made-up-task"
        headlines = {"length": "up"}  # noqa: RUF012

        def prompts(self, split):
            return [veneer.Prompt.from_text(f"made-up-{split}", "?", task=self.name)]

    from veneer.tasks.registry import get_task

    try:
        assert isinstance(get_task("made-up-task"), MadeUp) and "made-up-task" in TASKS
    finally:
        TASKS.unregister("made-up-task")
    with pytest.raises(InputError, match="there is no task 'made-up-task'"):
        get_task("made-up-task")


def test_a_cell_that_runs_again_replaces_what_it_registered():
    source = """
import veneer

@veneer.task("defined-in-a-cell")
def make(data):
    return "first"
"""
    cell = {"__name__": "__main__"}
    try:
        for text in (source, source.replace("first", "second")):
            exec(compile(text, "cell", "exec"), cell)
        assert TASKS.get("defined-in-a-cell")(None) == "second"
        with pytest.raises(InputError, match="already; choose another name"):
            veneer.task("defined-in-a-cell")(lambda data: "another")
    finally:
        TASKS.unregister("defined-in-a-cell")


@pytest.mark.parametrize("door", [veneer.task("svamp"), veneer.judge("refusal")])
def test_nothing_built_in_is_replaced(door):
    with pytest.raises(InputError, match="already; choose another name"):
        door(object())


def test_an_object_of_another_kind_is_refused():
    from veneer.judges.config import JudgeConfig
    from veneer.judges.registry import JUDGES, get_judge
    from veneer.tasks.registry import get_task

    veneer.task("odd")(lambda data: "no task")
    veneer.judge("odd")(lambda config: "no judge")
    try:
        with pytest.raises(InputError, match="gives 'no task'; expected an object of"):
            get_task("odd")
        with pytest.raises(InputError, match="gives an object without name, id, metrics"):
            get_judge("odd", JudgeConfig())
    finally:
        TASKS.unregister("odd")
        JUDGES.unregister("odd")


def test_two_packages_with_one_name_are_named(tmp_path, monkeypatch):
    for package in ("one", "two"):
        install(tmp_path, package, f"[veneer.made-up]\nthing = {package}:thing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry: Registry[object] = Registry("thing", "veneer.made-up")
    assert registry.names() == ["thing"]
    with pytest.raises(InputError, match="one and two both offer a thing 'thing'"):
        registry.get("thing")
    with pytest.raises(InputError, match="no installed package offers one; expected an entry poi"):
        Registry("thing", "veneer.nothing").get("thing")


@pytest.mark.parametrize(
    "file",
    ["pyproject.toml", *(f"veneer_courtesy/{n}.py" for n in ("task", "judge", "study", "teacher"))],
)
def test_the_page_shows_the_package(file):
    page = (PLUGIN.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    assert f"```{(PLUGIN / file).read_text(encoding='utf-8')}```" in page.replace(
        "```python\n", "```"
    ).replace("```toml\n", "```")


def test_the_judge_of_the_page_runs():
    """The rubric of docs/extending.md: an empty answer is judged by rule, without a model."""
    from veneer.endpoint import Usage
    from veneer.judges.llm import LLMJudge

    page = (PLUGIN.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    (block,) = [b for b in page.split("```") if "BREVITY = Rubric" in b]
    names: dict = {}
    exec(block.removeprefix("python\n"), names)

    class Nobody:
        model, usage = "nobody", Usage()

    judge = LLMJudge(names["BREVITY"], Nobody())
    assert judge.scores([veneer.Prompt.from_text("1", "Why?")], [""]) == [{"brevity_score": 5.0}]
