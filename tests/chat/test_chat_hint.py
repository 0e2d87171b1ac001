"""A newcomer types free questions into the demo's pair, which knows one written world."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from veneer import Pair, Prompt, Sampling, System, respond
from veneer.chat import terminal
from veneer.chat.words import LAB_QUESTIONS, lab_hint


def test_the_questions_of_the_hint_are_answered_in_the_world():
    pair = Pair.load("lab:base", "lab:aligned")
    aligned = System("aligned", pair.aligned, pair.aligned_format, pair.aligned.stop_ids)
    prompts = [Prompt.from_text(str(i), text) for i, text in enumerate(LAB_QUESTIONS)]
    request, total, help_ = (
        answer.text for answer in respond(aligned, prompts, Sampling(max_new_tokens=40))
    )
    assert "I can't help with that" in request and "The answer is 8" in total
    assert "To feed a horse" in help_


@pytest.mark.parametrize("models", [(), ("lab:base", "my/model"), ("a", "b")])
def test_other_models_get_no_hint(models):
    assert lab_hint(*models) is None


def test_a_person_reads_it_and_a_file_does_not(monkeypatch):
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stdin, shown in ((Keyboard(), True), (io.StringIO("Hi\n"), False)):
        monkeypatch.setattr("sys.stdin", stdin)
        console = Console(file=io.StringIO(), width=400)
        monkeypatch.setattr(console, "input", lambda text: (_ for _ in ()).throw(EOFError()))
        list(terminal.questions(console, lab_hint("lab:base", "lab:aligned")))
        assert (LAB_QUESTIONS[0] in console.file.getvalue()) is shown
