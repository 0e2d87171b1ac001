"""A finished merge is left alone, another one into its folder is refused."""

from pathlib import Path

import pytest

from veneer.cli import main


@pytest.fixture(scope="module")
def veneer(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("veneer")
    capture = [
        "capture",
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        "--prompts",
        "lab-requests",
        "--limit",
        "12",
    ]
    assert main([*capture, "--max-new-tokens", "16", "--out", str(folder / "c")]) == 0
    assert (folder / "c" / "run.json").is_file()
    assert main(["extract", str(folder / "c"), "--out", str(folder / "v")]) == 0
    return str(folder / "v")


def test_merge_again(veneer, tmp_path, capsys):
    out = tmp_path / "merged"
    words = ["merge", veneer, "--base", "lab:base", "--out", str(out)]
    assert main(words) == 0
    before = {p: p.stat().st_mtime_ns for p in Path(out).rglob("*")}
    assert main(words) == 0
    assert before == {p: p.stat().st_mtime_ns for p in Path(out).rglob("*")}
    assert main([*words, "--alpha", "0.5"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("veneer: error: ")


def test_few_prompts_are_said(tmp_path, capsys, caplog):
    capture = [
        "capture",
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        "--prompts",
        "lab-sums",
        "--limit",
        "6",
    ]
    assert main([*capture, "--max-new-tokens", "8", "--out", str(tmp_path / "c")]) == 0
    assert main(["extract", str(tmp_path / "c"), "--out", str(tmp_path / "v")]) == 0
    assert "only 6 prompts" in caplog.text
