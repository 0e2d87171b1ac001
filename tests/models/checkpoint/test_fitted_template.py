"""A merged checkpoint's chat template: the very tokens that `veneer generate` feeds,
in any tokenizer."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tiny import tokenizer
from veneer.models.checkpoint.fitted_template import chat_template, fitted_template
from veneer.models.checkpoint.tokenizer_files import write_chat_template
from veneer.models.end_of_turn import end_of_turn
from veneer.models.formats import PlainFormat
from veneer.prompts.prompt import Prompt
from veneer.prompts.templates import ALPACA, NAMED

ODD = 'He said "{{ x }}" {% y %}\\n\t{prompt}\n\n  again: {prompt} \u00e9\u2028'
TEMPLATES = [*NAMED.values(), ODD, "{prompt}", "  {prompt}", "[INST] {prompt} [/INST]"]
CONVERSATIONS = [
    [("user", "How do I bake bread?")],
    [("user", "\n two {{ lines }} \n")],
    [("user", "{prompt}")],
    [("system", "Be kind."), ("user", "Hi")],
    [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")],
    [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Bye"),
        ("assistant", "So long"),
        ("user", "?"),
    ],
]


def turns(conversation) -> tuple[dict[str, str], ...]:
    return tuple({"role": role, "content": content} for role, content in conversation)


def own_copy(**words) -> PreTrainedTokenizerFast:
    tok = tokenizer()
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tok.backend_tokenizer.to_str()),
        bos_token="<|bos|>",
        eos_token="<|eos|>",
        **words,
    )


def without_bos() -> PreTrainedTokenizerFast:
    """As SmolLM2's: it names a BOS and puts none."""
    inner = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    inner.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<|bos|>", eos_token="<|eos|>")


def with_a_blank_in_front(scheme: str) -> PreTrainedTokenizerFast:
    """As sentence pieces have it: a blank before the first word ("first"), or behind every special
    token ("always")."""
    letters = sorted(
        {c for t in TEMPLATES for c in t}
        | set("\u2581abcdefghijklmnopqrstuvwxyzHByWIS0123456789?+-=<>,.:\"'")
    )
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<s>", "</s>", *letters])}
    inner = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


TOKENIZERS = {
    "bos": own_copy,
    "no bos": without_bos,
    "blank first": lambda: with_a_blank_in_front("first"),
    "blank always": lambda: with_a_blank_in_front("always"),
}


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_the_tokens_are_those_of_the_fitted_format(kind, template, tmp_path):
    tok, form = TOKENIZERS[kind](), PlainFormat(template, bare=template == "{prompt}")
    tok.save_pretrained(tmp_path)
    text = fitted_template(tok, form)
    assert tok.chat_template is None  # the tokenizer is left as it was
    assert text is not None
    write_chat_template(tmp_path, text)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for conversation in CONVERSATIONS:
        messages = turns(conversation)
        given = loaded.apply_chat_template(
            list(messages), add_generation_prompt=True, return_dict=False
        )
        prompt = Prompt("p", messages, "", template="{prompt}")
        assert given == form.encode(tok, prompt), conversation
        assert given.count(tok.bos_token_id) == (0 if kind == "no bos" else 1)


def test_an_answer_that_is_last_ends_with_the_end_token():
    tok = own_copy(chat_template=chat_template(ALPACA, begin="<|bos|>", end="<|eos|>"))
    messages = list(turns(CONVERSATIONS[0]))
    prompt = tok.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    whole = tok.apply_chat_template(
        [*messages, {"role": "assistant", "content": "Mix."}], tokenize=False
    )
    assert whole == f"{prompt}Mix.<|eos|>"
    assert prompt == "<|bos|>" + ALPACA.replace("{prompt}", "How do I bake bread?")
    assert end_of_turn(tok) == tok.eos_token_id
    with pytest.raises(
        Exception, match="expected the roles system, user and assistant, found tool"
    ):
        tok.apply_chat_template([*messages, {"role": "tool", "content": "1"}], tokenize=False)


def test_bases_other_templates_go(tmp_path):
    own_copy(chat_template={"default": "{{ 1 }}", "tool_use": "{{ 2 }}"}).save_pretrained(tmp_path)
    write_chat_template(tmp_path, "{{ 3 }}")
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == "{{ 3 }}"
    assert (
        json.loads((tmp_path / "tokenizer_config.json").read_text())["chat_template"] == "{{ 3 }}"
    )
    write_chat_template(tmp_path, None)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template is None
