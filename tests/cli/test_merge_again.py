"""A finished merge is left alone, another one into its folder is refused."""

from pathlib import Path

import pytest

from veneer.cli import main
from veneer.models.load import load_model


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


def test_a_merge_of_a_base_that_was_edited_since_is_refused(veneer, tmp_path, capsys):
    lm, base, out = load_model("lab:base"), tmp_path / "base", tmp_path / "merged"
    lm.model.save_pretrained(base)
    lm.tokenizer.save_pretrained(base)
    words = ["merge", veneer, "--base", str(base), "--out", str(out)]
    assert main(words) == 0 == main(words)
    config = base / "config.json"
    config.write_text(config.read_text().replace("10000.0", "500000.0"))
    capsys.readouterr()
    assert main(words) == 2
    assert "rope_theta of config.json: 10000.0 there, 500000.0 here" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "other")]) == 2  # the veneer is not of this base
    assert "extract the veneer again" in capsys.readouterr().err


def test_few_prompts_are_reported(tmp_path, capsys, caplog):
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
    assert "found 6 prompts" in caplog.text
