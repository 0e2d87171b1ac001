"""The documentation site: it builds without a warning, its reference names every public object, and
its Python blocks run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import veneer
from veneer.tasks.custom import REFUSALS
from veneer.tasks.registry import get_task

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the documentation tools: pip install '.[docs]'")
    pytest.importorskip("material", reason="needs the documentation tools: pip install '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="needs them too: pip install '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    for name in veneer.__all__:
        own = veneer._VERBS.get(name, ("", name))[1]
        assert own in page, name
    addresses = re.findall(r'(?:src|href)="(https?://[^"]+)"', page)
    assert not [a for a in addresses if a.endswith((".js", ".css", ".woff2"))]  # offline


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    assert pages - named == set(), "pages that no menu leads to"
    assert named - pages == set(), "menu entries without a page"


def test_the_reference_names_every_public_object():
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    named = {line.rpartition(".")[2] for line in text.splitlines() if line.startswith("::: ")}
    public = {veneer._VERBS.get(n, ("", n))[1] for n in veneer.__all__ if n != "__version__"}
    assert named == public


def test_the_tutorial_runs(tmp_path):
    """Its Python, as it stands."""
    (code,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sum("can't" in line or "sorry" in line for line in done.stdout.splitlines()) >= 2


def test_the_prompts_of_the_tutorial_are_a_task(tmp_path):
    """A reader saves its lines as mine.jsonl and runs the command below them."""
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (\{.*\})$", text, re.MULTILINE)
    (tmp_path / "mine.jsonl").write_text("\n".join(lines), encoding="utf-8")
    task = get_task(str(tmp_path / "mine.jsonl"))
    assert len(task.prompts("train")) == 3 and len(task.prompts("test")) == 2
    assert lines[0] == REFUSALS  # the header that the error for a file without one proposes
