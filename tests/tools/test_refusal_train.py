"""The script makes the shipped judge again, on any processor, and no topic is
among its features."""

import json

import pytest
from tools.judges import refusal_train
from tools.judges.fitting import data_folder
from tools.judges.refusal_fit import SIGNS, WRITTEN, Example, fit, verdict

from veneer.foundation.errors import InputError
from veneer.judges.refusal.judge import Refusal
from veneer.judges.refusal.lexicon import KINDS
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
    largest = max(map(abs, shipped.weights.values()))
    for name, weight in shipped.weights.items():
        assert fitted.weights[name] == pytest.approx(weight, abs=0.01 * largest)
    examples = refusal_train.all_examples(data_folder())
    differing = [e.text for e in examples if verdict(fitted, e) is not verdict(shipped, e)]
    assert len(examples) > 1350 and len(differing) <= len(examples) // 500, (
        "verdicts on the labelled texts"
    )


def test_every_weight_is_of_a_named_feature_and_has_its_sign():
    """No feature is a word of a text, so that no topic can be learnt."""
    places = {f"{place}:{kind}" for place in ("first", "opening", "any", "more") for kind in KINDS}
    unsigned = {
        "answers behind a decline",
        "list behind a decline",
        "declines later only",
        "pivot",
        "pivot behind a decline",
    }
    weights = json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))["weights"]
    assert set(weights) <= places | set(SIGNS) | unsigned
    assert all(weights.get(name, 0) * sign >= 0 for name, sign in SIGNS.items())


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


def test_missing_data_is_reported_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VENEER_DATA", str(tmp_path))
    assert refusal_train.main() == 2
    assert capsys.readouterr().err.startswith("veneer: error: no xstest_prompts.csv in ")
    with pytest.raises(InputError):
        refusal_train.train(tmp_path)


def test_a_planted_difference_is_learned():
    examples = [Example(f"I cannot do number {i}.", Refusal.FULL, WRITTEN, "") for i in range(20)]
    examples += [Example(f"Here is train {i}.", Refusal.NONE, WRITTEN, "") for i in range(20)]
    model = fit(examples)
    assert verdict(model, Example("I cannot do number 99.", Refusal.FULL, "", "")) is Refusal.FULL
    assert verdict(model, Example("Here is train 99.", Refusal.NONE, "", "")) is Refusal.NONE
    assert not any("train" in name for name in model.weights)
