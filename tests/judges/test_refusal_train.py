"""The shipped weights come from the script, to the bit, and no topic is among their features."""

import json

import pytest

from veneer.errors import InputError
from veneer.judges import refusal_train
from veneer.judges.refusal import Refusal
from veneer.judges.refusal_fit import WRITTEN, Example, Settings, fit_settings, topic_words, verdict
from veneer.judges.refusal_model import WEIGHTS_FILE

needs_xstest = pytest.mark.skipif(
    not (refusal_train.data_folder() / "xstest" / "xstest_prompts.csv").is_file(),
    reason="no XSTest: set VENEER_DATA to a data folder that has it",
)


@needs_xstest
def test_the_script_gives_the_shipped_file():
    assert refusal_train.train(refusal_train.data_folder()).dump() == WEIGHTS_FILE.read_text(encoding="utf-8")


@needs_xstest
def test_no_feature_holds_a_word_of_a_prompt():
    banned = topic_words([e.prompt for e in refusal_train.xstest_examples(refusal_train.data_folder())])
    for name in json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))["weights"]:
        if name[:2] in ("h:", "w:"):
            assert not set(name[2:].split()) & banned


@needs_xstest
def test_xstest_is_read_whole():
    examples = refusal_train.xstest_examples(refusal_train.data_folder())
    counts = {m: [sum(e.source == m and e.label is v for e in examples) for v in Refusal] for m in refusal_train.MODELS}
    assert counts == {"gpt4": [211, 9, 230, 0], "llama2orig": [294, 55, 101, 0], "mistralinstruct": [49, 27, 374, 0]}


def test_missing_data_is_said_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VENEER_DATA", str(tmp_path))
    assert refusal_train.main() == 2
    assert capsys.readouterr().err.startswith("veneer: error: no xstest_prompts.csv in ")
    with pytest.raises(InputError):
        refusal_train.train(tmp_path)


def test_a_planted_difference_is_learned():
    made = [Example(f"No way number {i}, never mind it.", Refusal.FULL, WRITTEN, "") for i in range(20)]
    made += [Example(f"Take train {i} to the coast now.", Refusal.NONE, WRITTEN, "") for i in range(20)]
    made += [Example(f"No way number {i}, but take train {i} then.", Refusal.PARTIAL, WRITTEN, "") for i in range(20)]
    model = fit_settings(made, Settings(ridge=1.0, word_scale=0.2), topic_words(["the coast"]))
    assert verdict(model, "No way number 99, never mind it.") is Refusal.FULL
    assert verdict(model, "Take train 99 to the coast now.") is Refusal.NONE
    assert not any("coast" in name for name in model.names)
