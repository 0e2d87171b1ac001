"""A capture as the teacher of another: the same targets as if the aligned model had
been asked again."""

from __future__ import annotations

import pytest
import torch

from pairs import chat_pair, prompts
from tiny import tiny, tokenizer
from veneer.capture import CaptureConfig, capture
from veneer.capture.run import capture_from
from veneer.capture.teachers.from_capture import CapturedTeacher
from veneer.foundation.errors import InputError
from veneer.models.decode import Sampling
from veneer.models.formats import ChatFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair

CONFIG = CaptureConfig(k=8, batch_size=4, sampling=Sampling(10))
EVERY = (
    "prompt",
    "position",
    "token",
    "hidden",
    "aligned_ids",
    "aligned_logprobs",
    "aligned_tail",
    "base_logz",
    "base_at_aligned",
)


def columns(capture, name):
    """By prompt id, so that another plan makes no difference."""
    values = {}
    for block in capture.blocks((name, "prompt", "position")):
        for i, (n, position) in enumerate(
            zip(block["prompt"].tolist(), block["position"].tolist(), strict=True)
        ):
            values[capture.prompts[n]["id"], position] = block[name][i]
    return values


def test_another_base_learns_the_same_targets(tmp_path):
    pair, other = chat_pair(), tiny("qwen2", seed=11)
    questions = prompts(11)
    source = capture(pair, questions, tmp_path / "source", CONFIG)
    direct = capture(
        Pair(other, pair.aligned, ChatFormat(), ChatFormat()),
        questions,
        tmp_path / "direct",
        CONFIG,
    )
    teacher = CapturedTeacher(source, other)
    read = capture_from(
        other, teacher, questions, tmp_path / "read", CONFIG, base_format=ChatFormat()
    )
    assert read.tokens == direct.tokens and set(direct.manifest["stop_ids"]) == set(
        read.manifest["stop_ids"]
    )
    for name in EVERY[2:]:
        a, b = columns(direct, name), columns(read, name)
        assert a.keys() == b.keys()
        assert all(torch.allclose(a[k].double(), b[k].double(), atol=2e-4) for k in a), name
    texts = [{r["prompt_id"]: r["token_ids"] for r in t.responses()} for t in (direct, read)]
    assert texts[0] == texts[1]
    assert teacher.name == pair.aligned.name and teacher.longest() is None and teacher.models == ()


def test_shorter_answers_and_fewer_prompts(tmp_path):
    pair, other = chat_pair(), tiny("llama", seed=11)
    source = capture(pair, prompts(6), tmp_path / "source", CONFIG)
    teacher = CapturedTeacher(source, other)
    assert [p.id for p in teacher.answers(prompts(9))] == [p.id for p in prompts(6)]
    decoded, seen = teacher.answer(prompts(3), ["a", "b", "c"], CaptureConfig(sampling=Sampling(4)))
    assert all(
        len(d.token_ids) <= 4 and len(s.ids) == len(d.token_ids)
        for d, s in zip(decoded, seen, strict=True)
    )
    with pytest.raises(InputError, match="has no answer to prompt 'p6'"):
        teacher.inputs(prompts(9))


def test_a_capture_of_another_vocabulary(tmp_path):
    source = capture(chat_pair(), prompts(4), tmp_path / "source", CONFIG)
    foreign = LanguageModel("foreign", tiny().model, tokenizer(("<|more|>",)))
    with pytest.raises(InputError, match="another vocabulary"):
        CapturedTeacher(source, foreign)
