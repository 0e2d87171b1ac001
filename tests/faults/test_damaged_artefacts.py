"""Captures and veneers that are damaged, cut, exchanged, foreign, or made to hurt (with checksums
that fit): refused by name."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tally import PAIR, sentence

from forked import Ended
from veneer.cli.main import main
from veneer.foundation.files import sha256_file

NAN = float("nan")


def reseal(folder: Path) -> None:
    """Checksums that fit what is there now, as somebody who wants to hurt would write them."""
    for marker in folder.glob("shard-*.json"):
        record = json.loads(marker.read_text())
        number = marker.stem.removeprefix("shard-")
        for key, name in (
            ("sha256", f"shard-{number}.safetensors"),
            ("responses_sha256", f"responses-{number}.jsonl"),
        ):
            record[key] = sha256_file(folder / name)
        marker.write_text(json.dumps(record))
    if (folder / "veneer.json").is_file():
        record = json.loads((folder / "veneer.json").read_text())
        (folder / "veneer.json").write_text(
            json.dumps({**record, "sha256": sha256_file(folder / "veneer.safetensors")})
        )
    if (folder / "manifest.json").is_file():
        record = json.loads((folder / "manifest.json").read_text())
        files = {
            name: sha256_file(folder / name)
            for name in record.get("files", {})
            if (folder / name).is_file()
        }
        (folder / "manifest.json").write_text(json.dumps({**record, "files": files}))


def flip(path: Path, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 1
    path.write_bytes(data)


def cut(path: Path, keep: float = 0.5) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


def changed(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def without(path: Path, key: str) -> None:
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))


def tensors(path: Path, change) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)


def exchange(
    folder: Path,
    a: int = 0,
    b: int = 1,
    names=("shard-{}.safetensors", "shard-{}.json", "responses-{}.jsonl"),
) -> None:
    for name in names:
        one, two = (folder / name.format(f"{n:05d}") for n in (a, b))
        kept = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(kept)


def put(mapping: dict, name: str, value) -> None:
    mapping[name] = value


def header(spec: object, data: bytes = b"\0" * 64, length: int | None = None) -> bytes:
    """A safetensors file with this header, and a length that may lie."""
    text = spec if isinstance(spec, bytes) else json.dumps(spec).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


F = {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}
HEADERS = {
    "length of 2^63": header(F, length=2**63),
    "length of 200 MB": header({"a": F}, length=200 * 2**20),
    "length beyond the file": header({"a": F}, length=10**6),
    "length zero": struct.pack("<Q", 0) + b"\0" * 64,
    "no header at all": b"\0\1",
    "empty file": b"",
    "no JSON": header(b"not json"),
    "nested deeply": header(b"[" * 100_000),
    "a list": header([1, 2]),
    "overlapping": header({"a": F, "b": F}),
    "a hole": header({"a": {**F, "data_offsets": [8, 72]}}, b"\0" * 72),
    "end before start": header({"a": {**F, "data_offsets": [64, 0]}}),
    "offset below zero": header({"a": {**F, "data_offsets": [-64, 0]}}),
    "offset beyond the file": header(
        {"a": {**F, "data_offsets": [0, 10**12], "shape": [5 * 10**5, 5 * 10**5]}}
    ),
    "shape below zero": header({"a": {**F, "shape": [-4, -4]}}),
    "shape that overflows": header({"a": {**F, "shape": [2**62, 2**62, 16]}}),
    "dtype that lies": header({"a": {**F, "dtype": "F64"}}),
    "dtype of nobody": header({"a": {**F, "dtype": "PICKLE"}}),
    "a key twice": header(
        b'{"a": ' + json.dumps(F).encode() + b', "a": ' + json.dumps(F).encode() + b"}"
    ),
    "a pickle": b"\x80\x04\x95" + b"cos\nsystem\n(S'touch /tmp/veneer-pickle-ran'\ntR." * 4,
    "a zip as torch.save writes": b"PK\x03\x04" + b"\0" * 200,
    "metadata that is no text": header({"__metadata__": {"format": 7}, "a": F}),
}
SHARD, SECOND = "shard-00000.safetensors", "shard-00001.safetensors"

# kind -> name -> what is done to a copy of a capture
CAPTURES = {
    "shard damaged": {
        "a bit flipped": lambda c: flip(c / SHARD),
        "a bit of its header": lambda c: flip(c / SHARD, 0.0),
        "responses flipped": lambda c: flip(c / "responses-00000.jsonl"),
        "the head flipped": lambda c: flip(c / "head.safetensors"),
        "the prompts flipped": lambda c: flip(c / "prompts.jsonl"),
        "the tokenizer flipped": lambda c: flip(c / "tokenizer" / "tokenizer.json"),
        "the marker is text": lambda c: (c / "shard-00000.json").write_text("done"),
        "the marker is a list": lambda c: (c / "shard-00000.json").write_text("[]"),
        "the marker nested deeply": lambda c: (c / "shard-00000.json").write_text("[" * 100_000),
        "the marker without counts": lambda c: without(c / "shard-00000.json", "tokens"),
        "the manifest is a list": lambda c: (c / "manifest.json").write_text("[]"),
        "the manifest flipped": lambda c: flip(c / "manifest.json", 0.001),
        "the manifest nested deeply": lambda c: (c / "manifest.json").write_text(
            '{"kind":' * 100_000
        ),
        "the manifest without a plan": lambda c: without(c / "manifest.json", "plan"),
        "the manifest without a head": lambda c: without(c / "manifest.json", "head"),
        "the manifest without formats": lambda c: without(c / "manifest.json", "base_format"),
        "a plan of text": lambda c: changed(c / "manifest.json", plan="all"),
        "a plan below zero": lambda c: changed(c / "manifest.json", plan=[[[-1]]]),
        "a plan with a prompt twice": lambda c: changed(c / "manifest.json", plan=[[[0, 0]]]),
        "a plan that leaves the folder": lambda c: changed(
            c / "manifest.json", plan=[[["../../etc/passwd"]]]
        ),
        "another schema": lambda c: changed(c / "manifest.json", schema=99),
    },
    "shard truncated": {
        "half a shard": lambda c: cut(c / SHARD),
        "an empty shard": lambda c: cut(c / SHARD, 0),
        "half its responses": lambda c: cut(c / "responses-00000.jsonl"),
        "half a marker": lambda c: cut(c / "shard-00000.json"),
        "half a manifest": lambda c: cut(c / "manifest.json"),
        "half a head": lambda c: cut(c / "head.safetensors"),
        "no shard": lambda c: (c / SHARD).unlink(),
        "no head": lambda c: (c / "head.safetensors").unlink(),
        "no prompts": lambda c: (c / "prompts.jsonl").unlink(),
        "no tokenizer": lambda c: shutil.rmtree(c / "tokenizer"),
    },
    "shards swapped": {
        "with their markers": exchange,
        "with their markers, sealed": lambda c: (exchange(c), reseal(c)),
        "without their markers": lambda c: exchange(
            c, names=("shard-{}.safetensors", "responses-{}.jsonl")
        ),
        "tensors alone, sealed": lambda c: (
            exchange(c, names=("shard-{}.safetensors",)),
            reseal(c),
        ),
        "one copied over the other": lambda c: (shutil.copy(c / SHARD, c / SECOND), reseal(c)),
    },
    "shard with NaN or impossible numbers, sealed": {
        "NaN in hidden states": lambda c: (
            tensors(c / SHARD, lambda t: t["hidden"].fill_(NAN)),
            reseal(c),
        ),
        "one NaN": lambda c: (
            tensors(c / SHARD, lambda t: put(t["hidden"], (0, 0), NAN)),
            reseal(c),
        ),
        "inf in hidden states": lambda c: (
            tensors(c / SHARD, lambda t: t["hidden"].fill_(float("inf"))),
            reseal(c),
        ),
        "NaN in log-probabilities": lambda c: (
            tensors(c / SHARD, lambda t: t["aligned_logprobs"].fill_(NAN)),
            reseal(c),
        ),
        "NaN in normalisers": lambda c: (
            tensors(c / SHARD, lambda t: t["base_logz"].fill_(NAN)),
            reseal(c),
        ),
        "probabilities above 1": lambda c: (
            tensors(c / SHARD, lambda t: t["aligned_logprobs"].fill_(3.0)),
            reseal(c),
        ),
        "token ids beyond the vocabulary": lambda c: (
            tensors(c / SHARD, lambda t: t["aligned_ids"].fill_(10**6)),
            reseal(c),
        ),
        "token ids below zero": lambda c: (
            tensors(c / SHARD, lambda t: t["aligned_ids"].fill_(-5)),
            reseal(c),
        ),
        "hidden states of another width": lambda c: (
            tensors(c / SHARD, lambda t: put(t, "hidden", t["hidden"][:, :-1])),
            reseal(c),
        ),
        "columns of two lengths": lambda c: (
            tensors(c / SHARD, lambda t: put(t, "token", t["token"][:-1])),
            reseal(c),
        ),
        "ids as floats": lambda c: (
            tensors(c / SHARD, lambda t: put(t, "aligned_ids", t["aligned_ids"].float())),
            reseal(c),
        ),
        "no hidden states": lambda c: (tensors(c / SHARD, lambda t: t.pop("hidden")), reseal(c)),
        "positions of nobody": lambda c: (
            tensors(c / SHARD, lambda t: t["position"].fill_(-3)),
            reseal(c),
        ),
        "NaN in the head": lambda c: (
            tensors(c / "head.safetensors", lambda t: t["weight"].fill_(NAN)),
            reseal(c),
        ),
    },
    "safetensors header made to hurt: shard": {
        **{
            name: lambda c, data=data: ((c / SHARD).write_bytes(data), reseal(c))
            for name, data in HEADERS.items()
        },
        "of the head": lambda c: (
            (c / "head.safetensors").write_bytes(HEADERS["overlapping"]),
            reseal(c),
        ),
    },
}
VENEER = "veneer.safetensors"
VENEERS = {
    "veneer damaged or truncated": {
        "a bit flipped": lambda v: flip(v / VENEER),
        "half of it": lambda v: cut(v / VENEER),
        "empty": lambda v: cut(v / VENEER, 0),
        "no tensors": lambda v: (v / VENEER).unlink(),
        "half its config": lambda v: cut(v / "veneer.json"),
        "its config is a list": lambda v: (v / "veneer.json").write_text("[]"),
        "its config nested deeply": lambda v: (v / "veneer.json").write_text("[" * 100_000),
        "no unembedding": lambda v: without(v / "veneer.json", "unembedding"),
        "no vocabulary": lambda v: without(v / "veneer.json", "vocabulary"),
        "a vocabulary of text": lambda v: changed(v / "veneer.json", vocabulary="many"),
        "a vocabulary of 10^12": lambda v: changed(v / "veneer.json", vocabulary=10**12),
        "a format of text": lambda v: changed(v / "veneer.json", base_format="plain"),
        "stop ids of text": lambda v: changed(v / "veneer.json", stop_ids="none"),
    },
    "veneer foreign or on the wrong base": {
        "another unembedding": lambda v: changed(v / "veneer.json", unembedding="0" * 64),
        "tensors of another veneer": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "dW", torch.zeros(3, 3))),
            None,
        ),
    },
    "veneer with NaN or impossible numbers, sealed": {
        "NaN": lambda v: (tensors(v / VENEER, lambda t: t["dW"].fill_(NAN)), reseal(v)),
        "inf": lambda v: (tensors(v / VENEER, lambda t: t["dW"].fill_(float("inf"))), reseal(v)),
        "another width": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "dW", t["dW"][:, :-1])),
            reseal(v),
        ),
        "three dimensions": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "dW", t["dW"][None])),
            reseal(v),
        ),
        "one dimension": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "dW", t["dW"][:, 0])),
            reseal(v),
        ),
        "whole numbers": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "dW", t["dW"].long())),
            reseal(v),
        ),
        "rows below zero": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "rows", -1 - torch.arange(len(t["dW"])))),
            reseal(v),
        ),
        "rows beyond": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "rows", 10**6 + torch.arange(len(t["dW"])))),
            reseal(v),
        ),
        "rows twice": lambda v: (
            tensors(
                v / VENEER, lambda t: put(t, "rows", torch.zeros(len(t["dW"]), dtype=torch.long))
            ),
            reseal(v),
        ),
        "rows as floats": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "rows", torch.arange(len(t["dW"])).float())),
            reseal(v),
        ),
        "A without B": lambda v: (
            tensors(v / VENEER, lambda t: put(t, "A", t.pop("dW"))),
            reseal(v),
        ),
        "A and B that do not fit": lambda v: (
            tensors(
                v / VENEER, lambda t: (put(t, "A", t.pop("dW")), put(t, "B", torch.zeros(1, 3)))
            ),
            reseal(v),
        ),
        "nothing": lambda v: (save_file({}, v / VENEER), reseal(v)),
    },
    "safetensors header made to hurt: veneer": {
        name: lambda v, data=data: ((v / VENEER).write_bytes(data), reseal(v))
        for name, data in HEADERS.items()
    },
}


def cases(table: dict) -> list:
    return [
        pytest.param(kind, act, id=f"{kind}-{name}")
        for kind, some in table.items()
        for name, act in some.items()
    ]


def refused(capfd, *args: object) -> str:
    """One sentence and exit 2 from the command in this process."""
    capfd.readouterr()
    code = main([str(a) for a in args])
    captured = capfd.readouterr()
    return sentence(Ended(code, 0, captured.out, captured.err))


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("kind", "act"), cases(CAPTURES))
def test_a_capture_is_refused_and_left_as_it_is(kind, act, artefacts, tally, tmp_path, capfd):
    broken = tmp_path / "broken"
    shutil.copytree(artefacts["capture"], broken)
    act(broken)
    before = state(broken)
    with tally.fault(kind):
        sentence = refused(capfd, "extract", broken, "--out", tmp_path / "out")
        assert str(broken) in sentence, f"does not name the folder: {sentence}"
        assert state(broken) == before and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("kind", "act"), cases(VENEERS))
def test_a_veneer_is_refused_and_left_as_it_is(kind, act, artefacts, tally, tmp_path, capfd):
    broken = tmp_path / "broken"
    shutil.copytree(artefacts["veneer"], broken)
    act(broken)
    before = state(broken)
    with tally.fault(kind):
        generate = (
            "generate",
            "--model",
            "lab:base",
            "--veneer",
            broken,
            "--prompts",
            "lab-sums",
            "--limit",
            2,
        )
        refused(capfd, *generate, "--max-new-tokens", 4, "--out", tmp_path / "out.jsonl")
        assert state(broken) == before and sorted(p.name for p in tmp_path.iterdir()) == ["broken"]


@pytest.mark.parametrize("base", ["lab:aligned", "lab:large-base", "lab:compromised"])
def test_a_veneer_on_the_wrong_base(base, artefacts, tally, tmp_path, capfd):
    with tally.fault("veneer foreign or on the wrong base"):
        for command in (
            (
                "generate",
                "--model",
                base,
                "--veneer",
                artefacts["veneer"],
                "--prompts",
                "lab-sums",
                "--limit",
                2,
            ),
            ("merge", artefacts["veneer"], "--base", base),
            (
                "measure",
                "--base",
                base,
                "--aligned",
                "lab:aligned",
                "--veneer",
                artefacts["veneer"],
                "--tasks",
                "lab-sums",
                "--limit",
                2,
            ),
        ):
            assert "base" in refused(capfd, *command, "--out", tmp_path / "out")
            assert not list(tmp_path.iterdir())


def test_a_foreign_shard(artefacts, runner, tally, tmp_path, capfd):
    """A shard of a capture of the same prompts and plan, but of another base: everything fits but
    what it was made from."""
    other = tmp_path / "other"
    settings = (
        "--prompts",
        "lab-requests",
        "--limit",
        10,
        "--max-new-tokens",
        8,
        "--batch-size",
        1,
    )
    ended = runner.run("capture", "--base", "lab:compromised", *PAIR[2:], *settings, "--out", other)
    assert ended.status == 0, ended.err
    mine = tmp_path / "mine"
    shutil.copytree(artefacts["capture"], mine)
    for path in other.glob("*-00000.*"):
        shutil.copy(path, mine)
    with tally.fault("shard foreign"):
        assert "of another capture" in refused(capfd, "extract", mine, "--out", tmp_path / "out")
    for path in mine.glob("*-00000.*"):
        path.unlink()
    with tally.fault("shard foreign"):  # deleted as the sentence says, the capture makes it again
        ended = runner.run("capture", *PAIR, *settings, "--out", mine)
        assert ended.status == 0 and {k: v for k, v in state(mine).items() if k != "run.json"} == {
            k: v for k, v in state(artefacts["capture"]).items() if k != "run.json"
        }, ended.err[-500:]


@pytest.mark.parametrize("name", HEADERS)
def test_a_models_header_made_to_hurt(name, tally, tmp_path, capfd):
    from tiny import tiny

    lm = tiny()
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(HEADERS[name])
    with tally.fault("safetensors header made to hurt: model"):
        refused(
            capfd,
            "generate",
            "--model",
            tmp_path / "model",
            "--prompts",
            "lab-sums",
            "--limit",
            1,
            "--out",
            tmp_path / "out.jsonl",
        )
        assert not (tmp_path / "out.jsonl").exists() and not Path("/tmp/veneer-pickle-ran").exists()
