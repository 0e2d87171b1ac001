"""An option that nothing reads in the chosen mode is refused, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from veneer.foundation.invocation import noted_options, was_typed
from veneer.head.config import PaperRecipe
from veneer.models.language_model import LanguageModel

PAIR = "--base lab:base --aligned lab:aligned"
CAPTURE = f"capture {PAIR} --prompts lab-sums --limit 6"
STORED = "capture --base lab:base --prompts sums.txt --responses answers.jsonl"
GENERATE = "generate --model lab:base --prompts sums.txt"
RESTORE = f"restore --compromised lab:compromised {PAIR} --limit 12"
OWN = "restore --compromised lab:compromised --aligned lab:aligned --limit 12 --ways own"
JUDGE = "judge answers.jsonl --prompts sums.txt --judge refusal"
COMPARE = "judge --compare answers.jsonl answers.jsonl"
DIVERSITY = f"diversity {PAIR} --prompts sums.txt"
DIVERSE = "diversity --responses base=answers.jsonl"
RECOVERY = f"recover {PAIR} --prompts sums.txt --variants urial --measures lexical"
OVERTON = "overton --viewpoints example --responses base=answers.jsonl --embedding-threshold 0.5"
TRANSFER = "transfer --large lab:large-base --base lab:base --tasks lab-sums"
WITH = f"{TRANSFER} --veneer nowhere"
URL = "--judge-url http://localhost:1/v1 --judge-model x"
RUN = f"run {PAIR} --tasks lab-sums"
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
    (STORED, "--aligned-plain", "without --aligned"),
    (GENERATE, "--top-k 5", "at temperature 0"),
    (GENERATE, "--system hi", "without --chat"),
    (GENERATE, "--timeout 5", "without --url"),
    ("merge nowhere --base lab:base", "--public", "without --push-to-hub"),
    (OWN, "--responses answers.jsonl", "with --ways own"),
    (OWN, "--veneer nowhere", "with --ways own"),
    (OWN, "--schedules 1@10", "with --ways own"),
    (f"{RESTORE} --ways urial".replace("--base lab:base ", ""), "--ranks 4", "with --ways urial"),
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
    (JUDGE, "--judge-local lab:aligned", "without a judge that asks a model"),
    (JUDGE, URL, "without a judge that asks a model"),
    (JUDGE, "--toxicity-model stand-in", "without a judge of toxicity"),
    (JUDGE, "--judge-timeout 5", "without --judge-url"),
    (JUDGE, "--judge-cache kept", "without a judge model"),
    (JUDGE, "--device cpu", "without --judge-local"),
    (JUDGE, "--batch-size 8", "without --judge-local"),
    (JUDGE, "--split train", "without a task"),
    (JUDGE, "--data data", "without the name of a task"),
    (COMPARE, "", "--out is given without files of answers"),
    ("label answers.jsonl", "--column x", "without --task or --prompts"),
    (RUN, URL, "without a judge that asks a model"),
    *(
        (command, "--revision main", "with models that are not from the hub (lab:")
        for command in (
            *(RUN, CAPTURE, GENERATE, OWN, AUDIT, COMPLEXITY, CURVE, TRANSFER, DIVERSITY, RECOVERY),
            *(f"depth {PAIR}", "leak --model lab:aligned --examples lab-sums"),
            *(f"lm-eval {PAIR} --tasks gsm8k", "merge nowhere --base lab:base"),
        )
    ),
    (RUN, "--judge-concurrency 2", "without --judge-url"),
    (RUN, "--toxicity-model stand-in", "without a judge of toxicity"),
    (
        f"depth {PAIR} --harmful sums.txt --harmless safe.txt --target Yes",
        "--data data",
        "without the name",
    ),
    (DIVERSITY, "--drop-empty", "without --responses"),
    (DIVERSITY, "--aspect clarity", "without judgements of quality"),
    (DIVERSITY, "--threshold 3", "without judgements of quality"),
    (DIVERSITY, "--judge-for stance", "without a judge model"),
    (DIVERSITY, "--toxicity-model stand-in", "without a judge of toxicity"),
    (DIVERSE, "--samples 3", "with stored answers"),
    (DIVERSE, "--veneer nowhere", "with stored answers"),
    (DIVERSE, "--base-format query", "with stored answers"),
    (DIVERSE, "--device cpu", "with stored answers"),
    (DIVERSE, "--column x", "without --prompts"),
    (RECOVER, "--device cpu", "with stored answers"),
    (RECOVERY, "--own-summaries", "without a summary variant"),
    (RECOVERY, "--format jsonl", "without stored answers"),
    (RECOVERY, "--embedder minilm", "without a measure or a variant that embeds"),
    (RECOVERY, "--judge-local lab:aligned", "without a judge that asks a model"),
    (f"{RECOVERY} --absolute-margin 1", "--margin 0.2", "with --absolute-margin"),
    (OVERTON, "--rating 3", "with --embedding-threshold"),
    (OVERTON, "--judge-retries 3", "without --judge-url"),
    (WITH, "--rank 4", "with --veneer"),
    (WITH, "--train 9", "without --large-aligned"),
    (WITH, "--k 9", "without --large-aligned"),
    (WITH, "--aligned-plain", "without --aligned and --large-aligned"),
    (WITH, "--system hi", "without --aligned and --large-aligned"),
    ("merge nowhere --base lab:base --lora", "--max-shard-size 1GB", "with --lora"),
    ("import bert.json --format bertscore", "--keep-empty", "with --format bertscore"),
    (GENERATE, "--split train", "without a task"),
    ("generate --model lab:base --prompts lab-sums", "--column x", "with a task"),
    (f"{GENERATE} --chat", "--base-template qa", "both --chat and --base-template"),
    (f"{GENERATE} --url http://localhost:1/v1", "--dtype float32", "with --url"),
    ("capture --base lab:base --teacher x --prompts sums.txt", "--system hi", "--teacher"),
    ("extract nowhere", "--epochs 5", "without --solver paper"),
    ("extract nowhere --solver paper", "--ridge 1", "with --solver paper"),
    ("extract nowhere --solver paper", "--output hidden", "with --solver paper"),
    ("extract nowhere --output hidden", "--row-threshold 0.1", "with --output hidden"),
    (OWN, "--base lab:base", "with --ways own"),
    (f"{RESTORE} --ways shifted", "--no-merge", "with --ways shifted"),
    (f"{RESTORE} --ways shifted --veneer nowhere", "--capture nowhere", "and --veneer"),
    (f"{AUDIT} --samples 0", "--plausible 0.1", "with --samples 0"),
    (f"{COMPLEXITY} --programs text", "--no-controls", "without head in --programs"),
    (CURVE, "--base-template qa", "without --veneers"),
    ("demo", "--revision main", "with the embedded models"),
    # the value that it has anyway counts too: it is typed
    (CAPTURE, "--top-p 1", "at temperature 0"),
    (RUN, "--judge-timeout 120", "without --judge-url"),
]


@pytest.mark.parametrize(("command", "option", "where"), CASES)
def test_it_is_named_with_its_mode(command, option, where, veneer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sums.txt").write_text("".join(f"Question {i}?\n" for i in range(6)))
    Path("safe.txt").write_text("A word?\nTwo words?\n")
    row = '{"prompt_id": "1", "sample_id": 0, "system": "x", "text": "hi", "token_ids": [1]'
    Path("answers.jsonl").write_text(row + ', "finish_reason": "stop", "seed": 0}\n')
    monkeypatch.setattr(LanguageModel, "__init__", lambda *_: pytest.fail("a model was loaded"))
    done = veneer(*command.split(), *option.split(), "--out", "out")
    assert done.code == 2 and where in done.err
    assert done.err.strip().splitlines()[-1].startswith("veneer: error: ")
    assert (option or "--out").split()[0] in done.err or "--model" in done.err
    assert [p.name for p in Path().glob("out/**/*")] in ([], [".lock"])


NO_OUT = [
    (COMPARE, "--judge-timeout 5", "without files of answers"),
    (COMPARE, "--task lab-sums", "without files of answers"),
    (COMPARE, "--device cpu", "without files of answers"),
    ("tasks", "-n 3", "without show NAME"),
    ("tasks show lab-sums", "--dtype float32", "without --aligned"),
    ("tasks show lab-sums --aligned lab:aligned", "--revision main", "not from the hub"),
    ("serve --model lab:base --port 0", "--revision main", "not from the hub"),
    ("serve --aligned lab:aligned --port 0", "--chat", "without --model"),
    ("serve --model lab:base --chat --port 0", "--join-turns", "without a system that reads plain"),
    ("chat nowhere", "--port 8001", "without --web"),
]


@pytest.mark.parametrize(("command", "option", "where"), NO_OUT)
def test_it_is_named_by_commands_that_write_nothing(command, option, where, veneer):
    done = veneer(*command.split(), *option.split())
    assert done.code == 2 and where in done.err


def test_a_default_in_a_config_file_is_no_option_that_was_typed(veneer, tmp_path):
    """One file may serve several modes as long as it changes nothing in them."""
    (tmp_path / "mine.yaml").write_text("top-p: 1\ntemperature: 0\n")
    words = ["--model", "lab:base", "--prompts", "lab-sums", "--limit", "1"]
    out = tmp_path / "answers.jsonl"
    done = veneer("generate", *words, "--config", tmp_path / "mine.yaml", "--out", out)
    assert done.code == 0, done.err


def test_what_one_command_was_given_is_not_held_against_the_next(veneer, tmp_path):
    """Python runs two commands in one process: the second one says nothing of --epochs."""
    capture = tmp_path / "capture"
    made = veneer(*CAPTURE.split(), "--max-new-tokens", 4, "--out", capture)
    assert made.code == 0, made.err
    paper = ("--solver", "paper", "--epochs", 1)
    theirs = veneer("extract", capture, *paper, "--out", tmp_path / "theirs")
    assert theirs.code == 0, theirs.err
    assert not noted_options() and not was_typed(PaperRecipe, "epochs")
    ours = veneer("extract", capture, "--out", tmp_path / "ours")
    assert ours.code == 0, ours.err
