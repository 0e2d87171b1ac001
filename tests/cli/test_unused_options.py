"""An option that nothing reads in the chosen mode is refused, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from veneer.models.language_model import LanguageModel

PAIR = "--base lab:base --aligned lab:aligned"
CAPTURE = f"capture {PAIR} --prompts lab-sums --limit 6"
STORED = "capture --base lab:base --prompts sums.txt --responses answers.jsonl"
GENERATE = "generate --model lab:base --prompts sums.txt"
RESTORE = f"restore --compromised lab:compromised {PAIR} --limit 12"
AUDIT = "audit lab:aligned lab:compromised --limit 4"
COMPLEXITY = f"complexity {PAIR} --tasks lab-sums --limit 6"
CURVE = "curve --base lab:base --tasks lab-sums --limit 6"
RECOVER = "recover --teacher answers.jsonl --responses base=answers.jsonl"
CASES = [
    (f"run {PAIR} --tasks lab-sums --aligned-plain", "--system hi", "--aligned-plain"),
    (f"run {PAIR} --tasks lab-sums --published", "--max-new-tokens 64", "with --published"),
    (f"run {PAIR} --tasks lab-sums", "--workers 4", "without --engine ray"),
    ("extract nowhere", "--workers 4", "without --engine ray"),
    (f"depth {PAIR} --aligned-plain", "--system hi", "--aligned-plain"),
    (f"{AUDIT} --plain", "--system hi", "--plain"),
    (CAPTURE, "--format json", "without --responses"),
    (CAPTURE, "--top-logprobs 5", "without --teacher-url"),
    (CAPTURE, "--teacher-timeout 5", "without --teacher-url"),
    (CAPTURE, "--workers 4", "without --engine ray"),
    (CAPTURE, "--top-p 0.5", "at temperature 0"),
    (STORED, "--temperature 0.7", "with --responses"),
    (STORED, "--system hi", "--responses"),
    (STORED, "--aligned-plain", "with --responses"),
    (GENERATE, "--top-k 5", "at temperature 0"),
    (GENERATE, "--system hi", "no --chat"),
    (GENERATE, "--timeout 5", "without --url"),
    ("merge nowhere --base lab:base", "--public", "without --push-to-hub"),
    (f"{RESTORE} --ways own", "--responses answers.jsonl", "with --ways own"),
    (f"{RESTORE} --ways own", "--veneer nowhere", "with --ways own"),
    (f"{RESTORE} --ways own", "--schedules 1@10", "with --ways own"),
    (f"{RESTORE} --ways urial", "--ranks 4", "with --ways urial"),
    (f"{AUDIT} --texts 0", "--reference-text sums.txt", "with --texts 0"),
    (f"{AUDIT} --samples 0", "--amplify 1", "with --samples 0"),
    (f"{AUDIT} --patched-prompts 0", "--patch-steps 3", "with --patched-prompts 0"),
    (f"{COMPLEXITY} --programs text", "--ranks 4", "without head in --programs"),
    (f"{COMPLEXITY} --programs head", "--epochs 3", "without lora or data in --programs"),
    (CURVE, "--aligned lab:aligned", "without --teach aligned"),
    (f"{CURVE} --method full", "--rank 4", "with --method full"),
    (CURVE, "--k 5", "without --veneers"),
    (RECOVER, "--samples 3", "with stored answers"),
    (RECOVER, "--system hi", "with stored answers"),
    ("leak --model lab:aligned --examples lab-sums", "--likelihoods 5", "without --base"),
    ("leak --model lab:aligned --examples lab-sums", "--base lab:aligned", "two models"),
]


@pytest.mark.parametrize(("command", "option", "where"), CASES)
def test_it_is_named_with_its_mode(command, option, where, veneer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sums.txt").write_text("".join(f"Question {i}?\n" for i in range(6)))
    row = '{"prompt_id": "1", "sample_id": 0, "system": "x", "text": "hi", "token_ids": [1]'
    Path("answers.jsonl").write_text(row + ', "finish_reason": "stop", "seed": 0}\n')
    monkeypatch.setattr(LanguageModel, "__init__", lambda *_: pytest.fail("a model was loaded"))
    done = veneer(*command.split(), *option.split(), "--out", "out")
    assert done.code == 2 and where in done.err
    assert option.split()[0] in done.err or "--model" in done.err
    assert [p.name for p in Path().glob("out/**/*")] in ([], [".lock"])
