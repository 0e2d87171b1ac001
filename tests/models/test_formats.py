"""Prompt formats: one BOS, no EOS, the end of turn, system texts, and a round trip
through a manifest."""

from __future__ import annotations

import copy
import json
from datetime import date

import pytest
from tokenizers import processors

from tiny import TEMPLATE, tokenizer
from veneer.foundation.errors import InputError
from veneer.models.end_of_turn import end_of_turn
from veneer.models.formats import (
    ChatFormat,
    PlainFormat,
    check_arguments,
    dated,
    encode_text,
    format_from_facts,
    one_bos,
)
from veneer.models.templates import render, variables, writes_date
from veneer.prompts.prompt import Prompt

PROMPT = Prompt.from_text("p", "How do I bake bread?", plain="Bread is baked")


def tokenizer_with(template: str | None = TEMPLATE, *, single: str | None = None):
    """A copy of the tiny tokenizer with another chat template or another way to
    surround plain text."""
    tok = copy.deepcopy(tokenizer())
    tok.chat_template = template
    if single is not None:
        ids = [(t, tok.convert_tokens_to_ids(t)) for t in ("<|bos|>", "<|eos|>", "<|end|>")]
        tok.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=ids
        )
    return tok


def count(tok, ids: list[int], token: str) -> int:
    return ids.count(tok.convert_tokens_to_ids(token))


@pytest.mark.parametrize(
    ("single", "starts"),
    [
        ("<|bos|> $A", 1),
        ("<|bos|> $A <|eos|>", 1),
        ("$A", 0),
        ("$A <|eos|>", 0),
        ("<|bos|> <|bos|> $A", 1),
    ],
)
def test_plain_text_has_the_tokenizers_own_bos_once_and_no_eos(single, starts):
    tok = tokenizer_with(single=single)
    ids = PlainFormat().encode(tok, PROMPT)
    assert count(tok, ids, "<|bos|>") == starts and count(tok, ids, "<|eos|>") == 0
    assert tok.decode(ids, skip_special_tokens=True) == "Bread is baked"


@pytest.mark.parametrize("single", ["<|bos|> $A <|end|>", "<|bos|> $A <|end|> <|eos|>"])
def test_a_token_that_closes_a_text_is_left_out_whatever_it_is(single):
    """BERT's [SEP], or the </s> of a tokenizer whose eos_token was set to another one."""
    tok = tokenizer_with(single=single)
    want = tok("<|bos|>Bread is baked", add_special_tokens=False)["input_ids"]
    assert PlainFormat().encode(tok, PROMPT) == want
    assert encode_text(tok, "") == want[:1]
    own = encode_text(tok, "Bread is baked<|eos|>")  # that of the text stays, once
    assert own == [*want, tok.eos_token_id]


def test_a_bos_that_the_text_itself_brings_is_not_doubled():
    tok = tokenizer_with()
    ids = PlainFormat("<|bos|>{prompt}").encode(tok, PROMPT)
    assert ids == PlainFormat().encode(tok, PROMPT)
    assert (
        one_bos([0], tok) == [0] and one_bos([], tok) == [] and one_bos([0, 0, 0, 5], tok) == [0, 5]
    )


def test_an_eos_that_the_prompt_asks_for_stays():
    tok = tokenizer_with(single="<|bos|> $A")
    ids = PlainFormat("{prompt}<|eos|>").encode(tok, PROMPT)
    assert ids[-1] == tok.eos_token_id


def test_an_empty_prompt_leaves_something_to_go_on_from():
    assert PlainFormat().encode(tokenizer_with(), Prompt.from_text("p", "")) == [
        tokenizer().bos_token_id
    ]


@pytest.mark.parametrize("template", [TEMPLATE, TEMPLATE.replace("{{ bos_token }}", "")])
def test_chat_has_one_bos_at_most_and_ends_where_the_answer_starts(template):
    tok = tokenizer_with(template, single="<|bos|> $A <|eos|>")
    ids = ChatFormat().encode(tok, PROMPT)
    assert count(tok, ids, "<|bos|>") == ("bos_token" in template)
    assert count(tok, ids, "<|eos|>") == 0
    assert ids[-1] == tok.convert_tokens_to_ids("<|assistant|>")
    assert "How do I bake bread?" in tok.decode(ids) and "Bread is baked" not in tok.decode(ids)


def test_a_system_text_comes_first_and_only_when_given():
    tok = tokenizer_with()
    text = tok.decode(ChatFormat("Be kind.").encode(tok, PROMPT))
    assert text.index("<|system|>Be kind.<|end|>") < text.index("<|user|>")
    assert "<|system|>" not in tok.decode(ChatFormat().encode(tok, PROMPT))
    # an empty one is one
    assert "<|system|><|end|>" in tok.decode(ChatFormat("").encode(tok, PROMPT))


def test_every_turn_is_read_in_order():
    turns = [("user", "One?"), ("assistant", "Two."), ("user", "Three?")]
    prompt = Prompt("p", tuple({"role": r, "content": c} for r, c in turns), "plain")
    tok = tokenizer_with()
    text = tok.decode(ChatFormat("Four.").encode(tok, prompt))
    assert text == (
        "<|bos|><|system|>Four.<|end|><|user|>One?<|end|><|assistant|>Two.<|end|><|user|>Three?<|"
        "end|><|assistant|>"
    )


def test_the_end_of_turn_is_what_the_template_puts_behind_an_answer():
    tok = tokenizer_with()
    assert end_of_turn(tok) == tok.convert_tokens_to_ids("<|end|>")
    assert (
        end_of_turn(tokenizer_with(TEMPLATE.replace("<|end|>", "{{ eos_token }}")))
        == tok.eos_token_id
    )
    ends_with_the_next = tokenizer_with(TEMPLATE.replace("<|end|>", "\n"))
    assert end_of_turn(ends_with_the_next) == tok.convert_tokens_to_ids("<|user|>")
    assert end_of_turn(tokenizer_with(None)) is None
    assert end_of_turn(tokenizer_with("{{ raise_exception('no') }}")) is None


def test_a_template_without_a_place_for_the_prompt_is_refused():
    with pytest.raises(InputError, match=r"has no \{prompt\}; put"):
        PlainFormat("Question: {question}")


def test_a_template_is_no_format_string():
    """Braces in prompts and templates are text."""
    prompt = Prompt.from_text("p", "{0} {prompt.__class__} {{x}}")
    assert PlainFormat("{a} {prompt} %s").text(prompt) == "{a} {0} {prompt.__class__} {{x}} %s"


LOOP = "{% for t in tools %}{{ t }}{% endfor %}{{ messages[0].content }}"


@pytest.mark.parametrize(
    ("template", "names", "empty"),
    [
        (LOOP, "reads tools, and", {"tools": []}),
        (LOOP.replace("tools", "documents"), "reads documents, and", {"documents": []}),
        (LOOP + "{{ documents | length }}", "tools and documents", {"tools": [], "documents": []}),
    ],
)
def test_a_template_for_tools_is_named_with_what_it_wants(template, names, empty):
    """As the variants tool_use and rag of Command R+: transformers gives them None."""
    prompt, tokenizer = Prompt.from_text("p", "Name the tallest tower."), tokenizer_with(template)
    with pytest.raises(InputError, match=names) as error:
        ChatFormat().encode(tokenizer, prompt)
    assert " and ".join(f"{name}=[]" for name in empty) in str(error.value)
    ids = ChatFormat(arguments=empty).encode(tokenizer, prompt)
    assert "tallest tower" in tokenizer.decode(ids)


def test_an_argument_without_which_a_template_fails_is_named():
    """As firefunction's template reads `functions`."""
    picky = tokenizer_with("{{ functions.names }}{{ messages[0].content }}")
    with pytest.raises(InputError, match=r"give functions a value among the template's arguments"):
        ChatFormat().encode(picky, PROMPT)
    assert ChatFormat(arguments={"functions": []}).encode(picky, PROMPT)
    with pytest.raises(InputError, match="expected roles and contents that it accepts"):
        ChatFormat().encode(tokenizer_with("{{ messages[0].text.more }}"), PROMPT)


def test_a_template_that_needs_a_system_text_or_takes_none_is_named():
    ask = "{% if messages[0].role SIGN 'system' %}{{ raise_exception('no') }}{% endif %}"
    rest = "{% for m in messages %}{{ m.role + ' ' + m.content }}{% endfor %}"
    needs, takes_none = (tokenizer_with(ask.replace("SIGN", sign) + rest) for sign in ("!=", "=="))
    with pytest.raises(InputError, match=r"give a system text .* which it needs"):
        ChatFormat().encode(needs, PROMPT)
    assert ChatFormat("Be kind.").encode(needs, PROMPT)
    assert ChatFormat("Be kind.").encode(needs, Prompt.from_text("short", "Hi"))
    with pytest.raises(InputError, match="leave out the system text"):
        ChatFormat("Be kind.").encode(takes_none, PROMPT)
    assert ChatFormat().encode(takes_none, PROMPT)


def test_no_chat_template_and_messages_that_one_refuses_are_named():
    with pytest.raises(InputError, match="no chat template"):
        ChatFormat().encode(tokenizer_with(None), PROMPT)
    picky = tokenizer_with(
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') "
        "}}{% endif %}{{ messages[-1]['content'] }}"
    )
    assert ChatFormat().encode(picky, PROMPT)
    with pytest.raises(InputError, match="System role not supported"):
        ChatFormat("Be kind.").encode(picky, PROMPT)
    with pytest.raises(InputError, match="refuses"):
        ChatFormat().encode(tokenizer_with("{% if messages %}"), PROMPT)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__base__ }}",
        "{% set x = cycler.__init__.__globals__.os.system('true') %}",
        "{{ messages.append(1) }}",
        "{% for i in range(10 ** 9) %}a{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 1 / 0 }}",
        "{{ messages[7].content.nothing }}",
        "{% if %}\n\n{% endfor %}",
    ],
)
def test_a_hostile_template_is_refused_or_sees_nothing(template):
    tok = tokenizer_with(template)
    try:
        text = tok.decode(
            render(tok, [{"role": "user", "content": "a"}], add_generation_prompt=True)
        )
    except InputError as error:
        assert "chat template" in str(error) and "\n" not in str(error)
    else:
        assert "class" not in text and "object" not in text


@pytest.mark.parametrize(
    "form",
    [
        PlainFormat(),
        PlainFormat("Q: {prompt}\nA:"),
        ChatFormat(),
        ChatFormat("Be kind."),
        ChatFormat(""),
    ],
)
def test_a_format_survives_its_manifest(form):
    assert format_from_facts(json.loads(json.dumps(form.facts()))) == form


def test_formats_of_another_version_are_refused():
    with pytest.raises(InputError, match="unknown prompt format"):
        format_from_facts({"kind": "xml"})
    with pytest.raises(InputError, match="unknown prompt format"):
        format_from_facts({"kind": "plain", "template": "{prompt}", "surprise": 1})


# Arguments and dates of templates

THINKING = (
    "{% set think = enable_thinking if enable_thinking is defined else true %}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% if loop.last %}{% "
    "continue %}{% endif %}{% endfor %}"
    "{% generation %}{% if add_generation_prompt %}<|assistant|>{% if not think "
    "%}<think></think>{% endif %}{% endif %}{% endgeneration %}"
)
DATED = (
    "{% if strftime_now is defined %}Today is {{ strftime_now('%d %b %Y') }}.{% endif %}" + TEMPLATE
)


@pytest.mark.parametrize(
    "start", ["", "\n", "  ", "\n\n  ", "  {% if messages %}\n  {% endif %}\n"]
)
@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%A, %-d %B %y", "100%% on %e. %j"])
def test_a_template_whose_day_stands_still_is_otherwise_the_same(start, form):
    """Against the library's own clock, today."""
    tok = tokenizer_with(start + DATED.replace("%d %b %Y", form))
    today = date.today().isoformat()
    own, ours = (ChatFormat(day=day).encode(tok, PROMPT) for day in (None, today))
    assert own == ours or date.today().isoformat() != today


def test_arguments_reach_the_template_and_its_variables_are_known():
    tok = tokenizer_with(THINKING)
    assert variables(THINKING) == {"enable_thinking", "messages", "add_generation_prompt"}
    assert tok.decode(ChatFormat().encode(tok, PROMPT)).endswith("<|assistant|>")
    assert tok.decode(
        ChatFormat(arguments={"enable_thinking": False}).encode(tok, PROMPT)
    ).endswith("<|assistant|><think></think>")
    assert tok.decode(ChatFormat(arguments={"enable_thinking": True}).encode(tok, PROMPT)).endswith(
        "<|assistant|>"
    )


def test_an_argument_that_no_template_reads_is_refused_with_those_that_it_reads():
    typo = ChatFormat(arguments={"enable_thinkin": False})
    with pytest.raises(
        InputError, match="does not read 'enable_thinkin'; it reads enable_thinking: correct"
    ):
        check_arguments(typo, tokenizer_with(THINKING))
    with pytest.raises(InputError, match="does not read 'x'; it reads no arguments"):
        check_arguments(ChatFormat(arguments={"x": 1}), tokenizer_with())
    # one of them reads it
    check_arguments(
        ChatFormat(arguments={"enable_thinking": False}), tokenizer_with(), tokenizer_with(THINKING)
    )
    check_arguments(PlainFormat(), tokenizer_with())


def test_a_day_stands_still_only_where_the_template_writes_it():
    tok = tokenizer_with(DATED)
    assert writes_date(tok) and not writes_date(tokenizer_with())
    form = dated(ChatFormat(), "2024-02-29", tok)
    assert form.facts() == {"kind": "chat", "system": None, "day": "2024-02-29"}
    assert tok.decode(form.encode(tok, PROMPT)).startswith("Today is 29 Feb 2024.")
    assert dated(form, "2025-01-01", tok) is form  # what was chosen stays
    assert dated(form, "2025-01-01", tokenizer_with()) == ChatFormat()
    assert dated(PlainFormat(), "2025-01-01", tok) == PlainFormat()
    with pytest.raises(InputError, match="'29 Feb'; expected one such as"):
        ChatFormat(day="29 Feb")


@pytest.mark.parametrize(
    "form",
    [ChatFormat(None, {"enable_thinking": False, "documents": [{"title": "a"}]}, "2024-02-29")],
)
def test_arguments_and_day_survive_a_manifest(form):
    assert format_from_facts(json.loads(json.dumps(form.facts()))) == form


def test_a_template_that_drops_the_user_or_the_system_text_is_refused():
    with pytest.raises(InputError, match="leaves out what the user says"):
        ChatFormat().encode(
            tokenizer_with("{% for m in messages %}<|{{ m.role }}|>{% endfor %}"), PROMPT
        )
    deaf = tokenizer_with(
        "{% for m in messages if m.role != 'system' %}{{ m.content | upper }}{% endfor %}"
    )
    assert deaf.decode(ChatFormat().encode(deaf, PROMPT)) == "HOW DO I BAKE BREAD?"
    with pytest.raises(
        InputError, match="leaves out what the system says; leave out the system text"
    ):
        ChatFormat("Be kind.").encode(deaf, PROMPT)


def test_contents_are_given_in_parts_where_a_template_reads_nothing_else():
    tok = tokenizer_with(
        "{% for m in messages %}{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor "
        "%}{% endfor %}<|assistant|>"
    )
    assert tok.decode(ChatFormat().encode(tok, PROMPT)) == "How do I bake bread?<|assistant|>"
