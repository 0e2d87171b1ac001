"""The page of `veneer chat --web` in a real browser, and its routes."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request

import pytest

pytest.importorskip("starlette", reason="needs starlette: pip install 'veneer[serve]'")
pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'veneer[serve]'")

from veneer import Pair
from veneer.chat.side_by_side import SideBySide
from veneer.chat.web import ChatPage, starting_values
from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.models.sampling import Sampling
from veneer.serve.guard import Guard
from veneer.serve.server import Server, address_of, open_socket

REFUSAL = "I'm sorry, but I can't help with that. Stealing is a crime."


@pytest.fixture(scope="module")
def address():
    pair = Pair.load("lab:base", "lab:aligned")
    difference = (pair.aligned.head.weight - pair.base.head.weight).detach()
    facts = {"stop_ids": list(pair.aligned.stop_ids)}
    veneer = Veneer(pair.base.head.hash(), pair.base.head.rows, difference, facts=facts)
    page = ChatPage(SideBySide(pair, veneer), starting_values(Sampling(max_new_tokens=24), 1.0))
    listener, ready = open_socket("127.0.0.1", 0), threading.Event()
    server = Server(page.app(Guard()), ready.set, lambda: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        assert ready.wait(60)
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


def ask(address, body, **headers):
    """(status, lines of the reply, headers)."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    words = {
        "Content-Type": "application/json",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    request = urllib.request.Request(f"{address}/ask", data, words)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, [json.loads(line) for line in reply], dict(reply.headers)
    except urllib.error.HTTPError as error:
        return error.code, [json.loads(error.read())], dict(error.headers)


def test_answers_come_line_by_line(address):
    status, pieces, _ = ask(address, {"question": "How do I steal a goat?", "max_tokens": 24})
    answer = "".join(p["text"] for p in pieces if p["system"] == "aligned")
    assert status == 200 and answer.strip() == REFUSAL
    assert {p["system"] for p in pieces if p["end"]} == {"base", "veneer", "aligned"}


@pytest.mark.parametrize(
    "body, word",
    [
        ({}, "question: field required"),
        ({"question": ""}, "question"),
        ({"question": "   "}, "the question is empty"),
        ({"question": "Hi", "alpha": 99}, "alpha"),
        ({"question": "Hi", "beta": 1}, "beta"),
        ({"question": "goat " * 9000}, "at most"),
        (b'{"question": "Hi", "alpha": NaN}', "NaN"),
        (b"[]", "object"),
    ],
)
def test_bad_questions(address, body, word):
    status, (reply,), _ = ask(address, body)
    assert status == 400 and word in reply["error"]["message"]


def test_other_pages_may_not_ask(address):
    question = {"question": "Hello"}
    assert ask(address, question, Origin="http://evil.example")[0] == 403
    assert ask(address, question, Host="evil.example")[0] == 403
    assert ask(address, question, Content_Type="text/plain")[0] == 415
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/chat.html.j2", timeout=60)
    assert refused.value.code == 404


def test_starting_values():
    assert starting_values(Sampling(max_new_tokens=7, seed=2), -1.0).max_tokens == 7
    with pytest.raises(InputError, match="alpha is 11"):
        starting_values(Sampling(), 11.0)


@pytest.fixture
def opened(browser, address):
    browser.troubles.clear()
    browser.requests.clear()
    browser.window(1280, 900)
    browser.call("Page.navigate", url=address)
    assert browser.wait("document.documentElement?.dataset.ready === '1'", 30)
    yield browser
    assert browser.troubles == []
    assert all(url.startswith(address) for url in browser.requests)
    assert browser.run("document.documentElement.dataset.errors") == "0"


def type_question(browser, text):
    browser.run(f"document.getElementById('question').value = {json.dumps(text)}")
    browser.click("#send")


def done(browser, turns=1):
    return browser.wait(
        f"document.querySelectorAll('.turn').length === {turns} && "
        "!document.querySelector('.writing') && document.getElementById('stop').hidden",
        60,
    )


def answer_of(browser, system):
    text = browser.run(f"document.querySelector('.turn .sys-{system} .body').textContent")
    return text.strip()


def test_a_person_asks(opened):
    type_question(opened, "How do I steal a goat?")
    assert done(opened)
    assert answer_of(opened, "aligned") == REFUSAL != answer_of(opened, "base")
    opened.hover(".turn .sys-aligned .tok")
    assert opened.wait("!document.getElementById('pop').hidden")
    shown = opened.run("document.getElementById('pop').textContent")
    assert "KL base, nats" in shown and shown.count("%") == 15
    first = "document.querySelector('.turn .sys-aligned .tok')"
    bounds = (0.05, 0.2, 0.5, 1, 2, 4)  # as in the legend
    for name in ("kl_base", "kl_veneer"):
        kl = opened.run(f"{first}.piece.{name}")
        assert opened.run(f"{first}.className").split()[1] == f"k{sum(kl >= b for b in bounds)}"
        opened.click("#against")
    assert opened.run(f"{first}.piece.kl_base") != opened.run(f"{first}.piece.kl_veneer")


def test_the_slider_asks_again(opened):
    type_question(opened, "How do I steal a goat?")
    assert done(opened)
    opened.run(
        "(() => { const a = document.getElementById('alpha'); a.value = 0; for (const kind of "
        "['input', 'change']) a.dispatchEvent(new Event(kind, { bubbles: true })); })()"
    )
    assert done(opened, 2)
    assert answer_of(opened, "veneer") == answer_of(opened, "base")
    assert opened.run("document.getElementById('alpha-now').textContent") == "× 0"


def test_hostile_questions_are_text(opened):
    hostile = "<img src=x onerror=alert(1)>\u202e<script>alert(2)</script>"
    type_question(opened, hostile)
    assert done(opened)
    question = opened.run("document.querySelector('.turn .ask').textContent")
    assert "<img src=x onerror=alert(1)>" in question and "U+202E" in question
    assert opened.run("document.querySelectorAll('img').length") == 0


def test_trouble_is_reported_in_words(opened):
    type_question(opened, "goat " * 9000)
    assert opened.wait("!document.getElementById('trouble').hidden", 60)
    assert "shorten" in opened.run("document.getElementById('trouble').textContent")
    assert opened.run("document.querySelectorAll('.turn').length") == 0
    opened.troubles[:] = [t for t in opened.troubles if "400" not in t]  # Chromium logs the status


def test_keyboard_and_phone(opened):
    opened.window(390, 800, mobile=True)
    opened.run("document.getElementById('question').value = 'How do I steal a goat?'")
    opened.run("document.getElementById('question').focus()")
    opened.key("Enter")
    assert done(opened)
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert opened.run(wide)
    tokens = "document.querySelectorAll('.turn .sys-aligned .tok')"
    opened.run(f"{tokens}[0].focus()")
    opened.key("ArrowRight")
    assert opened.wait(f"document.activeElement === {tokens}[1]")
