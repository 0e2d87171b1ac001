"""A made-up study, its report, and a browser to look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import Browser, chromium
from made_up_study import write_study
from veneer.report import write_report


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("studies") / "made-up")


@pytest.fixture(scope="session")
def page(study, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report([study], path)
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip("needs chromium on PATH: install the package chromium")
    it = Browser(program, tmp_path_factory.mktemp("profile"))
    it.window(1280, 900)
    yield it
    it.close()
