"""What the demo says last, and that a newcomer can do it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from veneer.cli import demo
from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.measures.config import StudyConfig

ROOT = Path(__file__).resolve().parents[2]


def steps(text: str) -> list[str]:
    return text.partition("what to do next\n")[2].splitlines()


@pytest.mark.parametrize("out", ["veneer-demo", "d", "/a/long/path/to/the/folder/of/the/demo"])
def test_the_next_steps_stand_in_two_columns(out, monkeypatch):
    monkeypatch.setattr(demo.shutil, "which", lambda name: "/usr/bin/veneer")
    lines, whys = steps(demo.end(out)), list(demo.NEXT.values())
    assert len({line.index(why) for line, why in zip(lines, whys, strict=True)}) == 1
    assert lines[0].startswith(f"  veneer chat {out}   ")


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(monkeypatch):
    """`./try demo` runs .venv/bin/veneer, and no shell finds `veneer` afterwards."""
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "argv", [".venv/bin/veneer", "demo"])
    assert steps(demo.end("veneer-demo"))[0].startswith("  .venv/bin/veneer chat veneer-demo ")
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert steps(demo.end("veneer-demo"))[0].startswith("  veneer chat veneer-demo ")


def test_what_try_installs_is_enough_for_the_next_steps():
    """`chat --web` needs the extra serve."""
    _, _, demo_part = (ROOT / "try").read_text("utf-8").partition("demo)\n")
    install = demo_part.partition(";;")[0]
    assert any("--web" in words for words in demo.NEXT) and "'.[serve]'" in install


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_number_of_prompts_out_of_range_names_its_own_option(part, capsys):
    with pytest.raises(InputError, match=f"{part}_prompts is -1"):
        StudyConfig(**{f"{part}_prompts": -1})
    words = ["run", "--base", "lab:base", "--aligned", "lab:aligned", "--out", "o"]
    assert main([*words, f"--{part}", "-1"]) == 2
    assert f"error: --{part} is -1; expected 1 or more" in capsys.readouterr().err
    assert main(["demo", "--limit", "-1", "--out", "o"]) == 2
    assert "error: --limit is -1; expected 1 or more" in capsys.readouterr().err
