"""veneer push and hf:// addresses, against a server on loopback that stands in for the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from checkpoints import save, veneer_of
from forked import Ended
from hub_server import Hub
from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement, Results
from veneer.hub import Address, local_place
from veneer.models.load import load_model
from veneer.publish import push
from veneer.publish.artefact import Artefact
from veneer.publish.card import card_of, is_made, signed
from veneer.publish.forbidden import check_files

TOKEN = "hf_write"
SECRET = "hf_" + "a1B2" * 10


@pytest.fixture
def server(hubbed) -> Hub:
    """The hub, empty, and an empty cache."""
    hubbed[0].clear()
    shutil.rmtree(hubbed[2] / "hub", ignore_errors=True)
    return hubbed[0]


@pytest.fixture
def run(hubbed):
    """A command in a process of its own."""

    def command(*words, token=TOKEN, **more) -> Ended:
        return hubbed[1].run(*words, env={"HF_TOKEN": token, **more})

    return command


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture
def veneer(base, tmp_path) -> Path:
    """A veneer as `veneer extract` leaves it, with one figure."""
    folder = veneer_of(load_model(str(base), device="cpu")).save(tmp_path / "veneer")
    figure = Measurement(
        *("extract", "joint", "kl", "veneer"), 0.5, 12, 0.4, 0.6, split="report", unit="nats/token"
    )
    Results([figure]).write(folder / "results.jsonl")
    return folder


def last(done: Ended) -> str:
    return done.err.strip().splitlines()[-1]


def content(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_a_veneer_goes_to_the_hub_and_comes_back_the_same(
    server, run, veneer, base, tmp_path, hubbed, monkeypatch
):
    done = run("push", veneer, "hf://me/mine")
    assert done.status == 0, done.err
    assert "veneer: hf://me/mine" in done.out.splitlines()
    repository = server.repositories["me/mine"]
    assert repository.private and repository.commits == 1
    card = repository.files["README.md"].decode()
    assert {k: v for k, v in repository.files.items() if k != "README.md"} == content(veneer)
    assert "| joint | kl (nats/token) | veneer | 0.5 [0.4, 0.6] | 12 |  |" in card
    assert "veneer merge hf://me/mine --base BASE" in card and str(tmp_path) not in card

    again = run("push", veneer, "hf://me/mine")  # nothing is sent twice
    assert "veneer: hf://me/mine (existing)" in again.out and repository.commits == 1

    merge = ("--base", base, "--out")
    assert run("merge", "hf://me/mine", *merge, tmp_path / "pulled").status == 0
    assert run("merge", veneer, *merge, tmp_path / "local").status == 0
    pulled, local = content(tmp_path / "pulled"), content(tmp_path / "local")
    assert pulled == local
    (snapshot,) = (hubbed[2] / "hub" / "models--me--mine" / "snapshots").iterdir()
    assert content(snapshot) == repository.files  # byte by byte
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hubbed[2] / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert local_place("hf://me/mine") == snapshot  # without a network
    with pytest.raises(InputError, match="forbids the network, and this machine's cache does not"):
        local_place("hf://me/other")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(InputError, match="could not be read: HF_HUB_OFFLINE=1 forbids"):
        push(veneer, "hf://me/mine")


def test_a_checkpoint_in_a_branch_and_a_folder_is_a_model(server, run, veneer, base, tmp_path):
    run("merge", veneer, "--base", base, "--out", tmp_path / "merged")
    address = "hf://me/models@first/small"
    done = run("push", tmp_path / "merged", address, "--public")
    assert done.status == 0, done.err
    repository = server.repositories["me/models"]
    assert not repository.private and repository.files == {}  # main has nothing
    stored = repository.history[repository.branches["first"]]
    assert "small/model.safetensors" in stored and "small/run.json" not in stored
    words = ("--prompts", "lab-sums", "--limit", 2, "--chat", "--max-new-tokens", 4, "--out")
    local = run("generate", "--model", tmp_path / "merged", *words, tmp_path / "a.jsonl")
    pulled = run("generate", "--model", address, *words, tmp_path / "b.jsonl")
    assert local.status == pulled.status == 0, local.err + pulled.err
    texts = [
        [json.loads(line)["token_ids"] for line in (tmp_path / name).open()]
        for name in ("a.jsonl", "b.jsonl")
    ]
    assert texts[0] == texts[1]


def test_a_capture_is_extracted_from_a_data_sets_repository(
    server, run, captured, extracted, tmp_path
):
    address = "hf://datasets/me/capture"
    done = run("push", captured, address)
    assert done.status == 0, done.err
    repository = server.repositories["datasets/me/capture"]
    kept = {k: v for k, v in content(captured).items() if not k.startswith(".") and ".log" not in k}
    assert {k: v for k, v in repository.files.items() if k != "README.md"} == kept
    assert "12 prompts" in repository.files["README.md"].decode()
    out = run("extract", address, "--out", tmp_path / "veneer")
    assert out.status == 0, out.err
    assert (tmp_path / "veneer/veneer.safetensors").read_bytes() == (
        extracted / "veneer.safetensors"
    ).read_bytes()
    refused = run("capture", "--base", "lab:base", "--aligned", "lab:aligned", "--prompts",
                  "lab-sums", "--limit", 10, "--out", address)  # fmt: skip
    assert refused.status == 2 and "cannot be written to hf://datasets/me/capture" in last(refused)


def test_an_interrupted_upload_resumes(server, run, veneer):
    server.fails = "/commit/"
    done = run("push", veneer, "hf://me/mine")
    assert done.status == 1
    assert "answered 500 (the disk of the hub is on fire)" in last(done)
    assert "run the same command again" in last(done)
    assert server.repositories["me/mine"].commits == 0
    server.fails, server.requests = "", []
    assert run("push", veneer, "hf://me/mine").status == 0
    assert not [r for r in server.requests if r.startswith("PUT")]  # the large files were there


def test_another_artefact_is_replaced_only_by_force(server, run, veneer, base, tmp_path):
    assert run("push", veneer, "hf://me/mine").status == 0
    repository = server.repositories["me/mine"]
    other = veneer_of(load_model(str(base), device="cpu"), rank=2).save(tmp_path / "other")
    refused = run("push", other, "hf://me/mine")
    assert refused.status == 2 and "hf://me/mine holds something else" in last(refused)
    assert "--force" in last(refused) and repository.commits == 1
    assert run("push", other, "hf://me/mine", "--force").status == 0
    assert set(repository.files) == {"README.md", *content(other)}  # results.jsonl has gone


def test_a_card_that_a_person_wrote_stays(server, run, veneer, tmp_path):
    assert run("push", veneer, "hf://me/mine").status == 0
    repository = server.repositories["me/mine"]
    repository.history[repository.branches["main"]]["README.md"] += b"\nWritten by me.\n"
    done = run("push", veneer, "hf://me/mine", "--license", "mit")
    assert done.status == 0 and "card: kept" in done.out
    assert repository.files["README.md"].endswith(b"Written by me.\n")
    (veneer / "README.md").write_text("My own card.\n")  # in the folder: it is published
    assert run("push", veneer, "hf://me/other").status == 0
    assert server.repositories["me/other"].files["README.md"] == b"My own card.\n"


def test_failures_are_one_sentence(server, run, veneer, base, tmp_path):
    """Each way in which a hub fails, when a veneer is read and when it is written."""

    def read(address="hf://me/mine", **words) -> str:
        done = run("merge", address, "--base", base, "--out", tmp_path / "m", **words)
        assert done.status == 2 and not (tmp_path / "m").exists(), done.err
        assert last(done).startswith("veneer: error: ") and "Traceback" not in done.err
        assert TOKEN not in done.err
        return last(done)

    assert "does not exist on" in read("hf://me/none")
    assert run("push", veneer, "hf://me/mine").status == 0
    assert "is not open to this token" in read(token="hf_of_a_stranger")
    assert "no revision 'gone'" in read("hf://me/mine@gone")
    assert "has no 'folder'" in read("hf://me/mine/folder")
    server.gated = ("me/mine",)
    assert "is gated" in read()
    server.gated, server.fails, server.status = (), "/api/models/me/mine/revision", 503
    assert "answered 503 (the disk of the hub is on fire)" in read()
    pushing = run("push", veneer, "hf://me/mine", token="hf_of_a_stranger")
    assert pushing.status == 2 and "403" in last(pushing) and "HF_TOKEN" in last(pushing)


def test_an_interrupted_download_is_one_sentence_and_resumes(server, run, veneer, base, tmp_path):
    assert run("push", veneer, "hf://me/mine").status == 0
    server.cuts = "veneer.json"
    words = ("merge", "hf://me/mine", "--base", base, "--out", tmp_path / "m")
    done = run(*words)
    assert done.status == 2 and not (tmp_path / "m").exists()
    assert "hf://me/mine could not be read" in last(done)
    server.cuts = ""
    assert run(*words).status == 0


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://a/b", ("a/b", "model", None, "")),
        ("hf://a/b@v1/x/y", ("a/b", "model", "v1", "x/y")),
        ("hf://datasets/a/b@refs%2Fpr%2F1", ("a/b", "dataset", "refs/pr/1", "")),
        ("hf://a/b-1.5/", ("a/b-1.5", "model", None, "")),
    ],
)
def test_addresses(text, parts):
    address = Address.parse(text)
    fields = (address.repository, address.kind, address.revision, address.inside)
    assert fields == parts and str(address) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        *("hf://a", "hf://a/b@", "hf://a/b/../c", "hf://a/b//c", "a/b", "hf://"),
        # read as a model's repository of the owner "spaces", with a folder in it
        *("hf://spaces/a/b", "hf://models/a/b", "hf://datasets/a", "hf://datasets/datasets/a"),
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(InputError, match="is no address on the hub"):
        Address.parse(text)


def test_what_a_push_refuses(veneer, base, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is no folder"):
        Artefact.of(tmp_path / "none")
    with pytest.raises(InputError, match="no record of Veneer"):
        Artefact.of(base)
    study = tmp_path / "study"
    study.mkdir()
    (study / "results.jsonl").write_text("")
    (study / "run.json").write_text('{"command": "audit", "finished": false}')
    with pytest.raises(InputError, match="is not finished"):
        Artefact.of(study)
    outside = tmp_path / "secret.txt"
    outside.write_text("mine")
    (veneer / "link.txt").symlink_to(outside)
    with pytest.raises(InputError, match="outside of the folder"):
        Artefact.of(veneer)
    (veneer / "link.txt").unlink()

    def refuses(name: str, data: bytes, words: str) -> None:
        (veneer / name).write_bytes(data)
        with pytest.raises(InputError, match=words) as error:
            check_files(Artefact.of(veneer).files)
        assert SECRET not in str(error.value)
        (veneer / name).unlink()

    refuses("weights.bin", b"anything", "is a pickle")
    refuses("harmless.dat", b"\x80\x04\x95abc", "is a pickle")
    refuses("run.json", json.dumps({"options": {"key": SECRET}}).encode(), "a Hugging Face token")
    key = b"-----BEGIN RSA PRIVATE KEY-----\\n" + b"MIIEpAIBAAKCAQEA7bq" * 4
    refuses("notes.md", key, "a private key")
    monkeypatch.setenv("MY_SERVICE_API_KEY", "correct horse battery")
    refuses("notes.txt", b"it is correct horse battery", "the value of MY_SERVICE_API_KEY")
    (veneer / "notes.md").write_text("A key begins with -----BEGIN RSA PRIVATE KEY-----, then ...")
    check_files(Artefact.of(veneer).files)


def test_a_study_is_read_by_the_report(server, run, veneer, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(veneer, study / "veneer")
    (study / "results.jsonl").write_bytes((veneer / "results.jsonl").read_bytes())
    record = {"command": "run", "finished": True, "config": {"base": "/home/me/base"}}
    (study / "run.json").write_text(json.dumps(record))
    done = run("push", study, "hf://datasets/me/study@first")
    assert done.status == 0, done.err
    assert "name 1 paths of this machine, such as /home/me/base" in done.err
    card = server.repositories["datasets/me/study"]
    text = card.history[card.branches["first"]]["README.md"].decode()
    assert "- a veneer: `hf://datasets/me/study@first/veneer`" in text and "/home/me" not in text
    page = tmp_path / "page.html"
    assert run("report", "hf://datasets/me/study@first", "--out", page).status == 0
    assert page.is_file()
    refused = run("report", "hf://datasets/me/study@first")
    assert refused.status == 2 and "give --out FILE" in last(refused)


def test_a_card_says_what_is_known_and_no_more(veneer):
    artefact = Artefact.of(veneer)
    card = card_of(artefact, Address("me/mine"))
    assert card == card_of(artefact, Address("me/mine")) and is_made(card)
    assert not is_made(card + "x") and not is_made("# My card\n") and is_made(signed("anything"))
    assert "license" not in card.split("---")[1] and "Not stated." in card
    assert "license: mit" in card_of(artefact, Address("me/mine"), "mit")
    assert artefact.facts["identity"][:16] in card and "Q: {prompt}" in card
