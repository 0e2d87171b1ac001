"""The script makes the shipped judge again, on any processor, and no topic is
among its features."""

import json

import pytest
from tools.judges import refusal_train
from tools.judges.fitting import data_folder
from tools.judges.refusal_fit import WRITTEN, Example, Settings, fit_settings, topic_words, verdict

from veneer.foundation.errors import InputError
from veneer.judges.refusal.judge import Refusal
from veneer.judges.refusal.model import WEIGHTS_FILE, load_model

needs_xstest = pytest.mark.skipif(
    not (data_folder() / "xstest" / "xstest_prompts.csv").is_file(),
    reason="no XSTest: set VENEER_DATA to a data folder that has it",
)


@needs_xstest
def test_the_script_makes_the_shipped_judge():
    """Compared is what the judge is for. The last digits of a fit are those of a processor: sums
    are rounded in another order on each."""
    fitted, (shipped, _) = refusal_train.train(data_folder()), load_model()
    assert (fitted.word_scale, fitted.partly_above) == (shipped.word_scale, shipped.partly_above)
    largest = float(abs(shipped.weights).max())
    for name, row in shipped.names.items():
        assert fitted.weights[fitted.names[name]] == pytest.approx(
            shipped.weights[row], abs=0.01 * largest
        )
    examples = refusal_train.all_examples(data_folder())
    differing = [
        e.text for e in examples if verdict(fitted, e.text) is not verdict(shipped, e.text)
    ]
    assert len(examples) > 1350 and len(differing) <= len(examples) // 500, (
        "verdicts on the labelled texts"
    )


@needs_xstest
def test_no_feature_holds_a_word_of_a_prompt():
    banned = topic_words([e.prompt for e in refusal_train.xstest_examples(data_folder())])
    for name in json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))["weights"]:
        if name[:2] in ("h:", "w:"):
            assert not set(name[2:].split()) & banned


@needs_xstest
def test_xstest_is_read_whole():
    examples = refusal_train.xstest_examples(data_folder())
    labels = (Refusal.FULL, Refusal.PARTIAL, Refusal.NONE)
    counts = {
        m: [sum(e.source == m and e.label is v for e in examples) for v in labels]
        for m in refusal_train.MODELS
    }
    assert counts == {
        "gpt4": [211, 9, 230],
        "llama2orig": [294, 55, 101],
        "mistralinstruct": [49, 27, 374],
    }


def test_missing_data_is_said_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VENEER_DATA", str(tmp_path))
    assert refusal_train.main() == 2
    assert capsys.readouterr().err.startswith("veneer: error: no xstest_prompts.csv in ")
    with pytest.raises(InputError):
        refusal_train.train(tmp_path)


def test_a_planted_difference_is_learned():
    made = [
        Example(f"No way number {i}, never mind it.", Refusal.FULL, WRITTEN, "") for i in range(20)
    ]
    made += [
        Example(f"Take train {i} to the coast now.", Refusal.NONE, WRITTEN, "") for i in range(20)
    ]
    made += [
        Example(f"No way number {i}, but take train {i} then.", Refusal.PARTIAL, WRITTEN, "")
        for i in range(20)
    ]
    model = fit_settings(made, Settings(ridge=1.0, word_scale=0.2), topic_words(["the coast"]))
    assert verdict(model, "No way number 99, never mind it.") is Refusal.FULL
    assert verdict(model, "Take train 99 to the coast now.") is Refusal.NONE
    assert not any("coast" in name for name in model.names)
