"""`veneer merge --gguf` run again: the file is written where it is missing, left where it is the
same, and another one is refused."""

from __future__ import annotations

import pytest

from checkpoints import veneer_of
from llama_gguf import save
from veneer.cli import main
from veneer.models.load import load_model


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("gguf")
    base = save(folder / "base")
    veneer = veneer_of(load_model(str(base), device="cpu")).save(folder / "veneer")
    return ["merge", str(veneer), "--base", str(base)]


def last(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_a_finished_folder_still_gets_its_gguf_file(words, tmp_path, capsys):
    """The first run may have been killed behind the folder, or was made without --gguf."""
    again = [*words, "--out", str(tmp_path / "m")]
    assert main(again) == 0
    file = tmp_path / "m.gguf"
    assert main([*again, "--gguf", str(file)]) == 0
    assert "gguf: " in capsys.readouterr().out and file.read_bytes()[:4] == b"GGUF"
    before = file.stat().st_mtime_ns, file.read_bytes()
    assert main([*again, "--gguf", str(file)]) == 0
    assert capsys.readouterr().out.endswith(f"gguf: {file} (existing)\n")
    assert before == (file.stat().st_mtime_ns, file.read_bytes())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "m.gguf"]


def test_the_gguf_file_of_another_model_is_refused(words, tmp_path, capsys):
    """Its size is the same, and one weight differs."""
    command = [*words, "--out", str(tmp_path / "m"), "--gguf", str(tmp_path / "m.gguf")]
    assert main(command) == 0
    content = bytearray((tmp_path / "m.gguf").read_bytes())
    content[-1] ^= 1
    (tmp_path / "m.gguf").write_bytes(content)
    assert main(command) == 2
    assert "m.gguf holds another model than" in last(capsys)
    assert (tmp_path / "m.gguf").read_bytes() == bytes(content)


def test_a_file_that_is_in_the_way_is_refused_before_the_work(words, tmp_path, capsys):
    (tmp_path / "m.gguf").write_text("mine")
    assert main([*words, "--out", str(tmp_path / "m"), "--gguf", str(tmp_path / "m.gguf")]) == 2
    assert "m.gguf exists already; expected a new file" in last(capsys)
    assert not (tmp_path / "m").exists() and (tmp_path / "m.gguf").read_text() == "mine"
