"""Files of stored answers for the tests of imports, and what an import makes of them."""

from __future__ import annotations

import json

from veneer.cli.main import main

PROMPT = (
    "# Query:\n```\nAn example?\n```\n\n# Answer:\n```\nYes.\n```\n\n# Query:\n```\nWhat now?\n"
    "```\n\n# Answer:\n```\n"
)


def put(tmp_path, name, *rows):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8"
    )
    return path


def answer(content, reason="stop"):
    return {
        "finish_reason": reason,
        "index": 0,
        "message": {"content": content, "role": "assistant"},
    }


def run_import(path, out, *options) -> int:
    """The exit code of `veneer import`."""
    return main([str(a) for a in ("import", path, "--out", out, *options)])


def texts(result):
    return [(r.prompt_id, r.sample_id, r.text) for r in result.responses]


def chat_sample(doc, text, answers, system=None, **more):
    turns = [{"role": "system", "content": system}] * (system is not None) + [
        {"role": "user", "content": text}
    ]
    arguments = {"gen_args_0": {"arg_0": [json.dumps(turns)], "arg_1": {"until": []}}}
    return {"doc_id": doc, "arguments": arguments, "resps": [answers], "filter": "none", **more}
