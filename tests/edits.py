"""Edits of a model's folder that change what it computes, and none of its weights."""

from __future__ import annotations

import json
from pathlib import Path


def edit(path: Path, **fields) -> None:
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **fields}))


def rotate(model: Path) -> None:
    edit(model / "config.json", rope_parameters={"rope_theta": 500.0, "rope_type": "default"})


def scale(model: Path) -> None:
    rope = {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}
    edit(model / "config.json", rope_parameters=rope)


def end(model: Path) -> None:
    edit(model / "generation_config.json", eos_token_id=[1, 2, 30])


def write_otherwise(model: Path) -> None:
    """The tokenizer reads as before, and writes E for e."""
    path = model / "tokenizer.json"
    own = json.loads(path.read_text())["decoder"]
    capital = {"type": "Replace", "pattern": {"String": "e"}, "content": "E"}
    edit(path, decoder={"type": "Sequence", "decoders": [own, capital]})


def word(model: Path) -> None:
    """Another chat template."""
    template = model / "chat_template.jinja"
    text = template.read_text().replace("<|{{ m['role'] }}|>", "<|{{ m['role'] }}|>please, ")
    template.write_text(text)
