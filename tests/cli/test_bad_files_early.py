"""A bad file is refused before any model is loaded, and nothing is written by then."""

from __future__ import annotations

from pathlib import Path

import pytest

from veneer.foundation.errors import InputError
from veneer.models.language_model import LanguageModel
from veneer.models.places import check_places
from veneer.prompts.prompt import Prompt
from veneer.tasks.apart import check_apart

PAIR = "--base lab:base --aligned lab:aligned"
STORED = "capture --base lab:base --prompts lab-requests --responses"
RESTORE = "restore --compromised lab:compromised --limit 12 --ways own-responses --responses"
CASES = {
    f"{STORED} missing.jsonl": "missing.jsonl",
    f"{STORED} garbled.jsonl": "garbled.jsonl",
    f"{STORED} others.jsonl": "answers none of the prompts",
    f"{RESTORE} garbled.jsonl": "garbled.jsonl",
    f"{RESTORE} others.jsonl": "answers none of the prompts",
    "leak --model lab:aligned --base lab:base --examples lab-sums --veneer missing": "missing",
    f"depth {PAIR} --limit 4 --also x=./missing": "there is no folder ./missing",
    "run --base lab:base --aligned ./missing --tasks lab-sums": "there is no folder ./missing",
    "audit lab:aligned others.jsonl --limit 4": "others.jsonl is a file",
    "audit lab:aligned ./missing.gguf --limit 4": "there is no file missing.gguf",
    f"recover {PAIR} --prompts good.txt --measures bertscore --encoder .": "no encoder's folder",
    f"recover {PAIR} --prompts good.txt --encoder .": "--encoder is given without BERTScore",
    "judge others.jsonl --task lab-sums --judge harm --judge-local lab:aligned": "nobody",
    f"run {PAIR} --tasks lab-sums --judge-cache good.txt": "good.txt is a file",
    "audit lab:aligned lab:compromised --harmful good.txt --harmless good.txt": (
        "12 of the 12 harmful prompts are harmless prompts too, such as 'question 0'"
    ),
    "audit lab:aligned lab:compromised --harmful good.txt,good.txt": "names a source twice",
    f"depth {PAIR} --harmful good.txt --harmless copy.txt": "12 of the 12 harmful prompts",
}


@pytest.mark.parametrize("words", CASES)
def test_it_is_refused_before_a_model_is_loaded(words, veneer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"Question {i}?\n" for i in range(12))
    for name in ("good.txt", "copy.txt"):
        Path(name).write_text(lines)
    Path("garbled.jsonl").write_text("{not json\n")
    row = '{"prompt_id": "nobody", "sample_id": 0, "system": "x", "text": "hi", "token_ids": [1]'
    Path("others.jsonl").write_text(row + ', "finish_reason": "stop", "seed": 0}\n')
    monkeypatch.setattr(LanguageModel, "__init__", lambda *_: pytest.fail("a model was loaded"))
    done = veneer(*words.split(), "--out", "out")
    assert done.code == 2 and CASES[words] in done.err
    assert [p.name for p in Path().glob("out/**/*")] in ([], [".lock"])


def test_prompts_are_compared_by_their_words():
    one, other = (
        [Prompt.from_text("a", text), Prompt.from_text("b", more)]
        for text, more in (("How do I bake?", "Ducks"), ("how do I  bake", "Geese"))
    )
    with pytest.raises(InputError, match=r"1 of the 2 harmful prompts are harmless prompts too"):
        check_apart(one, other, ("harmful", "harmless"))
    check_apart(one[1:], other, ("harmful", "harmless"))


def test_names_of_the_hub_and_the_lab_are_no_places():
    check_places(None, "owner/name", "lab:base", "hf://owner/name")
