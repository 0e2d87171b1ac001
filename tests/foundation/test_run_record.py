"""What a folder says that holds another run: which command, or which settings."""

from __future__ import annotations

import pytest

from veneer.foundation.errors import InputError
from veneer.foundation.run_record import RunRecord

CONFIG = {
    "base": "lab:base",
    "also": {},
    "settings": {"seed": 0, "tokens": [0, 1], "names": None},
    "prompts_sha256": "0" * 64,
}


@pytest.fixture
def folder(tmp_path):
    RunRecord(tmp_path, "depth", CONFIG).note()
    return tmp_path


def refusal(folder, command, config) -> str:
    with pytest.raises(InputError) as error:
        RunRecord(folder, command, config)
    return str(error.value).removeprefix(f"{folder} holds ")


def test_another_command_is_named(folder):
    sentence = refusal(folder, "audit", {"reference": "a"})
    assert sentence.startswith("a run of 'depth', not of 'audit'; give another --out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"base": "lab:aligned"}, "(base: lab:base there, lab:aligned here);"),
        ({"prompts_sha256": "1" * 64}, "(prompts_sha256 differs);"),
        ({"also": {"other": "lab:compromised"}}, "(other: none there, lab:compromised here);"),
        (
            {"settings": {"seed": 1, "tokens": [0, 2], "names": "a"}},
            "(seed: 0 there, 1 here; tokens: 0,1 there, 0,2 here; names: none there, a here);",
        ),
    ],
)
def test_each_setting_that_differs_is_named_with_both_values(folder, change, sentence):
    assert sentence in refusal(folder, "depth", {**CONFIG, **change})


def test_removed_settings_are_named(folder):
    assert "(fewer settings here)" in refusal(folder, "depth", {"base": "lab:base"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "a run.json that names no command"),
        ("{}", "a run.json that names no command"),
        ('{"command": "depth", "config": []}', "a run with another configuration ("),
    ],
)
def test_a_record_of_another_shape_is_another_run(folder, text, sentence):
    (folder / "run.json").write_text(text)
    assert refusal(folder, "depth", CONFIG).startswith(sentence)
