"""Locks on file systems that have none: the second command is refused, a dead one holds nobody up,
and a command alone just works."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest

from veneer.endpoint.cache import Cache
from veneer.foundation import locks
from veneer.foundation.errors import InputError
from veneer.foundation.files import folder_lock, write_atomically, write_folder, write_text
from veneer.systems.partial_file import PartialFile
from veneer.systems.stamp import Stamp

WITHOUT = ("ENOSYS", "ENOLCK", "EOPNOTSUPP", "EINVAL", "EBADF")


@pytest.fixture(params=WITHOUT)
def no_flock(request, monkeypatch):
    """A file system that refuses flock, as some Lustre and NFS mounts do."""
    number = getattr(errno, request.param)

    def refuse(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


def in_child(action) -> tuple[int, int]:
    """(process id of a child that did `action` and waits, the pipe that it then wrote to)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        action(lambda: os.write(writer, b"."))
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"."
    return pid, reader


def kill(child: tuple[int, int]) -> None:
    os.kill(child[0], signal.SIGKILL)
    os.waitpid(child[0], 0)
    os.close(child[1])


def hold_folder(at: Path):
    def hold(ready):
        with folder_lock(at):
            ready()
            signal.pause()

    return hold


def test_a_folder_is_locked_without_flock(no_flock, tmp_path):
    out = tmp_path / "out"
    with folder_lock(out):
        (out / "kept").write_text("a")
    assert {p.name for p in out.iterdir()} == {".lock", "kept"}
    child = in_child(hold_folder(out))
    with (
        pytest.raises(
            InputError, match=f"another veneer command is working.*process {child[0]} on "
        ),
        folder_lock(out),
    ):
        pass
    kill(child)  # its claim stays behind, and holds nobody up
    assert len(list(out.glob(".lock-*"))) == 1
    with folder_lock(out):
        assert len(list(out.glob(".lock-*"))) == 1
    assert {p.name for p in out.iterdir()} == {".lock", "kept"}


def test_a_claim_holds_also_where_flock_works(tmp_path):
    """One node of a cluster may have locks where another has none."""
    with (
        locks.claimed(tmp_path / ".lock"),
        pytest.raises(InputError, match="delete"),
        folder_lock(tmp_path),
    ):
        pass


def test_a_claim_of_another_machine_is_a_persons_to_remove(no_flock, tmp_path):
    with locks.claimed(tmp_path / ".lock"):
        (own,) = tmp_path.glob(".lock-*")
        parts = own.name.split(".")
    parts[-4] = "0" * 8
    foreign = tmp_path / ".".join(parts)
    foreign.touch()
    with (
        pytest.raises(InputError, match=f"if that has ended, delete {foreign}"),
        folder_lock(tmp_path),
    ):
        pass
    foreign.unlink()
    with folder_lock(tmp_path):
        pass


def test_one_of_many_contenders_at_a_time(no_flock, tmp_path):
    """Threads that wait for a claim never hold it together, and all of them get it."""
    inside, most, turns = 0, 0, []

    def contend():
        nonlocal inside, most
        for _ in range(3):
            with locks.claimed(tmp_path / "a", patience=60):
                inside += 1
                most = max(most, inside)
                turns.append(1)
                inside -= 1

    threads = [threading.Thread(target=contend) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and len(turns) == 9 and not list(tmp_path.iterdir())


def test_files_of_answers_and_replies_without_flock(no_flock, tmp_path):
    answers = tmp_path / "answers.jsonl.part"
    first = PartialFile(answers, Stamp("stamp"), [[0]])
    with pytest.raises(InputError, match="another veneer command is writing"):
        PartialFile(answers, Stamp("stamp"), [[0]])
    first.close(remove=False)
    PartialFile(answers, Stamp("stamp"), [[0]]).close(remove=True)
    cache = Cache(tmp_path / "replies.log")
    cache.put("key", {"text": "a"})
    assert Cache(tmp_path / "replies.log").get("key") == {"text": "a"}
    assert [p.name for p in tmp_path.iterdir()] == ["replies.log"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_writer_left_is_removed_without_flock(no_flock, kind, tmp_path):
    out = tmp_path / "out"

    def write(ready=None):
        def content(path):
            (path / "a" if kind == "folder" else path).write_text("whole")
            if ready is not None:
                ready()
                signal.pause()

        if kind == "folder":
            write_folder(out, content)
        else:
            write_atomically(out, content)

    child = in_child(write)
    if kind == "file":
        write_text(out, "of another process")
    assert list(tmp_path.glob(".out.*.part")), "a living writer keeps its temporary"
    kill(child)
    out.unlink(missing_ok=True)
    write()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (out / "a" if kind == "folder" else out).read_text() == "whole"
