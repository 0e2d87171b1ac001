"""Bad input: exit code 2, one sentence that says what was found and what to do, no traceback,
nothing written."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from killing import wait_for
from tiny import tiny, tokenizer
from veneer.capture import Capture
from veneer.cli.main import COMMANDS, main

PAIR = "--base lab:base --aligned lab:aligned"
# id -> (command line, what the sentence must hold); {name} stands for the files of `given`
BAD = {
    "no command": ("", "demo"),
    "unknown command": ("polish --out {out}", "polish"),
    "unknown option": ("demo --shine 3 --out {out}", "--shine"),
    "demo, limit 0": ("demo --limit 0 --out {out}", "0"),
    "demo, limit -1": ("demo --limit -1 --out {out}", "-1"),
    "demo, limit of no number": ("demo --limit many --out {out}", "many"),
    "demo, device": ("demo --limit 6 --device nonsense --out {out}", "nonsense"),
    "demo, dtype": ("demo --limit 6 --dtype float8 --out {out}", "float8"),
    "demo, too few prompts": ("demo --limit 2 --out {out}", "at least 3"),
    "demo, out is a file": ("demo --limit 6 --out {text}", "is a file"),
    "demo, out holds other things": ("demo --limit 6 --out {full}", "not empty"),
    "run, no value": (
        "run --base lab:base --aligned lab:aligned --out {out} --baselines",
        "--baselines has no value; expected one; see veneer run --help",
    ),
    "run, no base": ("run --aligned lab:aligned --tasks lab-sums --out {out}", "--base"),
    "run, no out": (f"run {PAIR} --tasks lab-sums", "--out"),
    "run, no folder of that name": (
        "run --base {none} --aligned lab:aligned --tasks lab-sums --out {out}",
        "there is no folder",
    ),
    "run, folder without a model": (
        "run --base {full} --aligned lab:aligned --tasks lab-sums --out {out}",
        "config.json",
    ),
    "run, no lab model of that name": (
        "run --base lab:basis --aligned lab:aligned --tasks lab-sums --out {out}",
        "lab:basis",
    ),
    "run, unknown task": (f"run {PAIR} --tasks lab-songs --out {{out}}", "lab-songs"),
    "run, task twice": (f"run {PAIR} --tasks lab-sums,lab-sums --out {{out}}", "twice"),
    "run, no task": (f"run {PAIR} --tasks , --out {{out}}", "no task"),
    "run, no data": (f"run {PAIR} --tasks svamp --data {{none}} --out {{out}}", "--data names"),
    "run, data without the task": (f"run {PAIR} --data {{empty}} --out {{out}}", "no task"),
    "run, limit 0": (f"run {PAIR} --tasks lab-sums --limit 0 --out {{out}}", "0"),
    "run, limit -1": (f"run {PAIR} --tasks lab-sums --limit -1 --out {{out}}", "-1"),
    "run, train 0": (f"run {PAIR} --tasks lab-sums --train 0 --out {{out}}", "0"),
    "run, 2 prompts": (f"run {PAIR} --tasks lab-sums --limit 2 --out {{out}}", "at least 3"),
    "run, rank 0": (f"run {PAIR} --tasks lab-sums --rank 0 --out {{out}}", "--rank is 0"),
    "run, k 0": (f"run {PAIR} --tasks lab-sums --k 0 --out {{out}}", "--k is 0"),
    "run, batch size 0": (
        f"run {PAIR} --tasks lab-sums --batch-size 0 --out {{out}}",
        "--batch-size is 0",
    ),
    "run, no new tokens": (
        f"run {PAIR} --tasks lab-sums --max-new-tokens 0 --out {{out}}",
        "--max-new-tokens is 0",
    ),
    "run, tokenizers differ": (
        "run --base {tiny} --aligned {other} --tasks lab-sums --out {out}",
        "differ in 1 tokens",
    ),
    "run, no chat template": (
        "run --base {tiny} --aligned {untalkative} --tasks lab-sums --out {out}",
        "--aligned-plain",
    ),
    "run, template without prompt": (
        f"run {PAIR} --base-template Hello --tasks lab-sums --out {{out}}",
        "{prompt}",
    ),
    "capture, no prompts option": (f"capture {PAIR} --out {{out}}", "--prompts"),
    "capture, neither file nor task": (
        f"capture {PAIR} --prompts {{none}} --out {{out}}",
        "neither a file nor a task",
    ),
    "capture, empty file": (
        f"capture {PAIR} --prompts {{nothing}} --out {{out}}",
        "holds no prompts",
    ),
    "capture, no JSON": (
        f"capture {PAIR} --prompts {{nojson}} --out {{out}}",
        "line 2 is not valid JSON",
    ),
    "capture, no JSON object": (
        f"capture {PAIR} --prompts {{list}} --out {{out}}",
        "line 1 is no JSON object",
    ),
    "capture, no prompt in a line": (
        f"capture {PAIR} --prompts {{neither}} --out {{out}}",
        "line 2 has no prompt",
    ),
    "capture, empty prompt": (
        f"capture {PAIR} --prompts {{blank}} --out {{out}}",
        "line 1 holds an empty prompt",
    ),
    "capture, id twice": (f"capture {PAIR} --prompts {{twice}} --out {{out}}", "has the id 'a'"),
    "capture, no such column": (
        f"capture {PAIR} --prompts {{csv}} --column title --out {{out}}",
        "no column 'title'",
    ),
    "capture, no column given": (f"capture {PAIR} --prompts {{csv}} --out {{out}}", "--column"),
    "capture, no Parquet": (f"capture {PAIR} --prompts {{parquet}} --out {{out}}", "Parquet"),
    "capture, no UTF-8": (f"capture {PAIR} --prompts {{latin}} --out {{out}}", "UTF-8"),
    "capture, split": (f"capture {PAIR} --prompts lab-sums --split dev --out {{out}}", "dev"),
    "capture, limit 0": (f"capture {PAIR} --prompts lab-sums --limit 0 --out {{out}}", "--limit 0"),
    "capture, temperature -1": (
        f"capture {PAIR} --prompts lab-sums --temperature -1 --out {{out}}",
        "--temperature is -1",
    ),
    "capture, temperature nan": (
        f"capture {PAIR} --prompts lab-sums --temperature nan --out {{out}}",
        "--temperature is nan",
    ),
    "capture, top p 0": (
        f"capture {PAIR} --prompts lab-sums --top-p 0 --out {{out}}",
        "--top-p is 0",
    ),
    "capture, hidden dtype": (
        f"capture {PAIR} --prompts lab-sums --hidden-dtype int8 --out {{out}}",
        "int8",
    ),
    "capture, prompt too long": (
        f"capture {PAIR} --prompts {{long}} --out {{out}}",
        "context holds",
    ),
    "capture, device": (
        f"capture {PAIR} --prompts lab-sums --device nonsense --out {{out}}",
        "nonsense",
    ),
    "capture, out of another": (
        f"capture {PAIR} --prompts lab-sums --limit 4 --out {{capture}}",
        "made with another",
    ),
    "capture, out is a file": (
        f"capture {PAIR} --prompts lab-sums --limit 4 --out {{text}}",
        "is a file",
    ),
    "extract, no capture": ("extract --out {out}", "CAPTURE"),
    "extract, no such folder": ("extract {none} --out {out}", "does not exist"),
    "extract, no capture folder": ("extract {full} --out {out}", "manifest of a capture"),
    "extract, other JSON": ("extract {veneer} --out {out}", "manifest"),
    "extract, damaged shard": (
        "extract {damaged} --out {out}",
        "shard-00000.safetensors is damaged",
    ),
    "extract, unfinished": ("extract {unfinished} --out {out}", "has 0 of 1 shards"),
    "extract, 2 prompts": ("extract {two} --out {out}", "found 2 prompts; expected at least 3"),
    "extract, rank 0": ("extract {capture} --rank 0 --out {out}", "--rank is 0"),
    "extract, ridge": ("extract {capture} --ridge -1 --out {out}", "ridge is -1"),
    "extract, rank with hidden": (
        "extract {capture} --rank 2 --output hidden --out {out}",
        "low-rank",
    ),
    "extract, row threshold": ("extract {capture} --row-threshold 1.5 --out {out}", "1.5"),
    "extract, epochs 0": ("extract {capture} --solver paper --epochs 0 --out {out}", "epochs"),
    "extract, task not there": (
        "extract {capture} --tasks svamp --out {out}",
        "no prompts of svamp",
    ),
    "extract, device": ("extract {capture} --device nonsense --out {out}", "nonsense"),
    "extract, out of another": (
        "extract {capture} --rank 2 --out {veneer}",
        "another configuration",
    ),
    "merge, no veneer": ("merge {none} --base lab:base --out {out}", "does not exist"),
    "merge, no veneer folder": ("merge {capture} --base lab:base --out {out}", "does not exist"),
    "merge, other base": (
        "merge {veneer} --base lab:large-base --out {out}",
        "give the base that it was extracted from",
    ),
    "merge, aligned for base": (
        "merge {veneer} --base lab:aligned --out {out}",
        "belongs to the unembedding",
    ),
    "merge, out in use": ("merge {veneer} --base lab:base --out {full}", "not an empty folder"),
    "merge, alpha": ("merge {veneer} --base lab:base --alpha nan --out {out}", "alpha"),
    "merge, shard size": (
        "merge {veneer} --base lab:base --max-shard-size huge --out {out}",
        "huge",
    ),
    "merge, damaged veneer": (
        "merge {badveneer} --base lab:base --out {out}",
        "veneer.safetensors is damaged",
    ),
    "generate, no model": (
        "generate --model {none} --prompts lab-sums --out {out}",
        "there is no folder",
    ),
    "generate, chat and plain": (
        "generate --model lab:base --prompts lab-sums --chat --plain --out {out}",
        "--chat and --plain",
    ),
    "generate, no veneer": (
        "generate --model lab:base --veneer {none} --prompts lab-sums --out {out}",
        "does not exist",
    ),
    "generate, other base": (
        "generate --model lab:large-base --veneer {veneer} --prompts lab-sums --out {out}",
        "extracted from",
    ),
    "generate, samples alike": (
        "generate --model lab:base --prompts lab-sums --samples 2 --out {out}",
        "--temperature",
    ),
    "generate, samples 0": (
        "generate --model lab:base --prompts lab-sums --samples 0 --out {out}",
        "samples is 0",
    ),
    "generate, batch size 0": (
        "generate --model lab:base --prompts lab-sums --batch-size 0 --out {out}",
        "--batch-size is 0",
    ),
    "generate, temperature -1": (
        "generate --model lab:base --prompts lab-sums --temperature -1 --out {out}",
        "--temperature is -1",
    ),
    "generate, limit -1": (
        "generate --model lab:base --prompts lab-sums --limit -1 --out {out}",
        "--limit -1",
    ),
    "generate, alpha": (
        "generate --model lab:base --veneer {veneer} --alpha nan --prompts lab-sums --out {out}",
        "alpha",
    ),
    "generate, no chat template": (
        "generate --model {untalkative} --chat --prompts lab-sums --out {out}",
        "no chat template",
    ),
    "generate, prompt too long": (
        "generate --model lab:base --prompts {long} --out {out}",
        "context holds",
    ),
    "generate, out of another": (
        "generate --model lab:base --prompts lab-sums --limit 2 --out {answers}",
        "is no file that `veneer generate` wrote",
    ),
    "generate, out is a folder": (
        "generate --model lab:base --prompts lab-sums --limit 2 --out {full}",
        "is a folder",
    ),
    "measure, no veneer": (
        f"measure {PAIR} --veneer {{none}} --tasks lab-sums --out {{out}}",
        "does not exist",
    ),
    "measure, other base": (
        (
            "measure --base lab:large-base --aligned lab:aligned --veneer {veneer} --tasks "
            "lab-sums --out {out}"
        ),
        "extracted from",
    ),
    "measure, limit 0": (
        f"measure {PAIR} --veneer {{veneer}} --tasks lab-sums --limit 0 --out {{out}}",
        "0",
    ),
    "measure, unknown task": (
        f"measure {PAIR} --veneer {{veneer}} --tasks lab-songs --out {{out}}",
        "lab-songs",
    ),
    "run, seed -1": (f"run {PAIR} --tasks lab-sums --seed -1 --out {{out}}", "--seed is -1"),
    "run, judge's patience": (
        f"run {PAIR} --tasks lab-sums --judge-url http://localhost:1/v1 --judge-model m "
        "--judge-timeout nan --out {out}",
        "--judge-timeout is nan",
    ),
    "capture, teacher's patience": (
        "capture --base lab:base --teacher-url http://localhost:1/v1 --teacher-model m "
        "--teacher-timeout 0 --prompts {text} --out {out}",
        "--teacher-timeout is 0",
    ),
    "capture, log-probabilities": (
        "capture --base lab:base --teacher-url http://localhost:1/v1 --teacher-model m "
        "--top-logprobs -1 --prompts {text} --out {out}",
        "--top-logprobs is -1",
    ),
    "generate, alpha of no veneer": (
        "generate --model lab:base --alpha 2 --prompts lab-sums --out {out}",
        "without --veneer",
    ),
    "complexity, no programs": (
        f"complexity {PAIR} --tasks lab-sums --programs , --out {{out}}",
        "--programs is empty",
    ),
    "depth, KL behind no forced number": (
        f"depth {PAIR} --tokens 0,2 --kl-tokens 0,7 --out {{out}}",
        "--kl-tokens has 7",
    ),
    "diversity, one sample": (
        f"diversity {PAIR} --prompts lab-sums --samples 1 --out {{out}}",
        "--samples is 1",
    ),
    "diversity, threshold": (
        f"diversity {PAIR} --prompts lab-sums --threshold 9 --out {{out}}",
        "--threshold is 9",
    ),
    "judge, answers as verdicts": ("judge --compare {answers} {answers}", "it has no 'task'"),
    "report, no folder": ("report --out {out}", "folder"),
    "report, no such folder": ("report {none} --out {out}", "none"),
    "report, no study": ("report {full} --out {out}", "results.jsonl"),
}


@pytest.fixture(scope="module")
def given(tmp_path_factory, captured, extracted) -> dict[str, Path]:
    """Files and folders that the command lines name."""
    at = tmp_path_factory.mktemp("given")
    texts = {
        "text": ("prompts.txt", "one\ntwo\n"),
        "nothing": ("nothing.jsonl", "\n\n"),
        "nojson": ("nojson.jsonl", '{"prompt": "a"}\n{"prompt": \n'),
        "list": ("list.jsonl", '["a"]\n'),
        "neither": ("neither.jsonl", '{"prompt": "a"}\n{"text": "b"}\n'),
        "blank": ("blank.jsonl", '{"prompt": "  "}\n'),
        "twice": ("twice.jsonl", '{"id": "a", "prompt": "a"}\n{"id": "a", "prompt": "b"}\n'),
        "long": ("long.jsonl", '{"prompt": "' + "What is 2 plus 3? " * 2000 + '"}\n'),
        "csv": ("some.csv", "name,words\nx,What is 2 plus 3?\n"),
        "parquet": ("some.parquet", "no table"),
    }
    paths = {name: at / file for name, (file, _) in texts.items()}
    for name, (_, text) in texts.items():
        paths[name].write_text(text)
    paths |= {
        "none": at / "none",
        "empty": at / "empty",
        "full": at / "full",
        "latin": at / "latin.txt",
        "answers": at / "answers",
    }
    paths["latin"].write_bytes("schön\n".encode("latin-1"))
    paths["empty"].mkdir()
    paths["full"].mkdir()
    (paths["full"] / "mine.txt").write_text("mine")
    paths["answers"].write_text("{}\n")
    paths |= {"capture": captured, "veneer": extracted}
    for name in ("damaged", "unfinished", "badveneer"):
        paths[name] = shutil.copytree(extracted if name == "badveneer" else captured, at / name)
    paths["two"] = at / "two"
    words = [
        "capture",
        *PAIR.split(),
        "--prompts",
        paths["text"],
        "--max-new-tokens",
        "8",
        "--out",
        paths["two"],
    ]
    assert main([str(w) for w in words]) == 0
    for file in (
        paths["damaged"] / "shard-00000.safetensors",
        paths["badveneer"] / "veneer.safetensors",
    ):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    (paths["unfinished"] / "shard-00000.json").unlink()
    more = tokenizer(("<|more|>",))
    for name, tokens in (("tiny", tokenizer()), ("other", more), ("untalkative", tokenizer())):
        paths[name] = at / name
        tiny(rows=len(more) + 3).model.save_pretrained(paths[name])
        tokens.save_pretrained(paths[name])
    (paths["untalkative"] / "chat_template.jinja").unlink()
    return paths


def files(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def check_sentence(err: str) -> str:
    assert "Traceback" not in err
    last = err.rstrip("\n").splitlines()[-1]
    assert last.startswith("veneer: error: ") and 20 < len(last) < 900
    assert not re.search(
        r"[.!?] [A-Z]", last.removeprefix("veneer: error: ").replace("e.g. ", "")
    ), f"not one sentence: {last}"
    assert not set(last) & set("│╭╰─"), f"a box is no sentence: {last}"
    assert not re.search(r"\b[A-Z]\w+(Error|Exception): ", last), (
        f"an exception's name is no help: {last}"
    )
    return last


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_writes_nothing(case, given, veneer, tmp_path, monkeypatch):
    line, wanted = BAD[case]
    monkeypatch.delenv("VENEER_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    paths = {**given, "out": tmp_path / "out"}
    before = files(given["none"].parent) | files(given["capture"].parent)
    result = veneer(
        *(re.sub(r"\{(\w+)\}", lambda m: str(paths[m[1]]), word) for word in line.split())
    )
    assert result.code == 2, result.err
    assert wanted in check_sentence(result.err)
    assert not list(tmp_path.iterdir())
    assert files(given["none"].parent) | files(given["capture"].parent) == before


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_the_defaults(command, veneer):
    result = veneer(*command.split(), "--help")
    assert result.code == 0 and "usage: veneer" in result.out and not result.err
    if command:
        text = " ".join(result.out.split())
        assert "default:" in text or command in ("report", "push", "completion", "program")
        assert "(default: )" not in text and "STR" not in text
        # tasks, serve, chat and completion write nothing; push writes to the hub
        assert "--out" in text or command in ("tasks", "serve", "chat", "completion", "push")


def test_the_executable_says_the_same(given, tmp_path):
    """The real process: exit code, last line, and a version."""
    executable = Path(sys.executable).parent / "veneer"
    words = [
        executable,
        "capture",
        *PAIR.split(),
        "--prompts",
        given["nojson"],
        "--out",
        tmp_path / "out",
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "line 2 is not valid JSON" in check_sentence(done.stderr)
    assert not (tmp_path / "out").exists()
    done = subprocess.run([executable, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"veneer \d+\.\d+\.\d+\n", done.stdout)


def test_interrupt_and_go_on(runner, tmp_path):
    """Ctrl-C during a capture: exit 130 without a traceback, and the same command finishes."""
    out = tmp_path / "capture"
    # seconds of work behind the first shard
    few = ("--limit", 48, "--batch-size", 1, "--max-new-tokens", 24)
    command = ("capture", *PAIR.split(), "--prompts", "lab-facts", *few, "--out", out)
    process = runner.start(*command)
    wait_for(out / "shard-00000.json", runner)
    os.kill(process, signal.SIGINT)
    ended = runner.end()
    assert ended.status == 130, ended.err
    assert "Traceback" not in ended.err and "interrupted" in ended.err.splitlines()[-1]
    assert not list(out.glob(".*.part"))
    again = runner.run(*command)
    assert again.status == 0, again.err
    assert len(Capture.open(out).prompt_numbers) == 48
