"""`veneer serve` as a process: where it listens, how it ends, and what it refuses before
it loads anything."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from veneer.cli import main
from veneer.cli.serve import ServeCommand, ServeTemplates
from veneer.head.veneer import Veneer
from veneer.models.load import load_model
from veneer.serve.server import open_socket


@pytest.fixture(scope="module")
def veneer(tmp_path_factory) -> str:
    base, aligned = load_model("lab:base"), load_model("lab:aligned")
    change = (aligned.head.weight - base.head.weight).detach()
    return str(
        Veneer(base.head.hash(), base.head.rows, change).save(
            tmp_path_factory.mktemp("serve") / "veneer"
        )
    )


def test_it_says_where_it_listens_and_ends_in_order(veneer, tmp_path):
    command = [
        sys.executable,
        "-c",
        "import veneer.cli; veneer.cli.entry()",
        "serve",
        "--model",
        "lab:base",
        "--veneer",
        veneer,
        "--port",
        "0",
        "--key-env",
        "SERVE_TEST_KEY",
    ]
    env = {**os.environ, "SERVE_TEST_KEY": "k-e-y-0123", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        output = ""
        try:
            for line in process.stderr:
                output += line
                if match := re.search(
                    r"serving base, veneer at (http://127\.0\.0\.1:\d+/v1)", line
                ):
                    break
            assert match, output
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(match[1] + "/models", timeout=60)
            request = urllib.request.Request(
                match[1] + "/models", headers={"Authorization": "Bearer k-e-y-0123"}
            )
            with urllib.request.urlopen(request, timeout=60) as reply:
                assert [m["id"] for m in json.loads(reply.read())["data"]] == ["base", "veneer"]
            process.send_signal(signal.SIGINT)
            out, rest = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (
        process.returncode == 0
        and not out
        and "k-e-y-0123" not in output + rest
        and "Traceback" not in rest
    )
    assert not list(tmp_path.iterdir()), "it writes nothing"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--host", "0.0.0.0"], "no key is set"),
        (["--host", "::"], "no key is set"),
        (["--key-env", "SERVE_TEST_NO_SUCH_KEY"], "SERVE_TEST_NO_SUCH_KEY is empty or not set"),
        (["--large", "lab:large-base"], "--large without --veneer"),
        (["--alpha", "1,2"], "add --large"),
        (["--alpha", "1.5@10"], "add --large"),
        (["--alpha", "much"], "alpha is 'much'"),
        (["--chat", "--base-template", "{prompt}"], "found both"),
        (["--aligned", "lab:aligned", "--veneer", "v"], "no base model"),
        (["--port", "-1"], "--port is -1"),
        (["--port", "99999"], "65535 at most"),
        (["--max-tokens", "0"], "--max-tokens is 0"),
        (["--host", "no.such.host.invalid", "--key-env", "HOME"], "cannot be listened on"),
        (["--veneer", "no-such-folder"], "veneer.json does not exist"),
    ],
)
def test_bad_input(words, sentence, capsys):
    defaults = [] if "--port" in words else ["--port", "0"]
    model = [] if "--model" in words or "--aligned" in words else ["--model", "lab:base"]
    assert main(["serve", *model, *defaults, *words]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("veneer: error: ") and sentence in last


def test_a_port_in_use(capsys):
    listener = open_socket("127.0.0.1", 0)  # of a server that still loads its models
    assert main(["serve", "--model", "lab:base", "--port", str(listener.getsockname()[1])]) == 2
    assert "cannot be listened on" in capsys.readouterr().err
    listener.close()


def test_systems_over_models_that_are_loaded_once(veneer):
    served = ServeCommand(
        model="lab:base",
        veneer=veneer,
        large="lab:large-base",
        aligned="lab:aligned",
        alpha="1,1.5@10,2",
    ).served()
    systems = {s.id: s.system for s in served}
    assert list(systems) == [
        "base",
        "veneer",
        "large",
        "shifted-1",
        "shifted-1.5@10",
        "shifted-2",
        "aligned",
    ]
    assert (
        systems["base"].lm
        is systems["veneer"].lm
        is systems["shifted-1"].small
        is systems["shifted-2"].small
    )
    assert systems["large"].lm is systems["shifted-1"].large is systems["shifted-1.5@10"].large
    half = ServeCommand(model="lab:base", veneer=veneer, alpha="0.5").served()[1]
    assert half.facts()["alpha"] == 0.5 and half.facts()["veneer"] == Veneer.load(veneer).identity()
    assert [s.id for s in ServeCommand(model="lab:base").served()] == ["base"]
    assert [s.id for s in ServeCommand(aligned="lab:aligned").served()] == ["aligned"]


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        ({"model": "lab:aligned"}, True),
        ({"model": "lab:aligned", "templates": ServeTemplates(join_turns=True)}, True),
        ({"model": "lab:aligned", "templates": ServeTemplates(chat=True)}, False),
        ({"model": "lab:aligned", "templates": ServeTemplates(base_template="plain")}, False),
        ({"aligned": "lab:aligned"}, False),
    ],
)
def test_a_base_with_a_chat_template_that_reads_plain_text_says_so(words, warned, caplog):
    caplog.set_level(logging.WARNING, "veneer")
    ServeCommand(**words).served()
    warning = "reads chat requests as plain text; give --chat for the template, or --base-template"
    assert (warning in caplog.text) is warned


def test_a_base_with_its_veneer_is_silent(veneer, caplog):
    caplog.set_level(logging.WARNING, "veneer")
    ServeCommand(model="lab:base", veneer=veneer).served()
    assert "plain text" not in caplog.text


def test_help_says_defaults_and_units(capsys):
    assert main(["serve", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "127.0.0.1",
        "in tokens",
        "in bytes",
        "default: 8000",
        "default: 1024",
        "--key-env",
        "exit code 0",
    ):
        assert words in text, words


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(package, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["serve", "--model", "lab:base"]) == 2
    assert "pip install 'veneer[serve]'" in capsys.readouterr().err
