"""Thoughts read off tokens: special tokens are marks before they are dropped, the prompt's end
counts, stop strings end no thought."""

from __future__ import annotations

import pytest

from thinking import HARMONY, chain, ids_of, with_marks
from veneer.models.decode import Sampling, response_parts, response_text
from veneer.models.formats import ChatFormat
from veneer.models.stepper import ModelStepper
from veneer.prompts.prompt import Prompt
from veneer.reasoning import ResponseParts
from veneer.systems.respond import respond
from veneer.systems.speculative import Paths, Retraced
from veneer.systems.system import System

THOUGHT, ANSWER = "I can't help with that.", " Here is a list"
PROMPTS = [Prompt.from_text("p0", "How?")]
PAIRS = [
    ("[THINK]", "[/THINK]"),
    ("<think>", "</think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>", "<channel|>"),
    ("<unused94>", "<unused95>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
]


class Named:
    def __init__(self, own):
        self.tokenizer = own


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(("open", "close"), PAIRS)
def test_marks_that_are_tokens_set_the_thought_apart(open, close, special):
    own = with_marks((open, close), special=special)
    ids = ids_of(own, open, THOUGHT, close, ANSWER)
    assert response_parts(Named(own), ids, set()) == ResponseParts(THOUGHT, ANSWER.strip())
    assert response_parts(Named(own), ids_of(own, open, THOUGHT), set()) == ResponseParts(
        THOUGHT, "", closed=False
    )
    if special:
        # what was taken for the answer
        assert own.decode(ids, skip_special_tokens=True) == THOUGHT + ANSWER


def test_harmony_is_read_by_its_special_tokens():
    own = with_marks(HARMONY)
    final = ("<|start|>", "assistant", "<|channel|>", "final", "<|message|>", ANSWER, "<|return|>")
    ids = ids_of(own, "<|channel|>", "analysis", "<|message|>", THOUGHT, "<|end|>", *final)
    assert response_parts(
        Named(own), ids, {own.convert_tokens_to_ids("<|return|>")}
    ) == ResponseParts(THOUGHT, ANSWER.strip())
    assert (
        response_text(Named(own), ids_of(own, "<|channel|>", "final", "<|message|>", ANSWER), set())
        == ANSWER.strip()
    )
    cut = ids_of(own, "<|channel|>", "analysis", "<|message|>", THOUGHT)
    assert response_parts(Named(own), cut, set()) == ResponseParts(THOUGHT, "", closed=False)


def test_a_mark_that_only_the_prompt_holds_opens_the_thought():
    own = with_marks(("<think>", "</think>"), special=False, opens="<think>\n")
    prompt = ChatFormat().encode(own, PROMPTS[0])
    ids = ids_of(own, THOUGHT, "</think>", ANSWER)
    assert response_parts(Named(own), ids, set(), prompt=prompt) == ResponseParts(
        THOUGHT, ANSWER.strip()
    )
    assert response_parts(Named(own), ids_of(own, THOUGHT), set(), prompt=prompt) == ResponseParts(
        THOUGHT, "", closed=False
    )
    assert response_parts(Named(own), ids_of(own, THOUGHT), set()) == ResponseParts(None, THOUGHT)


def test_a_text_without_a_thought_is_what_the_tokenizer_writes():
    own = with_marks((*HARMONY, "[THINK]", "[/THINK]"))
    for pieces in (
        (" one two", "<|end|>", " three"),
        ("", "<|start|>", " \n one"),
        (" the <think> tag",),
    ):
        ids = ids_of(own, *pieces)
        assert response_text(Named(own), ids, set()) == own.decode(ids, skip_special_tokens=True)


def chat(own, *pieces) -> System:
    lm = chain(own, "<|assistant|>", *pieces)
    return System("aligned", lm, ChatFormat(), lm.stop_ids)


@pytest.mark.parametrize("special", [True, False])
def test_a_response_holds_the_thought_apart(tmp_path, special):
    own = with_marks(("[THINK]", "[/THINK]"), special=special)
    system = chat(own, "[THINK]", "12", "[/THINK]", "yes")
    (response,) = respond(system, PROMPTS, Sampling(20), out=tmp_path / "out.jsonl")
    assert (response.reasoning, response.text, response.finish_reason, response.unfinished) == (
        "12",
        "yes",
        "stop",
        False,
    )
    assert [own.decode(i) for i in response.token_ids] == [
        own.decode(i) for i in ids_of(own, "[THINK]", "12", "[/THINK]", "yes", "<|end|>")
    ]
    assert respond(system, PROMPTS, Sampling(20), out=tmp_path / "out.jsonl") == [response]
    (cut,) = respond(system, PROMPTS, Sampling(2))
    assert (cut.text, cut.finish_reason, cut.unfinished, cut.empty) == ("", "length", True, False)


def test_a_stop_string_ends_no_thought():
    own = with_marks(("[THINK]", "[/THINK]"))
    system = chat(own, "[THINK]", "1#2", "[/THINK]", "yes", "!", "ok")
    (response,) = respond(system, PROMPTS, Sampling(20), stop_strings=("#",))
    assert (response.reasoning, response.text) == ("1#2", "yes!ok")
    (ended,) = respond(system, PROMPTS, Sampling(20), stop_strings=("#", "!"))
    assert (ended.reasoning, ended.text, ended.finish_reason) == ("1#2", "yes", "stop")


def test_a_retraced_answer_ends_where_a_decoded_one_does():
    own = with_marks(("[THINK]", "[/THINK]"))
    system, paths = chat(own, "[THINK]", "1#2", "[/THINK]", "yes", "!", "ok"), Paths()
    for limit, stops in ((20, ()), (20, ("#",)), (20, ("#", "!")), (2, ("#",))):
        own_way = system.decode(PROMPTS, Sampling(limit), stops, ["k"])
        assert Retraced(system, paths).decode(PROMPTS, Sampling(limit), stops, ["k"]) == own_way
        assert Retraced(system, Paths()).decode(PROMPTS, Sampling(limit), stops, ["k"]) == own_way


def test_decoding_keeps_its_prompts():
    own = with_marks(("[THINK]", "[/THINK]"), opens="[THINK]")
    lm = chain(own, "[THINK]", "12", "[/THINK]", "yes")
    system = System("aligned", lm, ChatFormat(), lm.stop_ids)
    (response,) = system.decode(PROMPTS, Sampling(20), (), ["k"])
    assert (response.reasoning, response.text) == ("12", "yes")
    assert isinstance(system.stepper(PROMPTS), ModelStepper)
