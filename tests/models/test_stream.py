"""Streamed text: certain pieces only, nothing taken back, and put together the text of
the whole answer."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from thoughts import forms
from tiny import tiny, tokenizer
from veneer.models.decode import response_text
from veneer.models.stream import PartsStream, TextStream, _held
from veneer.models.thoughts import Thoughts


class Named:
    """Something with a tokenizer, as `response_text` wants it."""

    def __init__(self, own):
        self.tokenizer = own


def metaspace(*, cleans: bool) -> PreTrainedTokenizerFast:
    """SentencePiece as Llama 2 has it: words with a leading blank, and bytes where a
    character has no piece."""
    pieces = [
        "<unk>",
        "</s>",
        *(f"<0x{b:02X}>" for b in range(256)),
        "▁",
        "▁the",
        "▁cat",
        "▁.",
        "▁'",
        "ve",
        "▁n't",
        "s",
        "!",
        "▁!",
    ]
    inner = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, [], byte_fallback=True, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=cleans,
    )


def streamed(own, ids, stops=()):
    stream = TextStream(own, stop_ids={own.eos_token_id}, stop_strings=stops)
    pieces = [stream.add(i) for i in ids]
    return [*pieces, stream.finish()], stream


def until_stopped(own, ids, stops):
    """The tokens up to the one that completes a stop string: decoding ends there, and what a later
    one would complete never comes."""
    for n in range(1, len(ids) + 1):
        text = own.decode([i for i in ids[:n] if i != own.eos_token_id], skip_special_tokens=True)
        if any(s and s in text for s in stops):
            return ids[:n]
    return ids


TEXTS = st.text(alphabet="ab c.dé€😀\n'", max_size=20)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(st.text(alphabet="ab c.é€\n", min_size=1, max_size=4), max_size=3))
@example(".aa", ["a", ".aa"])
def test_pieces_are_the_text_of_the_answer(text, stops):
    own = tokenizer()
    ids = [*own(text, add_special_tokens=False)["input_ids"], own.eos_token_id]
    pieces, stream = streamed(own, ids, stops)
    assert (
        "".join(pieces)
        == stream.text
        == response_text(Named(own), until_stopped(own, ids, stops), {own.eos_token_id}, stops)
    )
    assert stream.stopped and stream.finish() == ""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=12), st.lists(st.text(max_size=3), max_size=2))
def test_any_tokens_and_any_stops(ids, stops):
    """Bytes that are no text, special tokens in the middle, empty stop strings."""
    own = tokenizer()
    ids = [min(i, len(own) - 1) for i in ids]
    pieces, _ = streamed(own, ids, stops)
    read, stops = until_stopped(own, ids, stops), [s for s in stops if s]
    assert "".join(pieces) == response_text(Named(own), read, {own.eos_token_id}, stops)


@settings(max_examples=100, deadline=None)
@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=12), st.data())
def test_the_beginning_of_a_stop_string_is_the_longest_one(text, stop, data):
    end = data.draw(st.integers(0, len(text)))
    wanted = max((n for n in range(len(stop)) if text[:end].endswith(stop[:n])), default=0)
    assert _held(text, end, stop) == wanted


def test_an_unfinished_character_waits():
    own = tokenizer()
    ids = own("a€b", add_special_tokens=False)["input_ids"]
    assert len(ids) == 5
    assert streamed(own, ids)[0] == ["a", "", "", "€", "b", ""]
    assert streamed(own, ids[:2])[0] == ["a", "", "\ufffd"]  # cut off: what a decoder makes of it


def test_what_may_be_a_stop_string_waits():
    own = tokenizer()
    ids = own("x\nQ\nQu", add_special_tokens=False)["input_ids"]
    pieces, stream = streamed(own, ids, ("\nQu",))
    assert "".join(pieces) == "x\nQ" and stream.stopped
    assert "".join(pieces[:3]) == "x"  # "\nQ" could have been the stop
    assert stream.add(ids[0]) == ""  # nothing comes behind it


@pytest.mark.parametrize("cleans", [False, True])
@settings(max_examples=150, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["▁the", "▁cat", "▁.", "▁'", "ve", "▁n't", "s", "!", "▁!", "▁", "€", "é"]),
        max_size=8,
    )
)
def test_sentencepiece_blanks_and_bytes(cleans, words):
    own = metaspace(cleans=cleans)
    ids = []
    for word in words:
        ids += (
            [own.convert_tokens_to_ids(f"<0x{b:02X}>") for b in word.encode()]
            if word in "€é"
            else [own.convert_tokens_to_ids(word)]
        )
    pieces, _ = streamed(own, ids)
    assert "".join(pieces) == own.decode(ids, skip_special_tokens=True)


def test_a_model_streams_what_it_decodes():
    from veneer.models.decode import Row, Sampling, decode, decode_steps
    from veneer.models.stepper import ModelStepper

    lm = tiny()
    prompts, keys = [[10, 20, 30], [40, 50, 60, 70], [12, 13]], ["a", "b", "c"]
    how, stops = Sampling(24, 1.5, seed=4), ("e", " t")
    whole = decode(lm, prompts, how, stop_ids=(1, 2), stop_strings=stops, keys=keys)
    streams = [TextStream(lm.tokenizer, stop_ids=(1, 2), stop_strings=stops) for _ in prompts]
    texts = [""] * 3
    for tokens in decode_steps(
        ModelStepper(lm, prompts), [Row(how, k, stops) for k in keys], stop_ids=(1, 2)
    ):
        for t in tokens:
            texts[t.row] += streams[t.row].add(t.id)
            if t.finish_reason:
                texts[t.row] += streams[t.row].finish()
    assert texts == [d.text for d in whole]


STREAMED = [
    "think",
    "think, no line breaks",
    "thinking",
    "thought",
    "mistral",
    "kimi",
    "seed",
    "openthinker",
    "gemma 4",
    "harmony",
    "two thoughts",
    "opened twice",
    "granite",
]


@pytest.mark.parametrize("form", STREAMED)
def test_a_thought_is_streamed_apart(form):
    own = tokenizer()
    ids = own(forms("Is it so? Yes.", "One, two. 'Three'!")[form], add_special_tokens=False)[
        "input_ids"
    ]
    stream = PartsStream(own, stop_ids={own.eos_token_id})
    thought, answer = "", ""
    for piece in [*(stream.add(i) for i in ids), stream.finish()]:
        thought, answer = thought + stream.reasoning(), answer + piece
    parts = Thoughts.of(own).parts(ids)
    assert (thought, answer.rstrip()) == (parts.reasoning, parts.answer) and stream.text == answer


@pytest.mark.parametrize(
    "text",
    [
        "Ask <think> and see",
        "analysis of it",
        "< 3",
        "[Here] it is",
        "Here is my thought: no",
        "",
        "<think",
    ],
)
def test_an_answer_is_streamed_as_it_is(text):
    own = tokenizer()
    ids = own(text, add_special_tokens=False)["input_ids"]
    stream = PartsStream(own, stop_ids={own.eos_token_id})
    assert "".join([*(stream.add(i) for i in ids), stream.finish()]) == text and not stream.thinks


def test_a_thought_without_a_word_is_not_streamed():
    own = tokenizer()
    ids = own("<think>\n\n</think>\n\nHere is a list", add_special_tokens=False)["input_ids"]
    stream = PartsStream(own, stop_ids={own.eos_token_id})
    assert (
        "".join([*(stream.add(i) for i in ids), stream.finish()]) == "Here is a list"
        and stream.reasoning() == ""
    )
