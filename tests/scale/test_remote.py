"""Captures behind a URL: a folder URL, and a real server of the S3 protocol on loopback, whose
connection breaks."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import content

from pairs import chat_pair, plain_pair, prompts, small_capture
from veneer.capture import CaptureConfig
from veneer.capture.job import Job
from veneer.capture.run import make_capture
from veneer.capture.teachers.aligned import AlignedModel
from veneer.foundation.errors import InputError, VeneerError
from veneer.head.extract import extract
from veneer.models.decode import Sampling
from veneer.scale.remote import RemoteCapture, open_capture, open_part
from veneer.scale.remote_shelf import RemoteShelf, shelf_of
from veneer.scale.storage import cache_folder, is_url, without_secrets

pytest.importorskip("fsspec", reason="needs the package fsspec")
from cutting_proxy import CuttingProxy


def job(pair=None, n: int = 12, **words) -> Job:
    pair = pair or chat_pair()
    words = {
        "k": 16,
        "batch_size": 4,
        "shard_batches": 1,
        "noise_prompts": 3,
        "sampling": Sampling(max_new_tokens=10),
        **words,
    }
    return Job.of(
        pair.base, AlignedModel(pair), prompts(n), CaptureConfig(**words), pair.base_format
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("local") / "capture"
    small_capture(out)
    return out


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VENEER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("sftp://user:secret@host:22/x", "sftp://host:22/x"),
        ("https://host/x?token=secret", "https://host/x"),
        ("file:///tmp/x", "file:///tmp/x"),
    ],
)
def test_a_url_is_written_without_its_keys(url, sentence):
    assert without_secrets(url) == sentence and is_url(url)
    assert "secret" not in str(cache_folder(url))


def test_a_plain_path_is_no_url(tmp_path):
    assert not is_url(tmp_path) and not isinstance(shelf_of(tmp_path), RemoteShelf)


def test_a_folder_url_holds_the_same_bytes(local, tmp_path):
    url = f"file://{tmp_path}/there/capture"
    capture = make_capture(job(), shelf_of(url))
    assert content(tmp_path / "there" / "capture") == content(local)
    assert capture.tokens == open_capture(local).tokens
    assert extract(capture).veneer.values().equal(extract(open_capture(local)).veneer.values())


def test_reading_fetches_what_is_read_and_checks_it(local, tmp_path, cache):
    url = f"file://{local}"
    capture = RemoteCapture.open(url)
    assert not list(capture.folder.glob("shard-*.safetensors")), (
        "nothing is fetched before it is read"
    )
    capture.read(1, ("token",))
    assert [p.name for p in capture.folder.glob("shard-*.safetensors")] == [
        "shard-00001.safetensors"
    ]
    assert capture.responses() == open_capture(local).responses()
    kept = capture.folder / "shard-00002.safetensors"
    kept.write_bytes(kept.read_bytes()[:-1] + b"\0")  # the cache is damaged: fetched again
    assert (
        RemoteCapture.open(url)
        .read(2, ("hidden",))["hidden"]
        .equal(open_capture(local).read(2, ("hidden",))["hidden"])
    )
    assert open_part(url, [0]).shards == [0]


def test_a_shard_that_is_damaged_there_is_named(local, tmp_path):
    there = tmp_path / "there"
    make_capture(job(), shelf_of(f"file://{there}"))
    shard = there / "shard-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-4] + b"oops")
    capture = RemoteCapture.open(f"file://{there}", cache=tmp_path / "other")
    with pytest.raises(InputError, match=r"shard-00001\.safetensors is damaged"):
        capture.read(1, ("token",))


def test_another_machine_resumes_without_a_cache(local, tmp_path, monkeypatch):
    """Two shards are there; a machine with an empty cache makes only the others."""
    there = tmp_path / "there"
    url = f"file://{there}"
    make_capture(job(), shelf_of(url))
    for name in ("shard-00002.json", "shard-00002.safetensors", "noise.json"):
        (there / name).unlink()
    monkeypatch.setenv("VENEER_CACHE", str(tmp_path / "empty"))
    numbers = []
    real = Job.shard
    monkeypatch.setattr(
        Job,
        "shard",
        lambda self, number, done=None: numbers.append(number) or real(self, number, done),
    )
    make_capture(job(), shelf_of(url))
    assert numbers == [2] and content(there) == content(local)


def test_other_settings_and_strange_folders_are_refused(tmp_path):
    url = f"file://{tmp_path}/there"
    make_capture(job(), shelf_of(url))
    before = content(tmp_path / "there")
    with pytest.raises(InputError, match="was made with another"):
        make_capture(job(plain_pair()), shelf_of(url))
    assert content(tmp_path / "there") == before
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match=r"holds no capture \(letter.txt\)"):
        make_capture(job(), shelf_of(f"file://{tmp_path}/strange"))
    with pytest.raises(InputError, match="holds no manifest"):
        open_capture(f"file://{tmp_path}/nowhere")
    with pytest.raises(InputError, match="cannot be reached"):
        open_capture("nonsense://x/y")


def test_a_capture_that_was_deleted_there_is_made_anew(local, tmp_path):
    """What the cache still holds of it is forgotten."""
    import shutil

    there = tmp_path / "there"
    make_capture(job(plain_pair()), shelf_of(f"file://{there}"))
    shutil.rmtree(there)
    make_capture(job(), shelf_of(f"file://{there}"))
    assert content(there) == content(local)


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A server of the S3 protocol in a process of its own, its port."""
    pytest.importorskip("s3fs", reason="needs the package s3fs")
    pytest.importorskip("moto", reason="needs the package moto, a server of the S3 protocol")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from moto.server import main; main()",
            "-H",
            "127.0.0.1",
            "-p",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def keys(monkeypatch):
    import s3fs

    def at(port: int) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        s3fs.S3FileSystem.clear_instance_cache()

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    yield at
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_real_s3_server_and_a_connection_that_breaks(s3, keys, local, tmp_path):
    """Cut in the middle of shard 1's upload, then again while it goes on, then whole: the bytes are
    those of a local capture, and nothing that was made is made again."""
    import s3fs

    keys(s3)
    s3fs.S3FileSystem().mkdir("bucket")
    proxy = CuttingProxy(s3)
    keys(proxy.port)
    url = "s3://bucket/deep/capture"
    plain = make_capture(job(), shelf_of("s3://bucket/whole"))
    sent, numbers = proxy.passed, []

    class Watched(Job):
        def shard(self, number, done=None):
            numbers.append(number)
            return super().shard(number, done)

    watched = Watched(**vars(job()))
    for part in (0.5, 0.35):
        proxy.allow = int(sent * part)
        with pytest.raises(VeneerError, match="run the same command again"):
            make_capture(watched, shelf_of(url))
        proxy.allow = None
        with pytest.raises(InputError, match=r"shards|manifest"):
            open_capture(url)
    make_capture(watched, shelf_of(url))
    assert sorted(numbers) == [0, 1, 2]
    s3fs.S3FileSystem().get(url, str(tmp_path / "fetched"), recursive=True)
    assert content(tmp_path / "fetched") == content(local)
    assert extract(open_capture(url)).veneer.values().equal(extract(plain).veneer.values())
    proxy.close()


def test_no_bucket_and_no_keys_are_one_sentence(s3, keys, tmp_path, monkeypatch):
    keys(s3)
    with pytest.raises(InputError, match="expected a place that exists"):
        make_capture(job(), shelf_of("s3://no-such-bucket/x"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    keys(s3)
    with pytest.raises(InputError, match="credentials"):
        open_capture("s3://bucket/x")


def test_the_command_writes_no_key(s3, keys, tmp_path):
    """`veneer capture` and `veneer extract` with a URL: results as with a folder, and no
    key in any file."""
    import s3fs

    from veneer.cli import main

    keys(s3)
    s3fs.S3FileSystem().mkdir("commands")
    words = [
        "--base",
        "lab:base",
        "--aligned",
        "lab:aligned",
        "--prompts",
        "lab-requests",
        "--limit",
        "10",
        "--max-new-tokens",
        "8",
    ]
    assert main(["capture", *words, "--out", "s3://commands/c"]) == 0
    assert main(["capture", *words, "--out", str(tmp_path / "c")]) == 0
    assert main(["extract", "s3://commands/c", "--out", str(tmp_path / "e")]) == 0
    assert main(["extract", str(tmp_path / "c"), "--out", str(tmp_path / "f")]) == 0
    assert (tmp_path / "e" / "veneer.safetensors").read_bytes() == (
        tmp_path / "f" / "veneer.safetensors"
    ).read_bytes()
    s3fs.S3FileSystem().get("s3://commands/c", str(tmp_path / "g"), recursive=True)
    assert (tmp_path / "g" / "run.json").is_file()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"very-secret" not in path.read_bytes() and b"key-id" not in path.read_bytes(), (
                path
            )
