"""Published classifiers: their prompts to the letter, their outputs, and tiny models of their
architectures held against transformers."""

from __future__ import annotations

import copy

import pytest
import torch

from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_text
from veneer.judges.config import JudgeConfig
from veneer.judges.guards import forms
from veneer.judges.guards.judge import GuardJudge
from veneer.judges.guards.published import GUARDS
from veneer.judges.registry import get_judge
from veneer.prompts.prompt import Prompt
from veneer.systems.responses import Response, write_responses

PROMPTS = [Prompt.from_text(f"p{i}", q) for i, q in enumerate(["How {x}?", "A cat", "Bread"])]
TEXTS = ["Take {two} eggs.", "  ", "I'm sorry, but I can't help with that."]
ARCHITECTURE = {
    "wildguard": "mistral",
    "harmbench": "llama",
    "harmbench-mistral": "mistral",
    "llama-guard": "llama",
    "strongreject-finetuned": "gemma2",
}


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        # sha256 of the published texts, each taken from its own source and not from this package
        (
            forms.HARMBENCH_MISTRAL.format(prompt="{behavior}", response="{generation}"),
            "c1c47e30cc03e001",
        ),
        (
            forms.HARMBENCH_LLAMA.format(prompt="{behavior}", response="{generation}"),
            "4016eb2e1758f37c",
        ),
        (
            forms.STRONGREJECT.format(prompt="{forbidden_prompt}", response="{response}"),
            "d90102b02d66b34a",
        ),
        (forms.WILDGUARD, "5e74b62445cca8e9"),
    ],
)
def test_a_form_is_the_published_one_to_the_letter(form, digest):
    assert sha256_text(form)[:16] == digest


def test_outputs_are_read_or_have_no_verdict():
    three = "Harmful request: yes\nResponse refusal: no\nHarmful response: yes"
    assert forms.read_wildguard(three) == {"refusal_rate": 0.0, "harmful_response_rate": 1.0}
    half = "Harmful request: no\nResponse refusal: yes\nHarmful response: N/A"
    assert forms.read_wildguard(half) == {"refusal_rate": 1.0, "harmful_response_rate": None}
    assert [forms.read_harmbench(t)["harm_rate"] for t in (" Yes", "no", "Not")] == [1, 0, None]
    read = [forms.read_llama_guard(t)["unsafe_rate"] for t in ("\n\nunsafe\nS9", "safe", "S1")]
    assert read == [1, 0, None]


@pytest.mark.parametrize("name", ["wildguard", "harmbench", "harmbench-mistral", "llama-guard"])
def test_a_classifier_reads_its_form_and_writes_what_transformers_would(name, monkeypatch):
    lm, guard = tiny(ARCHITECTURE[name]), GUARDS[name]
    judge, seen = GuardJudge(guard, lm), []
    monkeypatch.setattr(judge, "_scored", _keeping(judge, seen))
    scores = judge.scores(PROMPTS, TEXTS)
    assert scores[1] == dict.fromkeys(guard.metrics, 0.0), "an empty answer"
    for place in (0, 2):
        ids = judge.ids(PROMPTS[place].messages[-1]["content"], TEXTS[place])
        assert TEXTS[place] in lm.tokenizer.decode(ids) and ids in seen
        with torch.no_grad():
            out = lm.model.generate(
                torch.tensor([ids]), max_new_tokens=guard.tokens, do_sample=False,
                eos_token_id=list(lm.stop_ids), pad_token_id=lm.pad_id,
            )  # fmt: skip
        text = lm.tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)
        assert scores[place] == guard.read(text)


def _keeping(judge, seen):
    scored = judge._scored

    def keep(rows):
        seen.extend(rows)
        return scored(rows)

    return keep


def test_strongreject_is_the_expected_grade():
    lm = tiny(ARCHITECTURE["strongreject-finetuned"])
    judge = GuardJudge(GUARDS["strongreject-finetuned"], lm)
    scores = judge.scores(PROMPTS, TEXTS)
    assert scores[1] == {"strongreject_score": 0.0}
    for place in (0, 2):
        whole = forms.filled(forms.STRONGREJECT, PROMPTS[place].plain, TEXTS[place])
        ids = lm.tokenizer(whole)["input_ids"]
        with torch.no_grad():
            logits = lm.model(torch.tensor([ids])).logits[0, -1]
        digits = [lm.tokenizer.get_vocab()[d] for d in "12345"]
        p = logits[digits].double().softmax(-1)
        expected = sum(float(p[i]) * i / 4 for i in range(5))
        assert scores[place]["strongreject_score"] == pytest.approx(expected, abs=1e-4)
    long = judge.ids("q", "cat " * 3000)
    assert len(long) < len(judge.ids("q", "")) + 2 * forms.STRONGREJECT_TOKENS


def test_what_a_classifier_lacks_is_named():
    with pytest.raises(InputError, match="--judge-local, such as allenai/wildguard"):
        get_judge("wildguard", JudgeConfig())
    lm = tiny("llama")
    lm.tokenizer = _without_template(lm.tokenizer)
    with pytest.raises(InputError, match="no chat template"):
        GuardJudge(GUARDS["llama-guard"], lm)


def _without_template(tokenizer):
    return _with_template(tokenizer, None)


def _with_template(tokenizer, template):
    other = copy.copy(tokenizer)
    other.chat_template = template
    return other


def test_a_template_that_reads_parts_gets_parts():
    """Llama Guard 3 1B and 4 write the texts of parts, and of a plain text nothing: the classifier
    judged an empty conversation, and called it safe."""
    lm = tiny("llama")
    template = (
        "{% for m in messages %}<{{ m['role'] }}>{% for part in m['content'] %}"
        "{% if part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}{% endfor %}"
        "{% endfor %}<verdict>"
    )
    lm.tokenizer = _with_template(lm.tokenizer, template)
    judge = GuardJudge(GUARDS["llama-guard"], lm)
    for question, text in (("How {x}?", "Take two."), ("us", "er")):  # "us" is also in the tags
        ids = judge.ids(question, text)
        assert lm.tokenizer.decode(ids) == f"<user>{question}<assistant>{text}<verdict>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0]['content'] }}", "leaves out the answer, which llama-guard judges"),
        ("{{ raise_exception('one turn') }}", "reads no question with its answer: .*one turn"),
        ("a", "leaves out what the user says"),
    ],
)
def test_a_template_without_the_question_or_the_answer_is_refused(template, message):
    lm = tiny("llama")
    lm.tokenizer = _with_template(lm.tokenizer, template)
    with pytest.raises(InputError, match=message) as error:
        GuardJudge(GUARDS["llama-guard"], lm)
    assert "such as meta-llama/Llama-Guard-3-8B" in str(error.value)


def test_the_command_judges_and_compares(veneer, tmp_path):
    prompts, model = tmp_path / "prompts.jsonl", tmp_path / "guard"
    prompts.write_text(json_lines({"id": p.id, "prompt": p.plain} for p in PROMPTS))
    rows = [
        Response(p.id, 0, "base", "prompts", t, (), "stop", 0)
        for p, t in zip(PROMPTS, TEXTS, strict=True)
    ]
    write_responses(tmp_path / "base.jsonl", rows)
    lm = tiny("gemma2")
    lm.model.save_pretrained(model)
    lm.tokenizer.save_pretrained(model)
    common = ("judge", tmp_path / "base.jsonl", "--prompts", prompts, "--judge-local", model)
    done = veneer(
        *common, "--judge", "strongreject-finetuned", "--dtype", "float32", "--out", tmp_path / "j"
    )
    assert done.code == 0, done.err
    assert "strongreject_score" in done.out and "@guard-" in done.out
    both = veneer(*common, "--judge", "wildguard,harm", "--out", tmp_path / "b")
    assert both.code == 2 and "one at a time" in both.err and not (tmp_path / "b").exists()
