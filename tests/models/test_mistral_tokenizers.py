"""A model of Mistral has the same tokenizer whether or not the package mistral-common is installed,
and BOS in front of a text also where a tekken.json is all that it has."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import transformers
from transformers import AutoConfig, AutoTokenizer

from tiny import SMALL, tokenizer
from veneer.models import tokenizer as loading
from veneer.models.formats import ChatFormat, PlainFormat
from veneer.models.tokenizer import load_tokenizer
from veneer.prompts.prompt import Prompt

PROMPT = Prompt.from_text("1", "in the")


class MistralCommonBackend:
    """What AutoTokenizer gives where mistral-common is installed."""

    bos_token, chat_template = "<s>", None


def write_config(folder: Path) -> Path:
    folder.mkdir()
    AutoConfig.for_model("mistral", **SMALL, vocab_size=400).save_pretrained(folder)
    return folder


def tekken(folder: Path) -> Path:
    """The bytes and a few words, behind 20 special tokens."""
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    special += [f"[MORE_{i}]" for i in range(6)] + ["<pad>"]
    words = [bytes([i]) for i in range(256)] + [b" t", b"he", b" the", b"in"]
    content = {
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+",
            "default_vocab_size": len(words) + 20,
            "default_num_special_tokens": 20,
            "version": "v7",
        },
        "vocab": [
            {"rank": i, "token_bytes": base64.b64encode(w).decode()} for i, w in enumerate(words)
        ],
        "special_tokens": [
            {"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(special)
        ],
    }
    (write_config(folder) / "tekken.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(params=["without mistral-common", "with it"])
def package(request, monkeypatch) -> None:
    if request.param == "with it":
        mine = type("Auto", (), {"from_pretrained": lambda *_, **__: MistralCommonBackend()})
        monkeypatch.setattr(loading, "AutoTokenizer", mine)


@pytest.mark.usefixtures("package")
def test_a_tokenizer_json_beside_it_counts(tmp_path):
    folder = tekken(tmp_path / "model")
    own = tokenizer()
    own.save_pretrained(folder)
    read = load_tokenizer(str(folder))
    for form in (PlainFormat(), ChatFormat()):
        assert form.encode(read, PROMPT) == form.encode(own, PROMPT)
    assert read.get_vocab() == own.get_vocab()


def reads_tekken() -> bool:
    from packaging.version import Version

    return Version(transformers.__version__) >= Version("5.23")


@pytest.mark.skipif(not reads_tekken(), reason="needs a transformers that reads tekken.json")
@pytest.mark.usefixtures("package")
def test_a_tekken_json_alone(tmp_path):
    folder = tekken(tmp_path / "model")
    read = load_tokenizer(str(folder))
    words = {"in": 20 + 259, " the": 20 + 258}
    assert PlainFormat().encode(read, PROMPT) == [1, words["in"], words[" the"]]
    assert (read.bos_token_id, read.eos_token_id, read.unk_token_id, read.pad_token_id) == (
        1,
        2,
        0,
        11,
    )
    read.save_pretrained(tmp_path / "saved")
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again("in the").input_ids == [1, words["in"], words[" the"]]
