"""The pieces of a leak study: turns of templates, nearest examples, thresholds, rows."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tiny import tiny
from veneer.embed import load_embedder
from veneer.foundation.errors import InputError
from veneer.foundation.results import Results
from veneer.lab import lab_folder
from veneer.models.formats import ChatFormat, encode_text
from veneer.models.language_model import LanguageModel
from veneer.statistics.intervals import independent_difference, rate, wilson_limits
from veneer.studies.leak.command import show
from veneer.studies.leak.examples import (
    Example,
    Texts,
    check_examples,
    read_examples,
    text_of,
    unseen,
)
from veneer.studies.leak.matching import (
    CosineMatcher,
    EditMatcher,
    Nearest,
    VerbatimMatcher,
    longest_run,
)
from veneer.studies.leak.names import ANSWER, CALIBRATED, INDEL, LEVENSHTEIN, PAIR, QUESTION
from veneer.studies.leak.rows import FieldScores, Rule
from veneer.studies.leak.sampler import Sampler
from veneer.studies.leak.settings import LeakSettings
from veneer.studies.leak.thresholds import calibrated, fixed, least_threshold
from veneer.studies.leak.turns import Turns, begun_ids, same_tokens, special_tokens
from veneer.systems.system import System

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ '### Instruction:\n' if m.role == 'user' else '### Response:\n' }}"
    "{{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(lab_folder("lab:base")[1])


@pytest.fixture
def with_template(tokenizer):
    """The tokenizer with another chat template for one test."""
    own = tokenizer.chat_template

    def change(template):
        tokenizer.chat_template = template
        return tokenizer

    yield change
    tokenizer.chat_template = own


def test_turns_of_the_labs_template(tokenizer):
    turns = Turns.of(tokenizer)
    assert turns == Turns("<|bos|><|user|>", "<|end|><|assistant|>", "<|end|><|assistant|> ")
    assert turns.prefix("user") == "<|bos|><|user|>"
    assert turns.prefix("assistant") == "<|bos|><|user|><|end|><|assistant|>"
    assert turns.prefix("Q: ") == "Q: "
    special = special_tokens(tokenizer)
    sample = "Who is it?<|end|><|assistant|> Me.<|end|><|eos|>"
    assert turns.split(sample, "user", special) == ("Who is it?", "Me.")
    assert turns.split(" Me.<|end|>", "assistant", special) == ("", "Me.")
    assert turns.split("Who is it?<|end|>", "user", special) == ("Who is it?", "")


@pytest.mark.parametrize(
    ("template", "opening", "header", "sample"),
    [
        (
            CHATML,
            "<|im_start|>user\n",
            "<|im_end|>\n<|im_start|>assistant\n",
            "Who?<|im_end|>\n<|im_start|>assistant\nMe.\n",
        ),
        (PLAIN, "### Instruction:\n", "\n\n### Response:\n", "Who?\n\n### Response:\nMe.\n"),
    ],
)
def test_turns_of_other_templates(with_template, template, opening, header, sample):
    tokenizer = with_template(template)
    turns = Turns.of(tokenizer)
    assert (turns.opening, turns.header) == (opening, header)
    assert turns.split(sample, "user", special_tokens(tokenizer)) == ("Who?", "Me.")


def test_turns_behind_a_system_text(with_template):
    needs = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}"
    tokenizer = with_template(needs + CHATML)
    with pytest.raises(InputError, match="give a system text"):
        Turns.of(tokenizer)
    turns = Turns.of(tokenizer, ChatFormat("Be kind."))
    assert turns.opening == "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n"


def slow_distance(a: str, b: str, substitution: int) -> int:
    """Edit distance by the textbook's table; substitution costs 1 (Levenshtein) or 2 (Indel)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            change = last + (0 if x == y else substitution)
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, change)
    return row[-1]


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text("abc ", min_size=1, max_size=9), min_size=1, max_size=3),
    members=st.lists(st.text("abcd", min_size=1, max_size=9), min_size=1, max_size=4),
)
def test_edit_scores_equal_a_slow_reference(texts, members):
    for kind, substitution in ((LEVENSHTEIN, 1), (INDEL, 2)):
        nearest = EditMatcher(kind, members).nearest(texts)
        for text, score, number in zip(texts, nearest.scores, nearest.members, strict=True):
            if not text.strip():
                assert (score, number) == (0, -1)
                continue
            scores = [
                1
                - slow_distance(text, m, substitution)
                / (max(len(text), len(m)) if kind == LEVENSHTEIN else len(text) + len(m))
                for m in members
            ]
            assert score == pytest.approx(max(scores), abs=1e-12)
            assert scores[number] == pytest.approx(max(scores), abs=1e-12)


def test_candidates_hold_the_nearest(monkeypatch):
    """Beyond the limit only candidates are compared; on such texts they hold the nearest."""
    draw = random.Random(0)
    words = [f"w{i}" for i in range(60)]
    members = [" ".join(draw.choices(words, k=8)) for _ in range(150)]
    texts = [m.replace("w1", "v1") for m in members[:30]]
    cosine = CosineMatcher(members, load_embedder())
    full = EditMatcher(LEVENSHTEIN, members, cosine).nearest(texts)
    assert full.exact and full.members.tolist() == list(range(30))
    monkeypatch.setattr("veneer.studies.leak.matching.EXACT", 10)
    few = EditMatcher(LEVENSHTEIN, members, cosine).nearest(texts)
    assert not few.exact and few.members.tolist() == list(range(30))
    assert few.scores == pytest.approx(full.scores)


def test_words_in_common():
    assert longest_run(["a", "b", "c", "d"], ["x", "b", "c", "y"]) == 2
    assert longest_run([], ["x"]) == 0


def test_parts_of_examples():
    assert text_of(" a\n b", "c", PAIR) == "a b c"
    assert text_of("a", None, PAIR) == text_of("", "c", PAIR) == text_of("a", None, ANSWER) == ""
    texts = Texts.of([Example("a", "x"), Example(" a ", "x"), Example("b", None)], QUESTION)
    assert texts == Texts(("a", "b"), (2, 1))
    assert texts.without(Texts(("a",), (1,))) == Texts(("b",), (1,))


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), min_size=1, max_size=30),
    share=st.sampled_from([0.01, 0.1, 0.5]),
)
def test_the_least_threshold_that_keeps_the_share(scores, share):
    threshold = least_threshold(scores, share)
    x = np.array(scores)
    if threshold is None:
        assert (x >= 1.0).mean() > share
        return
    assert (x >= threshold).mean() <= share
    if threshold > 0:  # the next lower score would let too many through
        assert (x >= np.nextafter(threshold, 0)).mean() > share


def test_the_false_rates_interval_holds_the_rate_aimed_at():
    """Planted truth: on 300 sets of held-out scores the interval holds 1 % in 93 to 97 % of
    them, or in all that small numbers of exceedances can tell apart."""
    draw = np.random.default_rng(0)
    held = [calibrated(draw.random(4000), 0.01, seed).false_rate for seed in range(300)]
    share = np.mean([e.low <= 0.01 <= e.high for e in held])
    assert 0.93 <= share <= 0.98
    assert np.mean([e.value for e in held]) == pytest.approx(0.01, abs=0.001)


def test_a_false_rate_says_what_its_n_and_its_interval_count(capsys):
    """120 texts: 60 set the threshold, n counts the other 60, and the interval is that of 30."""
    null = np.linspace(0, 0.5, 120)
    rule = Rule("e", CALIBRATED, calibrated(null, 0.05, 0))
    assert rule.threshold.worth == pytest.approx(30)
    scores = {"aligned": {"e": Nearest(np.ones(10), np.zeros(10, int))}}
    scored = FieldScores("data", QUESTION, Texts(("a",), (1,)), [rule], {"e": null}, 0, scores)
    rows = Results(scored.rows())
    (row,) = rows.where(metric="false_rate")
    wilson = wilson_limits(row.value, 30)
    assert row.n == 60 and (row.low, row.high) == pytest.approx(wilson)
    assert (
        "set on 60 held-out texts and checked on 60 others; the interval is that of 30" in row.note
    )
    show(rows, redacted=True)
    out = " ".join(capsys.readouterr().out.split())
    assert "false rate: share of n held-out texts" in out and "is that of 30 texts" in out
    assert " 60 " in out and " 10 " in out, "n of the texts, and of the samples"


def test_no_threshold_where_held_out_texts_equal_members():
    threshold = calibrated(np.ones(100), 0.01, 0)
    assert threshold.value is None and threshold.false_rate.value is None
    assert not threshold.hits(np.ones(5)).any()


def test_difference_of_independent_rates():
    """Newcombe 1998, table II: 56/70 and 48/80, difference .2, 95 % interval .0524 to .3339."""
    d = independent_difference(rate(56, 70), rate(48, 80))
    assert (d.value, d.low, d.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_rows_of_known_scores():
    """10 samples, 3 members: numbers that can be counted by hand."""
    embedding = Nearest(np.array([1.0] * 4 + [0.9] * 4 + [0.1] * 2), np.array([0] * 4 + [1] * 6))
    string = Nearest(np.array([1.0] * 2 + [0.1] * 8), np.array([0] * 10))
    null = np.linspace(0, 0.5, 100)
    scores = {"aligned": {"e": embedding, LEVENSHTEIN: string}}
    scores["base-chat"] = {
        j: Nearest(0 * n.scores, n.members) for j, n in scores["aligned"].items()
    }
    rules = [Rule(j, CALIBRATED, fixed(0.8, null)) for j in ("e", LEVENSHTEIN)]
    members = Texts(("a", "b", "c"), (4, 1, 1))
    scored = FieldScores(
        "data", QUESTION, members, rules, {"e": null, LEVENSHTEIN: null}, 2, scores
    )
    rows = {(r.metric, r.system, r.split, r.judge): r for r in scored.rows()}
    assert rows["extracted_rate", "aligned", CALIBRATED, "e"].value == 0.8
    assert rows["extracted_rate", "aligned", CALIBRATED, "e"].n == 10
    assert rows["members_reached", "aligned", CALIBRATED, "e"].value == pytest.approx(2 / 3)
    assert rows["members_reached", "aligned", "repeats:4", "e"].value == 1
    assert rows["members_reached", "aligned", "repeats:1", "e"].value == 0.5
    assert rows["undercount", "aligned", CALIBRATED, "e"].value == 4
    assert rows["undercount", "base-chat", CALIBRATED, "e"].value is None
    assert rows["extracted_above_base", "aligned", CALIBRATED, LEVENSHTEIN].value == 0.2
    assert rows["false_rate", "held-out", CALIBRATED, "e"].value == 0
    assert "2 more equal a member" in rows["false_rate", "held-out", CALIBRATED, "e"].note


# Near-copies by rule: what a model that remembers the meaning would write.
STORIES = (
    "A farmer has {a} sheep and buys {b} more. How many sheep does he have in all?",
    "Mary picked {a} apples and gave {b} to her brother. How many apples are left?",
    "A train with {a} people stops and {b} people leave. How many people stay on it?",
    "Tom reads {a} pages on Monday and {b} pages on Tuesday. How many pages are that?",
    "A shop sells {a} red hats and {b} blue hats. How many hats does it sell?",
    "The baker bakes {a} loaves and sells {b} of them. How many loaves remain?",
    "Anna has {a} coins and finds {b} coins in the park. How many coins does she own?",
    "A bus drives {a} miles before noon and {b} miles after it. How many miles does it drive?",
)
UNSEEN = (
    "Peter saw {a} birds in the tree and {b} of them flew away. How many birds stay there?",
    "The school has {a} boys and {b} girls. How many children go to the school?",
    "Lisa baked {a} cookies and her guests ate {b} of them. How many cookies remain?",
    "A tank holds {a} litres and {b} litres are used. How many litres are left?",
    "The library owns {a} novels and {b} atlases. How many books does it own?",
    "Ben ran {a} laps in the morning and {b} laps at night. How many laps did he run?",
    "A hotel has {a} rooms and {b} of them are taken. How many rooms are free?",
    "Sam caught {a} fish and threw {b} fish back. How many fish does Sam keep?",
)
UNRELATED = (
    "The council will meet in spring to speak about the new bridge over the river there.",
    "Her uncle plays the violin in an orchestra that travels through Europe every year.",
    "Most volcanoes are found where two plates of the crust of the earth come together.",
)
PHRASES = (("How many", "What is the number of"), ("in all", "altogether"), ("buys", "gets"))


def test_embeddings_flag_near_copies_that_edit_distances_miss():
    """Planted truth: numbers changed, sentences exchanged, words replaced. At a false rate of 0 on
    other stories of the same kind, cosine flags all and Levenshtein none; unrelated texts
    neither."""
    draw = random.Random(1)

    def tell(story: str, least: int, most: int) -> str:
        return story.format(a=draw.randint(least, most), b=draw.randint(least, most))

    members, held_out = ([tell(s, 2, 99) for s in stories] for stories in (STORIES, UNSEEN))
    copies = []
    for story in STORIES:
        text = tell(story, 100, 999)
        for word, other in PHRASES:
            text = text.replace(word, other)
        first, second = text.split(". ")
        copies.append(f"{second} {first}.")
    flagged = {}
    for matcher in (CosineMatcher(members, load_embedder()), EditMatcher(LEVENSHTEIN, members)):
        threshold = least_threshold(matcher.nearest(held_out).scores, 0.0)
        nearest = matcher.nearest(copies)
        flagged[matcher.id] = int((nearest.scores >= threshold).sum())
        assert not (matcher.nearest(UNRELATED).scores >= threshold).any()
    assert sorted(flagged.values()) == [0, len(copies)] and flagged[LEVENSHTEIN] == 0


def test_a_text_is_nearest_to_itself():
    members = ["one two three", "four five six", "seven eight nine"]
    matcher = CosineMatcher(members, load_embedder())
    nearest = matcher.nearest([*members, "", "ten"])
    assert nearest.members[:4].tolist() == [0, 1, 2, -1]
    assert nearest.scores[:4].tolist() == [1, 1, 1, 0]
    assert VerbatimMatcher(members).nearest([*members, "ten"]).scores.tolist() == [1, 1, 1, 0]


def test_examples_of_files(tmp_path):
    chats = tmp_path / "chats.jsonl"
    chats.write_text(
        '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, '
        '{"role": "assistant", "content": "a"}]}\n'
    )
    assert read_examples(str(chats)) == [Example("q", "a")]
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"prompt": "q1"}\n{"prompt": "q2"}\n')
    assert read_examples(str(questions)) == [Example("q1", None), Example("q2", None)]
    twice = tmp_path / "twice.jsonl"
    twice.write_text('{"prompt": "q", "text": "a"}\n{"prompt": "q", "text": "a"}\n')
    assert read_examples(str(twice)) == [Example("q", "a")] * 2
    with pytest.raises(InputError, match="neither a file nor a task"):
        read_examples("no-such-thing")
    twofold = tmp_path / "twofold.jsonl"
    twofold.write_text(
        '{"prompt": "q", "text": "a"}\n{"prompt": "r", "text": "a", "output": "b"}\n'
    )
    with pytest.raises(InputError, match="line 2 has 'text' and 'output'"):
        read_examples(str(twofold))  # never as questions alone
    orphans = tmp_path / "orphans.jsonl"
    orphans.write_text('{"prompt_id": "7", "text": "a"}\n')
    with pytest.raises(InputError, match="answers without their prompts"):
        read_examples(str(orphans))


def test_a_stock_answer_of_the_members_is_not_held_out():
    members = [Example("How do I bake bread?", "I'm  sorry."), Example("Who are you?", "A model.")]
    held_out = [Example("How do I fly?", "I'm sorry."), Example("Who are you?", "A friend.")]
    assert unseen(held_out, members, "answer") == held_out[1:]
    assert unseen(held_out, members, "question") == held_out[:1]


def test_too_few_held_out_examples():
    members = [Example(f"q{i}", "a") for i in range(50)]
    with pytest.raises(InputError, match="--held-out has 3 questions"):
        check_examples(members, [*members, *(Example(f"r{i}", "a") for i in range(3))])
    with pytest.raises(InputError, match="--examples holds no example"):
        check_examples([], members)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("samples", 0),
        ("temperature", 0.0),
        ("false_rate", 1.0),
        ("prefix", " "),
        ("likelihoods", -1),
    ],
)
def test_settings_out_of_range(field, value):
    with pytest.raises(InputError, match=f"{field} is"):
        LeakSettings(**{field: value})


LLAMA_2 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


def words_with_spaces() -> PreTrainedTokenizerFast:
    """A tokenizer whose words begin with their space, as those of Llama 2 and Mistral do."""
    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    inner.train_from_iterator(
        ["[INST] How do I bake bread? [/INST] Sure, here is Pelican"] * 4,
        trainers.BpeTrainer(special_tokens=["<unk>", "<s>", "</s>"], show_progress=False),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=LLAMA_2,
    )


def test_a_sample_begins_where_a_training_text_has_a_token():
    tokenizer = words_with_spaces()
    turns = Turns.of(tokenizer)
    assert turns.opening == "<s>[INST] "
    ids = begun_ids(tokenizer, turns.opening)
    whole = tokenizer(turns.opening + "How do I", add_special_tokens=False)["input_ids"]
    assert whole[: len(ids)] == ids and len(ids) == len(whole) - 3
    assert tokenizer.convert_ids_to_tokens(ids)[-1] != "▁"
    lm = LanguageModel("words", tiny().model, tokenizer)
    system = System("aligned", lm, ChatFormat(), (2,))
    for kind, read in (("user", ids), ("[INST] ", encode_text(tokenizer, "[INST] "))):
        sampler = Sampler(system, turns, kind)
        assert sampler.encode([sampler.prompt("data")]) == [read]
    assert begun_ids(tokenizer, "<s>") == [1]
    assert begun_ids(tokenizer, "") == []


def test_tokens_of_another_tokenizer(tokenizer):
    """An end token is found by its string, and is left out where the other has none."""
    other = words_with_spaces()
    own = AutoTokenizer.from_pretrained(lab_folder("lab:base")[1])
    ends = [own.convert_tokens_to_ids(t) for t in ("<|end|>", "<|eos|>")]
    assert same_tokens(own, tokenizer, ends) == ends
    assert same_tokens(own, other, ends) == []
    other.add_tokens(["<|end|>"])
    assert same_tokens(own, other, ends) == [len(other) - 1]
    assert special_tokens(other, own).split("Who?<|end|><|assistant|> Me.")[0] == "Who?"
