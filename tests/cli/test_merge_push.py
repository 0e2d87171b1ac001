"""veneer merge --push-to-hub, against a server on loopback that stands in for the hub."""

import pytest

from checkpoints import save, veneer_of
from forked import Ended
from hub_server import Hub
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.hub import Address
from veneer.hub.upload import check_token
from veneer.models.load import load_model


@pytest.fixture
def server(hubbed) -> Hub:
    """The hub, empty."""
    hubbed[0].clear()
    return hubbed[0]


@pytest.fixture
def run(hubbed, tmp_path):
    """The command in a process of its own, with a token."""

    def merge(*words, token="hf_write") -> Ended:
        command = ("merge", tmp_path / "v", "--base", tmp_path / "base", "--out", tmp_path / "m")
        return hubbed[1].run(*command, *words, env={"HF_TOKEN": token})

    return merge


@pytest.fixture
def veneer(tmp_path):
    base = save(tmp_path / "base")
    veneer_of(load_model(str(base), device="cpu")).save(tmp_path / "v")


def last(done: Ended) -> str:
    return done.err.strip().splitlines()[-1]


def test_the_folder_is_one_commit_of_a_repository(veneer, server, run, tmp_path):
    done = run("--push-to-hub", "somebody/veneered")
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == f"hub: {server.url}/somebody/veneered"
    repository = server.repositories["somebody/veneered"]
    assert repository.private and repository.commits == 1
    written = {p.name: p.read_bytes() for p in (tmp_path / "m").iterdir() if p.name != "run.json"}
    assert repository.files == written and "model.safetensors" in written
    assert str(tmp_path).encode() not in written["README.md"] + written["config.json"]


def test_a_hub_that_fails_leaves_the_folder_and_the_same_command_resumes(
    veneer, server, run, tmp_path
):
    server.fails = "/commit/"
    done = run("--push-to-hub", "somebody/veneered")
    assert (
        done.status == 1
        and "the disk of the hub is on fire" in last(done)
        and "run the same command again" in last(done)
    )
    assert server.repositories["somebody/veneered"].files == {}
    server.fails = ""
    again = run("--push-to-hub", "somebody/veneered")
    assert again.status == 0, again.err
    assert (
        "existing" in again.out
        and "model.safetensors" in server.repositories["somebody/veneered"].files
    )


def test_a_token_that_may_not_write_is_one_sentence(veneer, server, run, tmp_path):
    done = run("--push-to-hub", "somebody/veneered", token="hf_of_a_reader")
    assert done.status == 2
    assert "somebody/veneered is not open to this token" in last(done)
    assert "403: You don't have the rights" in last(done)
    assert not server.repositories


def test_what_can_be_refused_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(InputError, match="found no token for the hub"):
        check_token()
    with pytest.raises(InputError, match="is no address on the hub"):
        Address.parse("hf://not a name")
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    check_token()


def test_nothing_is_pushed_where_the_merge_fails(veneer, server, run, tmp_path):
    save(tmp_path / "base", tiny(seed=5))
    done = run("--push-to-hub", "somebody/veneered")
    assert done.status == 2 and "give the base that it was extracted from" in last(done)
    assert not server.repositories and not (tmp_path / "m").exists()
