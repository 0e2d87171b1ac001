"""Merged checkpoints in engines that are not this transformers: transformers 4 in an environment of
its own (llama.cpp: test_gguf.py)."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from checkpoints import END, LLAMA3_SCALING, as_transformers_4, fp8, save, veneer_of
from tiny import ARCHITECTURES, tiny
from veneer.head.merge import merge
from veneer.models.load import load_model

TEXT = "How do I bake bread?"
IDS = [
    5,
    17,
    33,
    48,
    5,
    90,
    120,
    17,
    44,
    7,
    9,
    200,
    201,
    202,
    203,
    204,
    31,
    32,
    33,
    34,
    35,
    36,
    37,
    38,
]
ROPE = {"rope_theta": 777.0}
MEMORY = {
    "llama-tied": ROPE,
    "qwen2": ROPE,
    "qwen3": ROPE,
    "gpt2": {},
    "gemma2": ROPE,
    "phi": ROPE | {"partial_rotary_factor": 0.5},
    "gpt_neox": {
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 777.0,
            "partial_rotary_factor": 0.5,
        }
    },
    "granite": ROPE,
    "cohere": ROPE,
    "gemma3": {
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 900.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        }
    },
    "qwen3_moe": ROPE
    | {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
}


@pytest.fixture(scope="module")
def transformers4() -> str:
    """A Python with transformers 4: `python -m venv X && X/bin/pip install "transformers<5" torch`,
    VENEER_TRANSFORMERS4=X/bin/python."""
    place = os.environ.get("VENEER_TRANSFORMERS4")
    if not place or not Path(place).is_file():
        pytest.skip(
            "needs transformers 4: set VENEER_TRANSFORMERS4 to the Python of an environment "
            "that has it"
        )
    return place


def merged(lm, out):
    """The merged folder, and the logits (T, V) that it must give."""
    veneer, ids = veneer_of(lm), torch.tensor([IDS])
    with torch.inference_mode():
        want = veneer.apply(lm.head).logits(lm.hidden(ids, torch.ones_like(ids)))[0]
    return str(merge(veneer, lm, out)), want


@pytest.mark.slow
def test_transformers_4_gives_the_same_logits_and_tokens(transformers4, tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "qwen3_moe", ("qwen3_moe", {}))
    scaled = {"rope_theta": 500000.0, "rope_scaling": dict(LLAMA3_SCALING)}
    older = as_transformers_4(save(tmp_path / "older", tie_word_embeddings=True, **scaled))
    newer = save(tmp_path / "newer", **scaled)
    small = save(tmp_path / "fp8", **ROPE)
    fp8(small)
    folders = {"older": older, "newer": newer, "fp8": small}
    bases = {name: load_model(str(folder), device="cpu") for name, folder in folders.items()}
    bases |= {f"memory-{kind}": tiny(kind, **words) for kind, words in MEMORY.items()}
    wanted = dict(merged(lm, tmp_path / f"m-{name}") for name, lm in bases.items())
    request = json.dumps({"ids": IDS, "text": TEXT, "folders": list(wanted)})
    env = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    script = str(Path(__file__).with_name("transformers4.py"))
    done = subprocess.run(
        [transformers4, script],
        input=request,
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"].startswith("4.")
    tok = tiny().tokenizer
    chat = tok.apply_chat_template(
        [{"role": "user", "content": TEXT}], tokenize=False, add_generation_prompt=True
    )
    for folder, want in wanted.items():
        result = answer["models"][folder]
        assert "error" not in result, (folder, result["error"])
        assert result["odd"] == [], folder
        torch.testing.assert_close(
            torch.tensor(result["logits"]),
            want,
            rtol=1e-4,
            atol=1e-3,
            msg=lambda m, f=folder: f"{f}: {m}",
        )
        assert result["tokens"] == tok(TEXT)["input_ids"] and result["chat"] == chat, folder
        assert END in result["eos"], folder
    for name in ("older", "newer"):
        assert answer["models"][str(tmp_path / f"m-{name}")]["rope_theta"] == 500000.0
