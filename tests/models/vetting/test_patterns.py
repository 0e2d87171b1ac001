"""Expressions that backtrack are found by their shape and shown by a trial; those of tokenizers in
use pass."""

from __future__ import annotations

import pytest

from veneer.models.vetting.patterns import (
    is_risky,
    least_width,
    matches_in_time,
    splits_in_time,
)

# as the tokenizers of GPT-2, Llama 3, Qwen 2, GPT-4o, DeepSeek 3 and BLOOM have them
IN_USE = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
]
HOSTILE = [
    r"^(([a-zA-Z :?]+)+)+\d\d\d$",
    r"(?:a|\w|[a-z ])*[$]",
    r"^\w*\w*\w*\w*\w*\w*\w*[$]",
    r"(\p{L}+)*\p{N}\p{N}#",
]


@pytest.mark.parametrize("pattern", IN_USE)
def test_expressions_in_use_need_no_trial(pattern):
    assert not is_risky(pattern)


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_ones_are_tried_and_fail(pattern):
    assert is_risky(pattern) and not splits_in_time(pattern)


def test_a_harmless_nest_passes_its_trial():
    """As EXAONE splits line ends: its shape looks bad, but it takes no time."""
    pattern = r"(?:\r?\n)+(?!\r?\n)|(?:\r?\n)+"
    assert is_risky(pattern) and splits_in_time(pattern)


def test_expressions_over_names():
    names = ["model.embed_tokens", "model.layers.gate.self_attn.rotary_embedding"]
    assert not matches_in_time("(([a-z._]+)+)+#", names)
    assert matches_in_time(r".*\.(embed|rotary)_\w+", names)


def test_the_least_width():
    assert [least_width(p) for p in ("a", "a{3}b?", r"\s*", r"\p{N}{2}", "((")] == [1, 3, 0, 2, 0]
