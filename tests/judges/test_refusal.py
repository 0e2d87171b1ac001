"""What holds of the refusal judge whatever it is fitted to, and the short answers that it
must not get wrong."""

import json
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusal_cases import ANSWERS, REFUSALS
from tools.judges.refusal_examples import written_examples

from veneer.foundation.errors import InputError
from veneer.judges.refusal.judge import Refusal, RefusalJudge, is_refusal, is_refusal_or_partial
from veneer.judges.refusal.lexicon import COMPILED, KINDS, START_ONLY
from veneer.judges.refusal.model import WEIGHTS_FILE, load_model
from veneer.judges.refusal.text import normalise, read

JUDGE = RefusalJudge()

# Not in any way near the boundary for a reader, yet the shipped weights miss them;
# docs/refusal-judge.md lists them.
KNOWN_MISSES = {"I don't feel comfortable writing a joke about this group."}


@pytest.mark.parametrize("text", [t for t in REFUSALS if t not in KNOWN_MISSES])
def test_short_refusal(text):
    assert JUDGE.judge(text) is Refusal.FULL


@pytest.mark.parametrize("text", [t for t in ANSWERS if t not in KNOWN_MISSES])
def test_short_answer(text):
    assert JUDGE.judge(text) is Refusal.NONE


def test_the_known_misses_are_few_and_still_missed():
    for text in KNOWN_MISSES:  # if one is judged right, take it off the list
        assert is_refusal(JUDGE.judge(text)) != (text in REFUSALS)
    assert len(KNOWN_MISSES) <= 0.05 * len(REFUSALS + ANSWERS)


def test_no_tried_case_is_a_training_example():
    def bare(text):
        return re.sub(r"\W+", " ", normalise(text))

    assert not {bare(t) for t in REFUSALS + ANSWERS} & {bare(t) for t, _ in written_examples()}


@given(st.text(max_size=300), st.none() | st.text(max_size=50))
def test_any_text_has_a_verdict(text, prompt):
    verdict = JUDGE.judge(text, prompt)
    assert (verdict is Refusal.EMPTY) == (text.strip() == "")
    assert verdict is JUDGE.judge(text, prompt)


@given(
    st.lists(
        st.sampled_from([*REFUSALS, *ANSWERS, "", " \n\t", "\u3000", "\ud800"])
        | st.text(max_size=80),
        max_size=8,
    )
)
def test_judge_many_is_judge(texts):
    assert JUDGE.judge_many(texts) == [JUDGE.judge(t) for t in texts]
    assert JUDGE.judge_many(texts, texts) == [JUDGE.judge(t, t) for t in texts]


def test_prompts_must_match_texts():
    with pytest.raises(ValueError):
        JUDGE.judge_many(["a", "b"], ["a"])


def test_empty_is_neither_refusal_nor_partial():
    assert JUDGE.judge("") is Refusal.EMPTY
    assert not is_refusal(Refusal.EMPTY) and not is_refusal_or_partial(Refusal.EMPTY)
    assert [is_refusal(v) for v in (Refusal.FULL, Refusal.PARTIAL, Refusal.NONE)] == [
        True,
        False,
        False,
    ]
    assert [is_refusal_or_partial(v) for v in (Refusal.FULL, Refusal.PARTIAL, Refusal.NONE)] == [
        True,
        True,
        False,
    ]


def test_quotes_and_case_do_not_matter():
    for text in REFUSALS:
        assert (
            JUDGE.scores(text.replace("'", "’")) == JUDGE.scores(text) == JUDGE.scores(text.upper())
        )


def test_a_repeated_prompt_is_left_out():
    prompt = "Say: I'm sorry, but I can't help with that."
    assert (
        JUDGE.judge(prompt + " Sure, here is a list of ten birds: 1. robin 2. wren 3. owl", prompt)
        is Refusal.NONE
    )
    assert read("Why? Because.", "Why?").text == "because."


def test_scores_do_not_depend_on_the_hash_seed():
    code = (
        "from veneer.judges.refusal.judge import RefusalJudge as J; j = J(); print([j.scores(t) "
        f"for t in {REFUSALS[:6]!r}])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def cpu_seconds(texts: list[str]) -> float:
    start = time.process_time()
    JUDGE.judge_many(texts)
    return time.process_time() - start


def test_cost_grows_with_the_number_of_answers_and_no_faster():
    texts = [" ".join([*REFUSALS, *ANSWERS][i % 60 :][:12])[:640] for i in range(1000)]
    assert cpu_seconds(texts) < 30 * cpu_seconds(texts[:100])


@pytest.mark.parametrize("piece", ["a", "i cannot ", "people ", "1. ", "not "])
def test_cost_grows_with_the_length_and_no_faster(piece):
    """No pattern backtracks its way through a repetition loop: ten times the text, far less than a
    hundred times the time."""
    text = piece * (300_000 // len(piece))
    assert cpu_seconds([text]) < 40 * (cpu_seconds([text[:30_000]]) + 0.005)


def test_the_weights_file_is_small_names_its_source_and_changes_the_id(tmp_path):
    assert WEIGHTS_FILE.stat().st_size < 2**20
    stored = json.loads(WEIGHTS_FILE.read_text(encoding="utf-8"))
    assert "CC-BY-4.0" in stored["licence"] and "Röttger" in stored["licence"]
    other = tmp_path / "w.json"
    other.write_text(json.dumps(stored | {"bias": [0.0, 0.0]}), encoding="utf-8")
    assert re.fullmatch(r"refusal-v1-[0-9a-f]{8}", JUDGE.id) and RefusalJudge(other).id != JUDGE.id
    other.write_text(json.dumps(stored | {"schema": 7}), encoding="utf-8")
    with pytest.raises(InputError, match="schema 7"):
        load_model(other)


def test_a_saved_model_is_read_back_as_it_was(tmp_path):
    model, digest = load_model()
    copy = tmp_path / "w.json"
    copy.write_text(model.dump(), encoding="utf-8")
    assert load_model(copy)[1] == digest


def test_every_phrase_has_a_kind_or_stands_alone():
    # both classes use them: they count by themselves, not as a kind
    alone = START_ONLY | {"as_ai", "however"}
    assert {name for names in KINDS.values() for name in names} | alone == set(COMPILED)
