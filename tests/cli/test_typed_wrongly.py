"""Lines that a person mistypes: exit code 2, and a sentence with the mend, not one of a library."""

from __future__ import annotations

import pytest

PAIR = ("--base", "lab:base", "--aligned", "lab:aligned")


@pytest.fixture
def refused(veneer, tmp_path, monkeypatch):
    """The last line on stderr of a command in an empty folder, which stays empty."""
    monkeypatch.chdir(tmp_path)

    def refuse(*words: str, holds: tuple[str, ...] = ()) -> str:
        result = veneer(*words)
        assert result.code == 2, result
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(holds)
        return result.err.splitlines()[-1]

    return refuse


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("run", *PAIR, "--tasks", "lab-sums", "--out", ""), "--out"),
        (("run", "--base", "", "--aligned", "lab:aligned", "--out", "o"), "--base"),
        (("run", *PAIR, "--tasks", "lab-sums", "--out="), "--out"),
        (("audit", "", "lab:aligned", "--out", "o"), "REFERENCE"),
        (("judge", "", "--out", "o"), "RESPONSES"),
        (("overton", "--viewpoints", "example", "--responses", "", "--out", "o"), "--responses"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(refused, words, option):
    """As of a shell's unset variable: `--out "$OUT"` wrote into the folder that one stood in."""
    assert f"{option} has an empty value; give one" in refused(*words)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("run --base b --aligned a --out c word", "there is no place for the word word"),
        ("run --base b --aligned a --out c --fooo 3", "there is no option --fooo"),
        ("judge --compare one.jsonl", "--compare takes 2 values, with a space between them"),
        ("judge --compare a b --compare c d", "--compare is given 2 times; give it once"),
        ("completion", "missing: {bash,zsh,fish}"),
        (f"run {' '.join(PAIR)} --tasks lab-sums --device gpu --out o", "expected auto, cpu, cuda"),
        (
            f"run {' '.join(PAIR)} --tasks lab-sums --temperature inf --out o",
            "--temperature is inf; expected a finite number: 0 (greedy) or more",
        ),
        ("tasks show lab-sums --system s", "found --system without --aligned"),
    ],
)
def test_a_sentence_of_our_own(refused, line, sentence):
    assert sentence in refused(*line.split())


def test_a_file_in_the_way_is_named_as_what_it_is(refused, tmp_path):
    prompts = tmp_path / "p.jsonl"
    prompts.write_text('{"prompt": "Hi"}\n')
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jsonl").touch()
    command = ("generate", "--model", "lab:base", "--prompts", "p.jsonl", "--plain", "--out")
    holds = ("empty.jsonl", "folder", "p.jsonl")
    assert "folder is a folder; expected the name of a file" in refused(
        *command, "folder", holds=holds
    )
    own = refused(*command, "p.jsonl", holds=holds)
    assert "p.jsonl exists and is no file that `veneer generate` wrote" in own
    assert prompts.read_text() == '{"prompt": "Hi"}\n'
    empty = refused("import", "empty.jsonl", "--out", "o.jsonl", holds=holds)
    assert "empty.jsonl is empty; expected a file of stored answers" in empty


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("merge study --base lab:base --out m", "did you mean study/veneer?"),
        ("extract study --out v", "did you mean study/capture?"),
    ],
)
def test_a_study_in_place_of_what_is_in_it(refused, tmp_path, line, meant):
    for name in ("veneer", "veneer-lab-sums", "capture"):
        file = "manifest.json" if name == "capture" else "veneer.json"
        (tmp_path / "study" / name).mkdir(parents=True)
        (tmp_path / "study" / name / file).write_text("{}")
    assert refused(*line.split(), holds=("study",)).endswith(meant)
