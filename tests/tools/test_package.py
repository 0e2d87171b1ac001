"""What is published on PyPI: what the archive holds, and a README whose links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODELS = 11_500_000  # bytes; the embedded models, which hardly shrink
REST = 1_500_000  # bytes of everything else, compressed
PLACE = "https://github.com/somebody/veneer"


def hook():
    spec = importlib.util.spec_from_file_location("hook", ROOT / "tools/package_metadata.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_of_the_readme_lead_to_the_repository():
    text = hook().absolute((ROOT / "README.md").read_text(encoding="utf-8"), PLACE, "1.2.3")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 30 and not [t for t in targets if not t.startswith(("https://", "#"))]
    for target in targets:
        if target.startswith(PLACE):
            kind, version, path = target.removeprefix(f"{PLACE}/").split("/", 2)
            assert kind in ("blob", "raw") and version == "v1.2.3"
            assert (ROOT / path.partition("#")[0]).exists(), path
    assert f"]({PLACE}/raw/v1.2.3/docs/pictures/chat.png)" in text
    assert f"git clone {PLACE} veneer" in text


def test_links_that_stand_already_stay():
    for text in ("[a](https://x.org/y)", "[a](#place)", "[a](mailto:me@x.org)", "f(x)[0]"):
        assert hook().absolute(text, PLACE, "1") == text


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder of a wheel and an archive of this tree."""
    pytest.importorskip("hatchling", reason="hatchling builds the package")
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    out = tmp_path_factory.mktemp("dist")
    for builder in (SdistBuilder, WheelBuilder):
        list(builder(str(ROOT)).build(directory=str(out), versions=["standard"]))
    return out


def test_the_archive_holds_the_package_and_no_more(built):
    (archive,) = built.glob("*.tar.gz")
    assert archive.stat().st_size < MODELS + REST
    with tarfile.open(archive) as opened:
        files = {m.name.partition("/")[2]: m.size for m in opened.getmembers() if m.isfile()}
    parts = {name.partition("/")[0] for name in files}
    assert parts <= {
        *("src", "tools", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE"),
        *("PKG-INFO", "pyproject.toml", ".gitignore"),
    }
    assert sum(n for name, n in files.items() if "/lab/models/" in name) < MODELS
    assert not [name for name in files if name.endswith((".pyc", ".log")) or "/." in name]


def test_the_wheel_holds_the_package_alone(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.stat().st_size < MODELS + REST
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        entries = opened.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    assert {n.partition("/")[0].partition("-")[0] for n in names} == {"veneer"}
    assert "veneer/py.typed" in names and "veneer/report/templates/more.html.j2" in names
    for line in ("veneer = veneer.__main__:run", "veneer = veneer.adapters.vllm_shift:VeneerShift"):
        assert line in entries


def test_workflows_test_the_pythons_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {c.rpartition(" ")[2] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)}
    release = (ROOT / ".github/workflows/release.yml").read_text()
    assert named == set(
        re.findall(r'"(3\.\d+)"', release.partition("matrix:")[2].partition("]")[0])
    )
    assert ".ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()
