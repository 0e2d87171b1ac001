"""veneer merge --push-to-hub, against a server on loopback that stands in for the hub."""

import os
import subprocess
import sys

import pytest

from checkpoints import save, veneer_of
from hub_server import hub
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.models.checkpoint.hub import check_repo
from veneer.models.load import load_model


@pytest.fixture
def server():
    with hub() as running:
        yield running


def run(tmp_path, server, *words, token="hf_write"):
    """The command in a process of its own: the library reads the hub's address
    when it is imported."""
    env = {
        k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HOME")
    }
    env |= {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    env |= {"HF_TOKEN": token} if token else {}
    command = [
        sys.executable,
        "-m",
        "veneer",
        "merge",
        str(tmp_path / "v"),
        "--base",
        str(tmp_path / "base"),
    ]
    return subprocess.run(
        [*command, "--out", str(tmp_path / "m"), *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def veneer(tmp_path):
    base = save(tmp_path / "base")
    veneer_of(load_model(str(base), device="cpu")).save(tmp_path / "v")


def last(done) -> str:
    return done.stderr.strip().splitlines()[-1]


def test_the_folder_is_one_commit_of_a_repository(veneer, server, tmp_path):
    done = run(tmp_path, server, "--push-to-hub", "somebody/veneered", "--private")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"hub: {server.url}/somebody/veneered"
    made = server.repositories["somebody/veneered"]
    assert made["private"] and made["commits"] == 1
    written = {p.name: p.read_bytes() for p in (tmp_path / "m").iterdir() if p.name != "run.json"}
    assert made["files"] == written and "model.safetensors" in written
    assert str(tmp_path).encode() not in written["README.md"] + written["config.json"]


def test_a_hub_that_fails_leaves_the_folder_and_the_same_command_goes_on(veneer, server, tmp_path):
    server.fails = "/commit/"
    done = run(tmp_path, server, "--push-to-hub", "somebody/veneered")
    assert (
        done.returncode == 1
        and "the disk of the hub is on fire" in last(done)
        and "run the same command again" in last(done)
    )
    assert server.repositories["somebody/veneered"]["files"] == {}
    server.fails = ""
    again = run(tmp_path, server, "--push-to-hub", "somebody/veneered")
    assert again.returncode == 0, again.stderr
    assert (
        "existing" in again.stdout
        and "model.safetensors" in server.repositories["somebody/veneered"]["files"]
    )


def test_a_token_that_may_not_write_is_one_sentence(veneer, server, tmp_path):
    done = run(tmp_path, server, "--push-to-hub", "somebody/veneered", token="hf_of_a_reader")
    assert done.returncode == 1
    assert last(done).startswith(
        "veneer: error: the hub refuses to write to somebody/veneered (403: You don't have "
        "the rights"
    )
    assert not server.repositories


def test_what_can_be_refused_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(InputError, match="found no token for the hub"):
        check_repo("somebody/veneered")
    with pytest.raises(InputError, match="expected the name of a repository"):
        check_repo("not a name")
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    check_repo("somebody/veneered")


def test_nothing_is_pushed_where_the_merge_fails(veneer, server, tmp_path):
    save(tmp_path / "base", tiny(seed=5))
    done = run(tmp_path, server, "--push-to-hub", "somebody/veneered")
    assert done.returncode == 2 and "give the base that it was extracted from" in last(done)
    assert not server.repositories and not (tmp_path / "m").exists()
