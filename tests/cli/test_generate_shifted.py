"""veneer generate --large, and the options of sampling."""

from __future__ import annotations

import pytest

from veneer.foundation.files import read_json
from veneer.head.veneer import Veneer
from veneer.lab import lab_prompts
from veneer.models.load import load_model
from veneer.models.sampling import Sampling
from veneer.systems import read_responses
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem

SHIFT = (
    "generate",
    "--model",
    "lab:base",
    "--large",
    "lab:large-base",
    "--prompts",
    "lab-requests",
    "--limit",
    "6",
)


@pytest.mark.parametrize(
    ("options", "alpha", "how"),
    [
        ((), "1", Sampling(16)),
        (
            (
                "--alpha",
                "1.5>0.5@8",
                "--temperature",
                "1",
                "--top-k",
                "20",
                "--min-p",
                "0.02",
                "--seed",
                "3",
            ),
            "1.5>0.5@8",
            Sampling(16, 1.0, seed=3, top_k=20, min_p=0.02),
        ),
        (
            (
                "--alpha",
                "0.5",
                "--repetition-penalty",
                "1.2",
                "--presence-penalty",
                "0.1",
                "--frequency-penalty",
                "0.1",
                "--min-new-tokens",
                "3",
            ),
            "0.5",
            Sampling(
                16,
                repetition_penalty=1.2,
                presence_penalty=0.1,
                frequency_penalty=0.1,
                min_new_tokens=3,
            ),
        ),
    ],
)
def test_it_is_the_shifted_system(options, alpha, how, veneer, extracted, tmp_path):
    out = tmp_path / "o.jsonl"
    command = (*SHIFT, "--veneer", extracted, "--max-new-tokens", 16, *options, "--out", out)
    result = veneer(*command)
    assert result.code == 0 and "6 answers" in result.out
    system = ShiftedSystem.of_models(
        load_model("lab:large-base"), load_model("lab:base"), Veneer.load(extracted), alpha=alpha
    )
    expected = respond(system, list(lab_prompts("lab-requests", "test"))[:6], how)
    assert read_responses(out) == expected and {r.system for r in expected} == {f"shifted-{alpha}"}
    facts = read_json(tmp_path / "o.jsonl.manifest.json", "the settings")
    assert (
        facts["system"]["alpha"] == alpha
        and facts["system"]["veneer"] == Veneer.load(extracted).identity()
    )
    before = out.stat().st_mtime_ns
    assert veneer(*command).code == 0 and out.stat().st_mtime_ns == before
    assert veneer(*command[:-4], "--alpha", "2", "--out", out).code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--alpha", "1@"), "alpha is '1@'"),
        (("--alpha", "1~0"), "half-life"),
        (("--large", "nowhere/at/all"), "there is no folder"),
        (("--top-k", "-1"), "--top-k is -1"),
        (("--min-p", "2"), "--min-p is 2"),
        (("--min-new-tokens", "900"), "--min-new-tokens is 900"),
        (("--repetition-penalty", "0"), "--repetition-penalty is 0"),
    ],
)
def test_bad_input_is_one_sentence(options, words, veneer, extracted, tmp_path):
    result = veneer(*SHIFT, "--veneer", extracted, *options, "--out", tmp_path / "o.jsonl")
    assert (
        result.code == 2 and words in result.err.splitlines()[-1] and not list(tmp_path.iterdir())
    )


def test_large_needs_a_veneer_and_a_schedule_needs_large(veneer, extracted, tmp_path):
    out = ("--out", tmp_path / "o.jsonl")
    assert "--large without --veneer" in veneer(*SHIFT, *out).err
    alone = ("generate", "--model", "lab:base", "--veneer", extracted, "--prompts", "lab-requests")
    result = veneer(*alone, "--alpha", "1@4", *out)
    assert (
        result.code == 2
        and "--alpha 1@4 without --large" in result.err
        and not list(tmp_path.iterdir())
    )
