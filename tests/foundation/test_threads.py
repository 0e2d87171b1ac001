"""The number of threads: from free cores, from a person, and as the first part of a run had it."""

import json
import os
import subprocess
import sys

import pytest
import torch

from veneer.cli.main import main
from veneer.foundation import threads
from veneer.foundation.errors import InputError

STAT = """cpu  100 0 100 800 0 0 0 0 0 0
cpu0 {0} 0 0 {1} 0 0 0 0 0 0
cpu1 {2} 0 0 {3} 0 0 0 0 0 0
cpu7 9999 0 0 0 0 0 0 0 0 0
intr 12345
"""


@pytest.fixture
def as_before(monkeypatch):
    """Threads and variables are put back."""
    for name in threads.NUMBERS:
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    before = torch.get_num_threads()
    yield monkeypatch
    torch.set_num_threads(before)
    threads.use_threads(threads.AUTO)
    threads._own.clear()


@pytest.mark.parametrize(
    ("cores", "free", "expected"),
    [(2, 2.0, 2), (2, 1.9, 2), (2, 1.1, 1), (2, 0.0, 1), (8, 3.6, 4), (1, 1.0, 1), (4, 9.0, 4)],
)
def test_each_free_core_gets_a_thread(cores, free, expected):
    assert threads.chosen(cores, free) == expected


def test_idle_time_counts_the_processors_that_may_be_used(tmp_path):
    (tmp_path / "stat").write_text(STAT.format(30, 70, 100, 0))
    assert threads.idle_time(tmp_path / "stat", {0, 1}) == (70, 200)
    assert threads.idle_time(tmp_path / "stat", {0}) == (70, 100)
    assert threads.idle_time(tmp_path / "none", {0}) is None


def test_free_cores_are_the_idle_share_of_the_time_between_two_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "_allowed", lambda: {0, 1})
    monkeypatch.setattr(threads, "physical_cores", lambda: 2)
    stat = tmp_path / "stat"
    stat.write_text(STAT.format(1000, 50, 1000, 50))
    later = STAT.format(1010, 50, 1002, 58)  # one core busy, the other idle for 8 of 10 ticks
    monkeypatch.setattr(threads.time, "sleep", lambda _: stat.write_text(later))
    assert threads.free_cores(tmp_path) == pytest.approx(0.8)


def test_a_containers_quota_is_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "_allowed", lambda: {0, 1, 2, 3})
    group = tmp_path / "fs/cgroup"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000\n")
    assert threads.physical_cores(tmp_path) == 4
    (group / "cpu.max").write_text("150000 100000\n")
    assert threads.physical_cores(tmp_path) == 2
    for cpu in range(4):  # 0 and 1, 2 and 3 are two threads of one core each
        place = tmp_path / f"devices/system/cpu/cpu{cpu}/topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}\n")
    (group / "cpu.max").write_text("max 100000\n")
    assert threads.physical_cores(tmp_path) == 2


def test_waiting_is_left_to_a_person_who_says_how():
    given: dict[str, str] = {}
    threads.wait_passively(given)
    assert given == {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}
    given = {"GOMP_SPINCOUNT": "1000"}
    threads.wait_passively(given)
    assert given == {"GOMP_SPINCOUNT": "1000"}


def test_a_number_is_taken(as_before):
    threads.use_threads("2")
    assert torch.get_num_threads() == 2 and os.environ["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("word", ["0", "-1", "two", "1.5", ""])
def test_other_words_are_refused(as_before, word):
    with pytest.raises(InputError, match="expected auto, or a number of 1 or more"):
        threads.use_threads(word)


def test_a_bad_number_ends_with_one_sentence(as_before, capsys):
    given = ["--model", "lab:base", "--prompts", "none", "--out", "none", "--threads", "0"]
    assert main(["generate", *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == "veneer: error: --threads is '0'; expected auto, or a number of 1 or more"


def test_a_resumed_run_keeps_its_number_unless_a_person_gives_another(as_before, caplog):
    for name in threads.NUMBERS:
        as_before.delenv(name)
    threads.use_threads(threads.AUTO)
    now = torch.get_num_threads()
    threads.keep_threads(now + 1)
    assert torch.get_num_threads() == now + 1 and not caplog.records
    threads.use_threads("1")
    threads.keep_threads(2)
    assert torch.get_num_threads() == 1
    assert "computed with 2 threads, the rest with 1" in caplog.text
    threads.keep_threads(None)  # a run of an earlier version
    assert len(caplog.records) == 1


def test_a_command_computes_with_its_number_and_records_it(tmp_path):
    """The whole command in a process of its own: torch is imported after the number is set."""
    prompts = tmp_path / "prompts.jsonl"
    lines = [{"id": str(i), "prompt": f"Say {w}."} for i, w in enumerate(("one", "two", "three"))]
    prompts.write_text("".join(json.dumps(x) + "\n" for x in lines))
    given = {k: v for k, v in os.environ.items() if k not in (*threads.NUMBERS, *threads.WAITING)}
    command = ["capture", "--base", "lab:base", "--aligned", "lab:aligned", "--max-new-tokens", "4"]
    command += ["--prompts", str(prompts), "--out", str(tmp_path / "c"), "--threads", "1"]
    code = f"""
import os, sys
from veneer.cli.main import main
assert "torch" not in sys.modules
code = main({command!r})
assert os.environ["OMP_WAIT_POLICY"] == "passive"
sys.exit(code)
"""
    subprocess.run([sys.executable, "-c", code], env=given, check=True, capture_output=True)
    assert json.loads((tmp_path / "c/run.json").read_text())["machine"]["threads"] == 1
    assert json.loads((tmp_path / "c/manifest.json").read_text())["threads"] == 1
