"""Writes that the machine or the place refuses: one sentence, the right exit code, nothing left."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
from safetensors.torch import save_file

from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import folder_lock, write_atomically, write_folder, write_text
from veneer.foundation.write_failures import MACHINE, PLACE, machine_failure, write_failure
from veneer.systems.partial_file import PartialFile
from veneer.systems.stamp import Stamp

WRITERS = {
    "file": lambda at: write_text(at / "out", "whole"),
    "folder": lambda at: write_folder(at / "out", lambda p: write_text(p / "a", "whole")),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["EDQUOT", "EROFS", "EACCES", "EIO", "ESTALE", "ENAMETOOLONG"])
@pytest.mark.parametrize("step", ["mkdir", "fsync", "replace", "mkdtemp"])
def test_each_step_of_a_write_may_fail(step, name, kind, monkeypatch, tmp_path):
    number = getattr(errno, name)

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    place = {"mkdir": (Path, "mkdir"), "replace": (Path, "replace"), "fsync": (os, "fsync")}
    with monkeypatch.context() as patch:
        if step == "mkdtemp":
            patch.setattr("tempfile.mkdtemp", fail)
        else:
            patch.setattr(*place[step], fail)
        with pytest.raises(VeneerError) as raised:
            WRITERS[kind](tmp_path)
    assert raised.value.exit_code == (2 if number in PLACE else 1)
    assert str(tmp_path) in str(raised.value) and "Errno" not in str(raised.value)
    assert not list(tmp_path.iterdir())
    WRITERS[kind](tmp_path)


def test_a_limit_on_the_size_of_a_file(tmp_path):
    """A real limit, for Python's own writes and for those of a library."""
    import torch

    writes = {
        "text": lambda: write_text(tmp_path / "a", "x" * 10000),
        "safetensors": lambda: write_atomically(
            tmp_path / "a", lambda p: save_file({"a": torch.zeros(10000)}, p)
        ),
        "answers": lambda: PartialFile(tmp_path / "b", Stamp("x" * 10000), [[0]]),
    }
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        for name, write in writes.items():
            with pytest.raises(VeneerError, match="ulimit -f") as raised:
                write()
            assert raised.value.exit_code == 1, name
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not (tmp_path / "a").exists()


def test_a_name_that_is_too_long_and_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("a")
    for out, words in (
        (tmp_path / ("n" * 300), "longer than"),
        (tmp_path / "file" / "out", "is a file"),
    ):
        with pytest.raises(InputError, match=words):
            write_text(out, "a")
        with pytest.raises(InputError, match=words), folder_lock(out):
            pass
        with pytest.raises(InputError, match=words):
            PartialFile(out, Stamp("a"), [])
    with pytest.raises(InputError, match="is a folder"):
        write_text(tmp_path, "a")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_numbers_in_messages_of_libraries():
    """safetensors and PyArrow write the system's number into a text."""
    for message, number in (
        ("I/O error: File too large (os error 27)", errno.EFBIG),
        (
            'IoError(Os { code: 122, kind: QuotaExceeded, message: "Disk quota exceeded" })',
            errno.EDQUOT,
        ),
        ("[Errno 5] Error writing bytes to file", errno.EIO),
        ("No space left on device", errno.ENOSPC),
    ):
        failure = write_failure(RuntimeError(message), Path("out"))
        assert str(failure) == MACHINE[number].format(place="out", why=os.strerror(number))
    assert write_failure(ValueError("4 is not 5"), Path("out")) is None
    assert machine_failure(ConnectionResetError(104, "reset")) is None
    foreign = OSError(errno.EACCES, "Permission denied", "/elsewhere/base.json")
    assert "/elsewhere/base.json cannot be used" in str(write_failure(foreign, Path("out/a")))
