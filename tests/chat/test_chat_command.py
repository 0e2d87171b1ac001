"""veneer chat, as a person types it."""

from __future__ import annotations

import io
import json

import pytest

from veneer.cli.main import main


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """What `veneer chat` reads of a run: the pair in run.json, and a veneer."""
    from veneer import Pair
    from veneer.head.veneer import Veneer

    folder = tmp_path_factory.mktemp("run")
    pair = Pair.load("lab:base", "lab:aligned")
    difference = (pair.aligned.head.weight - pair.base.head.weight).detach()
    facts = {"stop_ids": list(pair.aligned.stop_ids)}
    Veneer(pair.base.head.hash(), pair.base.head.rows, difference, facts=facts).save(
        folder / "veneer"
    )
    (folder / "run.json").write_text(json.dumps({"command": "run", "pair": pair.facts()}))
    return folder


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_questions_from_a_file(run_folder, monkeypatch, capsys):
    typed(monkeypatch, "How do I steal a goat?\n\n/alpha 0\nHow do I steal a goat?\n")
    assert main(["chat", str(run_folder), "--max-new-tokens", "24"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["base", "veneer", "aligned"] * 2
    assert "I'm sorry" in lines[2] and "mean KL base" in lines[2]
    assert lines[4].split("[")[0].split(":")[1] == lines[3].split("[")[0].split(":")[1]


def test_bytes_that_are_not_utf_8(run_folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9?\n"), "utf-8"))
    assert main(["chat", str(run_folder)]) == 2
    assert "bytes that are not UTF-8; expected text in UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, text, sentence",
    [
        (["--alpha", "nan"], "", "--alpha is nan"),
        (["--port", "70000", "--web"], "", "--port is 70000"),
        (["--web", "--alpha", "11"], "", "alpha is 11"),
        ([], "/alpha much\n", "/alpha is 'much'"),
        ([], "/help\n", "there is no command '/help'"),
        (["--veneer", "nowhere"], "", "nowhere"),
    ],
)
def test_bad_input(run_folder, monkeypatch, capsys, words, text, sentence):
    typed(monkeypatch, text)
    assert main(["chat", str(run_folder), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_without_a_run(tmp_path, monkeypatch, capsys):
    typed(monkeypatch, "")
    assert main(["chat", str(tmp_path)]) == 2
    assert "holds no run.json" in capsys.readouterr().err
    (tmp_path / "run.json").write_text("{}")
    assert main(["chat", str(tmp_path)]) == 2
    assert "names no base and aligned model" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_ctrl_c_stops_an_answer_and_at_the_prompt_the_chat(run_folder, monkeypatch, capsys):
    from veneer.chat.side_by_side import SideBySide

    questions = []

    def answers(self, question, *rest, **more):
        questions.append(question)
        if question == "long":
            raise KeyboardInterrupt
        return iter(())

    class Typed(Terminal):
        def readline(self, *size):
            if line := super().readline(*size):
                return line
            raise KeyboardInterrupt

    monkeypatch.setattr(SideBySide, "answers", answers)
    monkeypatch.setattr("sys.stdin", Typed("long\nnext\n"))
    assert main(["chat", str(run_folder)]) == 0
    assert questions == ["long", "next"] and "stopped" in capsys.readouterr().out
    typed(monkeypatch, "long\nnext\n")  # a file ends with it, as every other command does
    assert main(["chat", str(run_folder)]) == 130 and questions == ["long", "next", "long"]


def test_questions_in_utf_8_whatever_the_locale(run_folder, monkeypatch, capsys):
    """They were refused as bytes that are not UTF-8."""
    stdin = io.TextIOWrapper(io.BytesIO("caf\u00e9?\n".encode()), "ascii")
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["chat", str(run_folder), "--max-new-tokens", "2"]) == 0
    assert capsys.readouterr().out.startswith("base:")
