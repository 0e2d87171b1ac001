"""veneer generate --url: answers of a model that another server holds."""

from __future__ import annotations

import pytest

from veneer.systems import read_responses

PROMPTS = ("--prompts", "lab-requests", "--limit", "5", "--max-new-tokens", "12")
URL = ("--url", "http://localhost:1/v1")


@pytest.fixture
def running(extracted):
    """`veneer serve`'s own server with an aligned model and a veneered base."""
    pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
    pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'veneer[serve]'")
    from veneer.head.veneer import Veneer
    from veneer.models.formats import ChatFormat
    from veneer.models.load import load_model
    from veneer.serve.served import Served
    from veneer.systems.system import System
    from veneer_server import serving

    aligned, base = load_model("lab:aligned"), load_model("lab:base")
    veneered = System.of_model(base, Veneer.load(extracted), name="veneered")
    with serving(
        [Served(System("aligned", aligned, ChatFormat(), aligned.stop_ids)), Served(veneered)]
    ) as there:
        yield there


@pytest.mark.parametrize(("name", "style"), [("aligned", "--chat"), ("veneered", "--plain")])
def test_it_answers_as_the_model_here_does(name, style, running, veneer, extracted, tmp_path):
    far, here = tmp_path / "far.jsonl", tmp_path / "here.jsonl"
    command = ("generate", "--url", running.url, "--model", name, style, *PROMPTS, "--out", far)
    result = veneer(*command)
    assert result.code == 0 and "5 answers" in result.out
    local = (
        ("--model", "lab:aligned")
        if name == "aligned"
        else ("--model", "lab:base", "--veneer", extracted)
    )
    assert veneer("generate", *local, style, *PROMPTS, "--out", here).code == 0
    texts = [[(r.task, r.prompt_id, r.text) for r in read_responses(path)] for path in (far, here)]
    assert texts[0] == texts[1] and any(text for *_, text in texts[0])
    before = far.stat().st_mtime_ns
    assert veneer(*command).code == 0 and far.stat().st_mtime_ns == before, (
        "the same command asks nobody again"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--veneer", "v"), "found --veneer beside --url"),
        (("--alpha", "0.5"), "found --alpha beside --url"),
        (("--base-template", "x {prompt}"), "found --base-template beside --url"),
        (("--plain", "--system", "s"), "found --system beside --plain"),
        (("--chat", "--plain"), "found both --chat and --plain"),
        (("--concurrency", "0"), "concurrency is 0"),
    ],
)
def test_what_does_not_fit_is_one_sentence(options, sentence, veneer, tmp_path):
    done = veneer(
        "generate", "--model", "m", *URL, *PROMPTS, *options, "--out", tmp_path / "o.jsonl"
    )
    assert done.code == 2 and sentence in done.err and "Traceback" not in done.err
    assert not (tmp_path / "o.jsonl").exists()


def test_a_name_that_the_endpoint_does_not_know_leaves_nothing_in_the_way(
    running, veneer, tmp_path
):
    command = ("generate", "--url", running.url, *PROMPTS, "--out", tmp_path / "o.jsonl")
    done = veneer(*command, "--model", "alined")
    assert done.code == 2 and "no model 'alined'" in done.err and not list(tmp_path.iterdir())
    assert veneer(*command, "--model", "aligned").code == 0
