"""What strangers wrote and what names can do: paths that leave the folder, links, templates,
secrets, tables and pages."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tally import PAIR, sentence
from test_damaged_artefacts import refused, state

from forked import Runner
from tiny import tiny, tokenizer
from veneer.cli.main import main
from veneer.foundation.errors import InputError
from veneer.foundation.files import file_name
from veneer.foundation.results import Measurement, Results
from veneer.models import templates
from veneer.models.templates import render
from veneer.report import write_report
from veneer.systems.partial_file import PartialFile
from veneer.systems.stamp import Stamp

NAMES = [
    "../escaped",
    "/tmp/veneer-escaped",
    "..",
    "a/../../escaped",
    "a\x00b",
    "a" * 300,
    "-rf",
    "~root",
    "CON",
    "a\nb",
    "\u202egnp.exe",
    "%2e%2e%2f",
]
SHORT = ("--limit", 2, "--max-new-tokens", 4)


@pytest.mark.parametrize("name", NAMES)
def test_names_do_not_leave_the_folder(name, tally, tmp_path, capfd):
    """As a task's name, a prompt's id, a system's name in stored answers, and an
    own task's group."""
    inside = tmp_path / "in"
    inside.mkdir()
    before = set(tmp_path.parent.iterdir())
    with tally.fault("path traversal in a name"):
        own = inside / "own.jsonl"
        own.write_text(
            json.dumps({"task": {"name": name, "scorer": "exact"}})
            + '\n{"prompt": "a", "answer": "b"}\n'
        )
        if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) is None:
            refused(
                capfd,
                "measure",
                *PAIR,
                "--veneer",
                inside,
                "--tasks",
                f"file:{own}",
                "--out",
                inside / "out",
            )
    with tally.fault("path traversal in a name"):
        prompts_file = inside / "asked.jsonl"
        prompts_file.write_text(json.dumps({"id": name, "prompt": "What is 2 plus 2?"}) + "\n")
        assert (
            main(
                [
                    "capture",
                    *PAIR,
                    "--prompts",
                    str(prompts_file),
                    "--max-new-tokens",
                    "4",
                    "--out",
                    str(inside / "capture"),
                ]
            )
            == 0
        )
        record = json.loads((inside / "capture" / "prompts.jsonl").read_text())
        assert record["id"] == name
    with tally.fault("path traversal in a name"):
        stored = inside / "stored.jsonl"
        stored.write_text(
            json.dumps({"prompt_id": name, "system": name, "task": name, "text": "a"}) + "\n"
        )
        assert main(["import", str(stored), "--out", str(inside / "imported.jsonl")]) == 0
    names = {p.name for p in inside.iterdir()}
    assert names == {"own.jsonl", "asked.jsonl", "capture", "stored.jsonl", "imported.jsonl"}, names
    assert set(tmp_path.parent.iterdir()) == before and not Path("/tmp/veneer-escaped").exists()


def test_links_in_the_folder_lead_nowhere(artefacts, tally, tmp_path, capfd):
    """Files that a stranger has put there as links: what they point to stays as it is."""
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    generate = ("generate", "--model", "lab:base", "--prompts", "lab-sums", *SHORT, "--out")
    for name in ("a.jsonl.part", ".lock"):
        (tmp_path / "links").mkdir(exist_ok=True)
        (tmp_path / "links" / name).symlink_to(mine)
    with tally.fault("link in the out folder"):
        refused(capfd, *generate, tmp_path / "links" / "a.jsonl")
    with tally.fault("link in the out folder"):
        refused(capfd, "extract", artefacts["capture"], "--out", tmp_path / "links")
    with tally.fault("link in the out folder"):
        (tmp_path / "b.jsonl.manifest.json").symlink_to(mine)
        assert main([str(w) for w in (*generate, tmp_path / "b.jsonl")]) == 0
    with tally.fault("link in the out folder"):
        folder, away = tmp_path / "study", tmp_path / "away"
        shutil.copytree(artefacts["study"], folder)
        away.mkdir()
        (away / ".mine.part").write_text("mine")
        (folder / "linked").symlink_to(away)
        run = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**run, "finished": False}))
        measure = (
            "measure",
            *PAIR,
            "--veneer",
            artefacts["veneer"],
            "--tasks",
            "lab-sums",
            "--limit",
            4,
            "--max-new-tokens",
            6,
        )
        assert main([str(w) for w in (*measure, "--no-controls", "--out", folder)]) == 0
        assert (away / ".mine.part").read_text() == "mine"
    with tally.fault("link in the out folder"):  # somebody's own file of that name
        (tmp_path / "c.jsonl.part").write_text("half a download")
        refused(capfd, *generate, tmp_path / "c.jsonl")
        assert (tmp_path / "c.jsonl.part").read_text() == "half a download"
    assert mine.read_text() == "mine"


TEMPLATES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch {mark}') }}",
    "{{ strftime_now.__globals__['os'].popen('touch {mark}') }}",
    "{{ (''|attr('__class__')) }}",
    "{{ '{0.__class__.__init__}'.format(self) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{{ raise_exception.__globals__ }}",
    "{{ 1 / 0 }}",
    "{% if %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ 'a' * 10**13 }}",
    "{{ 'a' * (17 * 2**20) }}",
    "{{ range(10**9) }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}abc{% endfor %}{% endfor %}",
]


@pytest.mark.parametrize("number", range(len(TEMPLATES)))
def test_a_chat_template_can_neither_reach_out_nor_go_on_for_ever(
    number, tally, tmp_path, monkeypatch
):
    import copy

    monkeypatch.setattr(templates, "SECONDS", 0.5)
    tok, mark = copy.deepcopy(tokenizer()), tmp_path / "ran"
    tok.chat_template = TEMPLATES[number].replace("{mark}", str(mark))
    with tally.fault("hostile chat template"):
        started = time.process_time()
        try:
            ids = render(tok, [{"role": "user", "content": "a"}], add_generation_prompt=True)
        except InputError as error:
            assert "chat template" in str(error) and "\n" not in str(error)
        else:
            text = tok.decode(ids)
            assert (
                "class" not in text
                and "root:" not in text
                and "module" not in text
                and len(text) < 2**24
            )
        assert not mark.exists() and time.process_time() - started < 15


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "model.pth", "model.pkl", "adapter_model.bin"]
)
def test_pickles_are_not_opened(name, tally, tmp_path, capfd):
    lm = tiny()
    lm.model.save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    mark = tmp_path / "ran"
    (tmp_path / "model" / name).write_bytes(
        b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    )
    if name.startswith("adapter"):
        (tmp_path / "model" / "adapter_config.json").write_text(
            '{"base_model_name_or_path": "lab:base", "peft_type": "LORA"}'
        )
    with tally.fault("pickle in place of weights"):
        refused(
            capfd,
            "generate",
            "--model",
            tmp_path / "model",
            "--prompts",
            "lab-sums",
            *SHORT,
            "--out",
            tmp_path / "out.jsonl",
        )
        assert not mark.exists()


SECRETS = {
    "OPENAI_API_KEY": "sk-veneer-key-0123456789",
    "HF_TOKEN": "hf_veneerTokenAbcdefgh",
    "MY_SECRET": "correct-horse-battery",
}
ADDRESSES = [
    "https://user:pass-word-77@127.0.0.1:9/v1",
    "http://127.0.0.1:9/v1?api_key=pass-word-77",
    "http://127.0.0.1:9/v1#token=pass-word-77",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_secrets_in_addresses_are_not_said(address, tally, tmp_path, capfd):
    for place in (
        ("run", *PAIR, "--tasks", "lab-sums", "--judge-url", address, "--judge-model", "m"),
        ("generate", "--model", address, "--prompts", "lab-sums"),
        ("generate", "--model", "lab:base", "--prompts", address),
        ("capture", *PAIR, "--prompts", f"hf://{address}"),
    ):
        with tally.fault("secret that might be told"):
            sentence = refused(capfd, *place, "--out", tmp_path / "out")
            assert "pass-word-77" not in sentence or (
                "#" in address and "--judge-url" not in place
            ), sentence
            assert not list(tmp_path.iterdir())


def test_no_secret_is_in_any_file_of_a_study(artefacts, runner, tally, tmp_path):
    """A judge behind an endpoint that says back what it was sent, keys and all: files, stdout and
    stderr are searched."""
    from faulty_server import serving

    pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
    own = tmp_path / "own.jsonl"
    header = {
        "task": {"name": "own", "scorer": "judge:strongreject", "metric": "strongreject_score"}
    }
    own.write_text(
        json.dumps(header)
        + "\n"
        + "".join(json.dumps({"prompt": f"Say {i}."}) + "\n" for i in range(3))
    )
    out = tmp_path / "out"
    with serving(lambda c: c.say(f"I was told {c.handler.headers['authorization']}")) as server:
        command = (
            "measure",
            *PAIR,
            "--veneer",
            artefacts["veneer"],
            "--tasks",
            f"file:{own},lab-sums",
            "--max-new-tokens",
            4,
            "--limit",
            3,
            "--no-controls",
            "--judge-url",
            server.url,
            "--judge-model",
            "stand-in",
            "--out",
            out,
        )
        ended = runner.run(*command, env=SECRETS)
        assert server.headers, ended.err[-600:]
        assert any(SECRETS["OPENAI_API_KEY"] in str(h) for h in server.headers), (
            "the key must reach the endpoint"
        )
    texts = {"stdout": ended.out.encode(), "stderr": ended.err.encode(), **state(out)}
    for name, text in texts.items():
        with tally.fault("secret that might be told"):
            assert not [k for k, v in SECRETS.items() if v.encode() in text], f"in {name}"


class Hub(BaseHTTPRequestHandler):
    """A hub that answers everything with what `how` says."""

    how = "404"
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        status = {"404": 404, "500": 500, "garbage": 200, "html": 200, "401": 401}[self.how]
        body = {"garbage": b"\x00\xff" * 300, "html": b"<html>login</html>"}.get(self.how, b"{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def online(tmp_path_factory) -> Iterator[tuple[type[Hub], Runner, Path]]:
    """A hub whose answers are chosen, a runner of commands that ask it, and its cache: its address
    is read once, when its library is imported."""
    handler = type("Handler", (Hub,), {})
    home = tmp_path_factory.mktemp("home")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    it = Runner(
        {
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        }
    )
    yield handler, it, home
    it.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "how", ["offline", "404", "401", pytest.param("500", marks=pytest.mark.slow), "garbage", "html"]
)
def test_names_that_the_hub_does_not_know(how, online, runner, tally, tmp_path):
    handler, asking, home = online
    shutil.rmtree(home, ignore_errors=True)  # the library remembers what a hub does not have
    handler.how, handler.requests = how, 0
    words = ("--model", "nobody/no-such-model", "--prompts", "lab-sums", "--limit", 1)
    out = tmp_path / "out.jsonl"
    with tally.fault("hub name that does not exist"):
        ended = (runner if how == "offline" else asking).run(
            "generate", *words, "--out", out, env=SECRETS
        )
        message = sentence(ended)
        assert "nobody/no-such-model" in message
        assert not [v for v in SECRETS.values() if v in ended.err]
        assert not out.exists()
        assert (handler.requests == 0) == (how == "offline")


FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http://x")',
    "\n=1",
    " =1",
    "＝1+1",
]
SCRIPTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}",
    "<!--",
    "]]>",
    "\u202e<b>",
    "&lt;script&gt;",
    "${alert(1)}",
    "`",
    "<a href='data:text/html,x'>",
]
# elements that only a text could have made
ELEMENTS = "img, svg[onload], iframe, object, embed, base, a[href^=javascript], a[href^=data]"


def study_of(folder: Path, texts: list[str]) -> Path:
    folder.mkdir()
    rows = [
        Measurement("measure", t, "accuracy", s, 0.5, 9, 0.1, 0.9, judge=t, note=t, unit=t)
        for t in texts
        for s in ("base", "veneer", t)
    ]
    Results(rows).write(folder / "results.jsonl")
    (folder / "run.json").write_text(
        json.dumps(
            {
                "command": texts[0],
                "pair": {"base": {"name": texts[0]}},
                "config": {t: t for t in texts},
            }
        )
    )
    token = {"prompt_id": texts[0], "task": texts[0], "system": texts[0], "finish_reason": "stop"}
    (folder / "tokens.jsonl").write_text(
        "".join(
            json.dumps({**token, "prompt": t, "text": t, "tokens": [t, t]}) + "\n" for t in texts
        )
    )
    shifts = (
        {
            "base": t,
            "veneer": t,
            "aligned": "x",
            "count": 2,
            "shift": "shifted",
            "restored": False,
            "task": t,
        }
        for t in texts
    )
    (folder / "shifts.jsonl").write_text("".join(json.dumps(s) + "\n" for s in shifts))
    return folder


def test_a_table_holds_no_formulas(tally, tmp_path):
    import csv

    from veneer.report.export import write_tables

    write_tables([study_of(tmp_path / "study", FORMULAS)], tmp_path / "tables")
    cells = [
        c
        for f in (tmp_path / "tables").glob("*.csv")
        for row in csv.reader(f.open(newline="", encoding="utf-8"))
        for c in row
    ]
    for text in FORMULAS:
        with tally.fault("formula in a table"):
            bad = [
                c
                for c in cells
                if c[:1] in ("=", "+", "@", "\t", "\r", "\n", "＝") or re.match(r"\s*[=＝+@]", c)
            ]
            assert not bad and any(text.strip()[1:4] in c for c in cells), bad


def test_a_page_runs_no_text(tally, tmp_path):
    """In a real browser: nothing is run, nothing is asked for, no element is made
    of anybody's text."""
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "report"))
    from devtools import Browser, chromium

    program = chromium()
    if program is None:
        pytest.skip("needs chromium on PATH: install the package chromium")
    page = tmp_path / "report.html"
    write_report([study_of(tmp_path / "study", SCRIPTS)], page)
    browser = Browser(program, tmp_path / "profile")
    try:
        browser.open(page)
        for text in SCRIPTS:
            with tally.fault("HTML or script in a text"):
                assert browser.troubles == [] and browser.requests == [page.resolve().as_uri()]
                assert browser.run(f"document.querySelectorAll({json.dumps(ELEMENTS)}).length") == 0
                assert (
                    browser.run("document.body.textContent").count(text.strip("\u202e")[:6]) > 0
                    or "\u202e" in text
                )
    finally:
        browser.close()


def test_a_part_that_is_somebody_elses_is_left(tmp_path, tally):
    with tally.fault("link in the out folder"):
        path = tmp_path / "x.part"
        path.write_bytes(b"\x00\x01 not ours")
        with pytest.raises(InputError, match="no file of unfinished answers"):
            PartialFile(path, Stamp("stamp"), [[0]])
        assert path.read_bytes() == b"\x00\x01 not ours"


@pytest.mark.parametrize("name", NAMES)
def test_a_systems_name_is_no_path(name, tally, tmp_path):

    with tally.fault("path traversal in a name"):
        path = tmp_path / "responses" / f"task.{file_name(name)}.jsonl"
        assert path.resolve().parent == (tmp_path / "responses").resolve()
        path.parent.mkdir()
        path.write_text("a")
        assert file_name(name + "x") != file_name(name)
