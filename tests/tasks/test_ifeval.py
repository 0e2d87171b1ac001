"""IFEval with lm-eval's own checkers, offline."""

from __future__ import annotations

import json
import random
import sys

import pytest

from veneer.foundation.errors import InputError, MissingExtra
from veneer.prompts.prompt import Prompt
from veneer.tasks import ifeval
from veneer.tasks.registry import get_task

ROWS = [
    {
        "key": 1,
        "prompt": "Write a note without commas that has at least 5 words.",
        "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
        "kwargs": [{}, {"relation": "at least", "num_words": 5}],
    },
    {
        "key": 2,
        "prompt": "Answer in German only.",
        "instruction_id_list": ["language:response_language"],
        "kwargs": [{"language": "de"}],
    },
    {
        "key": 3,
        "prompt": "Wrap all in double quotes.",
        "instruction_id_list": ["startend:quotation"],
        # the hub's copy fills what an instruction does not take with nulls
        "kwargs": [{"language": None}],
    },
    {
        "key": 4,
        "prompt": "Say it in fewer than 3 sentences.",
        "instruction_id_list": ["length_constraints:number_sentences"],
        "kwargs": [{"relation": "less than", "num_sentences": 3}],
    },
]


@pytest.fixture(scope="module")
def _lm_eval():
    for package in ("lm_eval", "langdetect", "nltk", "immutabledict"):
        pytest.importorskip(package, reason="needs the extra ifeval")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ifeval").mkdir()
    write(tmp_path, ROWS)
    return tmp_path


def write(folder, rows):
    (folder / "ifeval" / "input_data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


@pytest.mark.usefixtures("_lm_eval")
def test_prompts_and_scores(folder):
    task = get_task("ifeval", folder)
    assert task.prompts("train") == []
    prompts = {p.id: p for p in task.prompts("test")}
    assert (
        prompts["ifeval-1"].plain == ROWS[0]["prompt"] == prompts["ifeval-1"].messages[0]["content"]
    )

    def scores(key, text):
        return tuple(task.score(prompts[f"ifeval-{key}"], text).values())

    assert list(task.score(prompts["ifeval-1"], "x")) == [
        "prompt_strict",
        "instruction_strict",
        "prompt_loose",
        "instruction_loose",
    ]
    assert scores(1, "One two three four five six") == (1, 1, 1, 1)
    assert scores(1, "One, two") == (0, 0, 0, 0)
    assert scores(1, "One two") == (0, 0.5, 0, 0.5)
    # loose leaves the first line out
    assert scores(1, "Sure, here it is:\nOne two three four five six") == (0, 0.5, 1, 1)
    assert scores(1, "") == (0, 0, 0, 0)
    assert scores(2, "Guten Morgen, wie geht es Ihnen heute? Das Wetter ist sehr schön.") == (
        1,
        1,
        1,
        1,
    )
    assert scores(2, "Good morning, how are you today? The weather is very fine.") == (0, 0, 0, 0)
    assert scores(3, '"All of it."') == (1, 1, 1, 1)


@pytest.mark.usefixtures("_lm_eval")
def test_what_cannot_be_checked_is_left_out_and_counted(folder):
    task = get_task("ifeval", folder)
    kept = [p.id for p in task.prompts("test")]
    missing = "length_constraints:number_sentences" not in ifeval.checkers().checkable
    assert kept == [f"ifeval-{k}" for k in (1, 2, 3, *(() if missing else (4,)))]
    expected = {"prompts": 1, "why": "nltk's punkt_tab is not installed"} if missing else None
    assert task.source()["left_out"] == expected


@pytest.mark.usefixtures("_lm_eval")
def test_every_listed_checker_works_without_a_network():
    """Each kind of instruction on an answer, with the arguments that lm-eval draws where
    a row gives none."""
    known = ifeval.checkers().checkable
    assert len(known | set(ifeval.NEED_PUNKT)) == 25
    given = {
        "combination:repeat_prompt": {"prompt_to_repeat": "Hi"},
        "language:response_language": {"language": "en"},
        "keywords:letter_frequency": {
            "letter": "e",
            "let_frequency": 1,
            "let_relation": "at least",
        },
    }
    task = ifeval.IFEval()
    text = "Hi there. This is an answer with *some* words, and a P.S. at the end.\n\nP.S. Bye."
    for name in sorted(known):
        prompt = Prompt.from_text(
            "1", "Say Hi.", instructions=[name], arguments=[given.get(name, {})]
        )
        assert set(task.score(prompt, text).values()) <= {0.0, 1.0}, name


@pytest.mark.usefixtures("_lm_eval")
def test_the_language_detector_is_steady(folder):
    """It draws; without a seed a short mixed text changes its language from run to run."""
    task = get_task("ifeval", folder)
    prompt = next(p for p in task.prompts("test") if p.id == "ifeval-2")
    assert (
        len({json.dumps(task.score(prompt, "Hotel Taxi in Bar an Test")) for _ in range(30)}) == 1
    )


@pytest.mark.usefixtures("_lm_eval")
def test_a_long_answer_is_scored_in_time(folder):
    task = get_task("ifeval", folder)
    for prompt in task.prompts("test"):
        task.score(prompt, " \n" * 50_000)
        task.score(prompt, "word " * 20_000)


@pytest.mark.usefixtures("_lm_eval")
def test_an_answer_has_one_score(folder):
    """The data asks for a frequency of "#" once; the checker then draws a letter at random."""
    arguments = {"let_relation": "at least", "letter": "#", "let_frequency": 1}
    row = {
        "key": 9,
        "prompt": "Use a hashtag.",
        "instruction_id_list": ["keywords:letter_frequency"],
        "kwargs": [arguments],
    }
    write(folder, [row])
    task = get_task("ifeval", folder)
    (prompt,) = task.prompts("test")
    random.seed(1)
    before = random.getstate()
    text = "etaoinshrdlu"  # about half of the alphabet, so that draws would differ
    scores = {tuple(task.score(prompt, text).items()) for _ in range(20)}
    assert len(scores) == 1 and random.getstate() == before
    assert len({v for _, v in scores.pop()}) == 1, "strict and loose check the same letter"


@pytest.mark.usefixtures("_lm_eval")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kwargs": []}, "row 1 does not have as many kwargs as instructions"),
        (
            {"instruction_id_list": ["punctuation:no_dash", "punctuation:no_comma"]},
            "row 1 asks for 'punctuation:no_dash'",
        ),
        ({"prompt": None}, "row 1 lacks prompt"),
        ({"kwargs": [{}, "{}"]}, "row 1 has the kwargs '{}' for length_constraints:number_words"),
        ({"kwargs": [{}, {"num_words": 5}]}, "row 1 lacks the argument 'relation' of length_con"),
        (
            {"kwargs": [{"num_words": 5}, {"num_words": 5, "relation": "at least"}]},
            "row 1 has the argument 'num_words' of punctuation:no_comma; expected none",
        ),
        (
            {"kwargs": [{}, {"num_words": "5", "relation": "at least"}]},
            "row 1 has the num_words '5' for length_constraints:number_words; expected a whole",
        ),
        (
            {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": "['a', 'b']"}]},
            "row 1 has the keywords .* expected a list",
        ),
    ],
)
def test_broken_rows(change, message, folder):
    write(folder, [{**ROWS[0], **change}])
    with pytest.raises(InputError, match=message):
        get_task("ifeval", folder).prompts("test")


@pytest.mark.usefixtures("_lm_eval")
def test_numbers_as_pandas_writes_them(folder):
    """3.0 for 3, and NaN for what an instruction does not take: 2.0 was no index of a paragraph."""
    row = {
        "key": 9,
        "prompt": "Write 2 paragraphs; the second begins with so.",
        "instruction_id_list": ["length_constraints:nth_paragraph_first_word"],
        "kwargs": [
            {"num_paragraphs": 2.0, "nth_paragraph": 2.0, "first_word": "so", "num_words": None}
        ],
    }
    row["kwargs"][0]["frequency"] = float("nan")
    write(folder, [row])
    task = get_task("ifeval", folder)
    (prompt,) = task.prompts("test")
    assert prompt.reference["arguments"] == [
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "so"}
    ]
    assert task.score(prompt, "One.\n\nSo two.")["prompt_strict"] == 1
    assert task.score(prompt, "One.\n\nNot two.")["prompt_strict"] == 0


def test_without_the_extra(folder, monkeypatch):
    ifeval.checkers.cache_clear()
    for name in [m for m in sys.modules if m.startswith("lm_eval.tasks.ifeval")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langdetect", None)
    with pytest.raises(MissingExtra, match=r"pip install 'veneer\[ifeval\]'"):
        get_task("ifeval", folder).prompts("test")
    ifeval.checkers.cache_clear()
