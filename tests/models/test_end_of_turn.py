"""The end of turn of many families: templates cut down to what decides it, each with the token that
ends an assistant's turn."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken

from tiny import TEMPLATE, tokenizer
from veneer.models.end_of_turn import end_of_turn, find_end

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n"
    "' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
)
PROMPT = "{% if add_generation_prompt %}OPENING{% endif %}"
ROLES = "{% if m.role == 'assistant' %}ANSWER{% else %}ASKED{% endif %}"


def turns(question: str, answer: str, opening: str = "") -> str:
    """A template from what it writes for a user's turn, for an answer, and to open one."""
    body = ROLES.replace("ASKED", question).replace("ANSWER", answer)
    return (
        "{% for m in messages %}"
        + body
        + "{% endfor %}"
        + (PROMPT.replace("OPENING", opening) if opening else "")
    )


# name -> (template, its special tokens, the end)
FAMILIES: dict[str, tuple[str, str, str]] = {
    "chatml (Qwen 2.5, Yi, SmolLM)": (
        CHATML + PROMPT.replace("OPENING", "{{ '<|im_start|>assistant\n' }}"),
        "<|im_start|> <|im_end|>",
        "<|im_end|>",
    ),
    "chatml that ignores add_generation_prompt": (CHATML, "<|im_start|> <|im_end|>", "<|im_end|>"),
    "chatml that always opens an answer": (
        CHATML + "{{ '<|im_start|>assistant\n' }}",
        "<|im_start|> <|im_end|>",
        "<|im_end|>",
    ),
    "Qwen 3, which opens a thought": (
        turns(
            "<|im_start|>user\n{{ m.content }}<|im_end|>\n",
            "<|im_start|>assistant\n<think>\n\n</think>\n\n{{ m.content }}<|im_end|>\n",
            (
                "<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking "
                "%}<think>\n\n</think>\n\n{% endif %}"
            ),
        ),
        "<|im_start|> <|im_end|> <think> </think>",
        "<|im_end|>",
    ),
    "QwQ and DeepSeek R1 distilled, which open a thought and drop it from history": (
        turns(
            "<|im_start|>user\n{{ m.content }}<|im_end|>\n",
            "<|im_start|>assistant\n{{ m.content.split('</think>')[-1].lstrip('\n') }}<|im_end|>\n",
            "<|im_start|>assistant\n<think>\n",
        ),
        "<|im_start|> <|im_end|> <think> </think>",
        "<|im_end|>",
    ),
    "harmony (gpt-oss)": (
        turns(
            "<|start|>user<|message|>{{ m.content }}<|end|>",
            "<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
            "{% if loop.last and not add_generation_prompt %}<|return|>{% else %}<|end|>{% "
            "endif %}",
            "<|start|>assistant",
        ),
        "<|start|> <|end|> <|message|> <|channel|> <|return|> <|call|>",
        "<|return|>",
    ),
    "Kimi K3, whose thought ends as its answer begins to": (
        turns(
            "<|open|>user<|sep|>{{ m.content }}<|close|>message<|sep|><|end_of_msg|>",
            (
                "<|open|>assistant<|sep|><|open|>think<|sep|><|close|>think<|sep|>"
                "<|open|>response<|sep|>{{ m.content }}<|close|>response<|sep|>"
                "<|close|>message<|sep|><|end_of_msg|>"
            ),
            "<|open|>assistant<|sep|><|open|>think<|sep|>",
        ),
        "<|open|> <|close|> <|sep|> <|end_of_msg|>",
        "<|end_of_msg|>",
    ),
    "Magistral, which prefills [THINK]": (
        turns("[INST]{{ m.content }}[/INST]", "{{ m.content }}{{ eos_token }}", "[THINK]"),
        "[INST] [/INST] [THINK] [/THINK]",
        "<|eos|>",
    ),
    "Mistral and Llama 2": (
        turns(
            "{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}",
            "{{ ' ' + m.content + ' ' + eos_token }}",
        ),
        "[INST] [/INST]",
        "<|eos|>",
    ),
    "Command A, which prefills <|START_RESPONSE|>": (
        turns(
            "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>{{ m.content }}<|END_OF_TURN_TOKEN|>",
            (
                "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>{{ m.content "
                "}}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"
            ),
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>",
        ),
        (
            "<|START_OF_TURN_TOKEN|> <|USER_TOKEN|> <|CHATBOT_TOKEN|> <|START_RESPONSE|> "
            "<|END_RESPONSE|> <|END_OF_TURN_TOKEN|>"
        ),
        "<|END_RESPONSE|>",
    ),
    "Llama 3": (
        turns(
            "<|start_header_id|>user<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        "<|start_header_id|> <|end_header_id|> <|eot_id|>",
        "<|eot_id|>",
    ),
    "Gemma": (
        turns(
            "<start_of_turn>user\n{{ m.content | trim }}<end_of_turn>\n",
            "<start_of_turn>model\n{{ m.content | trim }}<end_of_turn>\n",
            "<start_of_turn>model\n",
        ),
        "<start_of_turn> <end_of_turn>",
        "<end_of_turn>",
    ),
    "Phi 3, which closes a conversation with the end of text": (
        turns("<|user|>\n{{ m.content }}<|end|>\n", "<|assistant|>\n{{ m.content }}<|end|>\n")
        + "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
        "",
        "<|end|>",
    ),
    "DeepSeek 3": (
        turns(
            "<｜User｜>{{ m.content }}",
            "<｜Assistant｜>{{ m.content }}<｜end▁of▁sentence｜>",
            "<｜Assistant｜>",
        ),
        "<｜User｜> <｜Assistant｜> <｜end▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
    ),
    "Granite": (
        turns(
            "<|start_of_role|>user<|end_of_role|>{{ m.content }}<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>{{ m.content }}<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>",
        ),
        "<|start_of_role|> <|end_of_role|> <|end_of_text|>",
        "<|end_of_text|>",
    ),
    "OLMo 2 and Tulu": (
        turns(
            "<|user|>\n{{ m.content }}\n",
            "<|assistant|>\n{{ m.content }}{{ eos_token if loop.last else eos_token + '\n' }}",
        ),
        "",
        "<|eos|>",
    ),
    "GLM 4, whose turns end where the next begins": (
        turns("<|user|>\n{{ m.content }}", "<|assistant|>\n{{ m.content }}", "<|assistant|>"),
        "",
        "<|user|>",
    ),
    "a line break before the end": (
        turns("<|user|>{{ m.content }}", "<|assistant|>{{ m.content }}\n<|end|>"),
        "",
        "<|end|>",
    ),
    "an answer in parts": (
        turns(
            "<|user|>{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}<|end|>",
            (
                "<|assistant|>{% for p in m.content if p.type == 'text' %}{{ p.text }}{% "
                "endfor %}<|end|>"
            ),
            "<|assistant|>",
        ),
        "",
        "<|end|>",
    ),
    "BOS before every turn": (
        turns(
            "{{ bos_token }}<|user|>{{ m.content }}<|end|>",
            "{{ bos_token }}<|assistant|>{{ m.content }}<|end|>",
        ),
        "",
        "<|end|>",
    ),
}


def tokenizer_with(template: str, special: str = ""):
    """A tokenizer of its own with these special tokens and this template."""
    import copy

    tok = copy.deepcopy(tokenizer())
    tok.add_tokens(
        [AddedToken(t, special=True, normalized=False) for t in special.split()],
        special_tokens=True,
    )
    tok.chat_template = template
    return tok


@pytest.mark.parametrize("name", FAMILIES)
def test_the_end_of_turn_stands_behind_the_assistants_words(name):
    template, special, end = FAMILIES[name]
    tok = tokenizer_with(template, special)
    assert tok.convert_ids_to_tokens(end_of_turn(tok)) == end


def test_an_end_that_is_an_ordinary_added_token_is_seen():
    """fine-tunes that added <|im_end|> with tokenizer.add_tokens: no special
    token, but one token."""
    tok = tokenizer_with(CHATML)
    tok.add_tokens(["<|im_start|>", "<|im_end|>"])
    assert not tok.added_tokens_decoder[tok.convert_tokens_to_ids("<|im_end|>")].special
    assert end_of_turn(tok) == tok.convert_tokens_to_ids("<|im_end|>")


def test_an_end_that_is_several_tokens_is_a_text():
    end = find_end(tokenizer_with(CHATML))
    assert end.id is None and end.text == "<|im_end|>"
    # prose that would end any sentence
    assert find_end(tokenizer_with(turns("{{ m.content }}", "{{ m.content }}.\n"))).text is None


def test_tokens_of_white_space_end_nothing():
    """Gemma and GPT-NeoX have added tokens of line breaks and spaces."""
    tok = tokenizer_with(
        turns("<|user|>{{ m.content }}\n", "<|assistant|>{{ m.content }}\n\n<|end|>\n")
    )
    tok.add_tokens(["\n\n", "\n"])
    assert end_of_turn(tok) == tok.convert_tokens_to_ids("<|end|>")


def test_templates_without_a_generation_prompt_are_known():
    assert find_end(tokenizer_with(TEMPLATE)).opens
    assert not find_end(tokenizer_with(CHATML, "<|im_start|> <|im_end|>")).opens
    # nothing stands before an answer
    assert find_end(tokenizer_with(*FAMILIES["Mistral and Llama 2"][:2])).opens
    assert find_end(tokenizer_with(*FAMILIES["chatml that always opens an answer"][:2])).opens


def test_what_cannot_be_rendered_has_no_end():
    for template in (
        None,
        "{{ raise_exception('no') }}",
        "{% if %}",
        "{{ messages[0]['content'] }}",
    ):
        assert end_of_turn(tokenizer_with(template)) is None


def test_a_template_that_needs_a_system_text_has_its_end():
    tok = tokenizer()
    own, tok.chat_template = (
        tok.chat_template,
        "{% if messages[0].role != 'system' %}{{ raise_exception('no system text') }}{% endif %}"
        + TEMPLATE,
    )
    try:
        assert end_of_turn(tok) == tok.convert_tokens_to_ids("<|end|>")
    finally:
        tok.chat_template = own
