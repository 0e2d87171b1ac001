"""Ctrl-C and kills at every line of an atomic write: the file is whole or absent, and
nothing lies beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from small_disk import disk
from veneer.foundation import files, interrupts
from veneer.foundation.errors import VeneerError
from veneer.foundation.files import (
    ScratchFolder,
    scratch_file,
    write_atomically,
    write_folder,
    write_text,
)
from veneer.foundation.interrupts import HeldInterrupt

WATCHED = {files.__file__, interrupts.__file__, shutil.__file__}


def struck_at(number: int, strike, action) -> bool:
    """Do `action`, and `strike` before the number-th line of what writes; whether that
    line was reached."""
    seen = 0

    def trace(frame, event, arg):
        nonlocal seen
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            seen += 1
            if seen == number:
                strike()
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return seen >= number


def two_files(folder: Path) -> None:
    (folder / "a").write_text("whole")
    (folder / "b").write_text("whole")


WRITERS = {
    "file": lambda at: write_text(at / "out", "whole"),
    "folder": lambda at: write_folder(at / "out", two_files),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_ctrl_c_at_every_line(kind, tmp_path):
    number, reached = 0, True
    while reached:
        number += 1
        at = tmp_path / str(number)
        at.mkdir()
        try:
            reached = struck_at(
                number, lambda: signal.raise_signal(signal.SIGINT), lambda at=at: WRITERS[kind](at)
            )
            assert not reached, f"the interrupt at line {number} was lost"
        except KeyboardInterrupt:
            pass
        assert {p.name for p in at.iterdir()} <= {"out"}, number
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        WRITERS[kind](tmp_path / "again")
        assert not (at / "out").is_file() or (at / "out").read_text() == "whole"
        if kind == "folder":
            assert not (at / "out").exists() or len(list((at / "out").iterdir())) == 2
            for path in (tmp_path / "again" / "out").iterdir():
                path.unlink()
    assert number > 30


@pytest.mark.parametrize("kind", WRITERS)
def test_a_kill_at_every_line(kind, tmp_path):
    """What is whole has nothing beside it; what is not is made by the next call, which
    removes what was left."""
    number, status = 0, -9
    while status == -9:
        number += 1
        at = tmp_path / str(number)
        at.mkdir()
        pid = os.fork()
        if pid == 0:
            struck_at(
                number,
                lambda: os.kill(os.getpid(), signal.SIGKILL),
                lambda at=at: WRITERS[kind](at),
            )
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not (at / "out").exists():
            WRITERS[kind](at)
        assert [p.name for p in at.iterdir()] == ["out"], number
    assert status == 0 and number > 30


def test_a_write_may_be_interrupted_and_a_library_may_litter(tmp_path):
    def write(path: Path) -> None:
        path.with_name("litter").write_text("of a library")
        path.write_text("half")
        signal.raise_signal(signal.SIGINT)
        path.write_text("not interrupted at once")

    (tmp_path / "out").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out", write)
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and (
        tmp_path / "out"
    ).read_text() == "before"


def test_an_interrupt_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), HeldInterrupt():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]


def test_other_threads_and_other_handlers_are_left_alone(tmp_path):
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append("own"))
    try:
        with HeldInterrupt():
            signal.raise_signal(signal.SIGINT)
            assert calls == []
        assert calls == ["own"]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        write_text(tmp_path / "ignored", "whole")
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=write_text, args=(tmp_path / "thread", "whole"))
    thread.start()
    thread.join()
    assert (tmp_path / "thread").read_text() == "whole"


def killed_with(code: str, within: Path) -> None:
    """Run Python code whose temporary folder is `within`, and kill it where it has written."""
    program = f"from veneer.foundation.files import *\n{code}\nimport os; os.kill(os.getpid(), 9)"
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(within)}, check=False
    )
    assert ended.returncode == -signal.SIGKILL


def test_a_scratch_folder_of_a_killed_process_goes_and_one_in_use_stays(tmp_path):
    write = "s = ScratchFolder('veneer-some'); (s.path / 'big').write_bytes(bytes(9))"
    killed_with(write, tmp_path)
    (left,) = tmp_path.iterdir()
    assert (left / "big").is_file()
    in_use = ScratchFolder("veneer-some", tmp_path)
    with ScratchFolder("veneer-some", tmp_path) as folder:
        assert sorted(tmp_path.iterdir()) == sorted([in_use.path, folder])
    assert list(tmp_path.iterdir()) == [in_use.path]
    del in_use
    assert not list(tmp_path.iterdir())


def test_a_scratch_file_has_its_room_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_file(5000) as stream:
        assert os.fstat(stream.fileno()).st_blocks * 512 >= 5000
        assert not list(tmp_path.iterdir())
    killed_with("scratch_file(5000)", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_for_a_scratch_file_is_said(tmp_path, monkeypatch):
    """A mapped file that the disk cannot hold ends its process by SIGBUS, without a word."""
    place = tmp_path / "disk"
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    with disk(place, "64k"), pytest.raises(VeneerError, match="is full"):
        scratch_file(1 << 20)
