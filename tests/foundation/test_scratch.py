"""Folders of temporary files: gone with their process, and after a kill with the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from veneer.foundation.scratch import ScratchFolder

HOLD = """
import sys
from veneer.foundation.scratch import ScratchFolder
folder = ScratchFolder("test")
(folder.path / "weights").write_bytes(bytes(1000))
print(folder.name, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def holding() -> tuple[subprocess.Popen, Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(place):
    killed, left = holding()
    living, used = holding()
    assert left.parent == used.parent == place
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (place / "veneer-test-of-somebody").mkdir()  # without a lock: not known whose
    assert (left / "weights").is_file()
    with ScratchFolder("test") as own:
        assert not left.exists() and (used / "weights").is_file()
        assert Path(own).is_dir() and (place / "veneer-test-of-somebody").is_dir()
        ScratchFolder("other").cleanup()
        assert Path(own).is_dir()
    assert not Path(own).exists()
    living.communicate()
    assert living.returncode == 0 and not used.exists()


def test_it_goes_with_its_object(place):
    folder = ScratchFolder("test")
    path = folder.path
    del folder
    assert not path.exists()
