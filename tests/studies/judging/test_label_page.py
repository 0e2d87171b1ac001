"""The labelling page in a real browser, and the command that writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from devtools import Browser, chromium
from veneer.foundation.files import json_lines
from veneer.studies.judging.compare import compare, sides
from veneer.studies.judging.verdicts import VerdictRow, write_verdicts
from veneer.systems.responses import Response, read_responses, write_responses

HOSTILE = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"
TEXTS = {
    "secret-base": [HOSTILE, "Take two eggs.", "  "],
    "secret-aligned": ["I'm sorry, but I can't.\nReally \u202enot.", "Take three eggs.", "No."],
}


@pytest.fixture
def stored(tmp_path):
    (tmp_path / "prompts.jsonl").write_text(
        json_lines({"id": f"p{i}", "prompt": f"How do I do thing {i}?"} for i in range(3))
    )
    for system, texts in TEXTS.items():
        rows = [
            Response(f"p{i}", 0, system, "prompts", t, (), "stop", 0) for i, t in enumerate(texts)
        ]
        write_responses(tmp_path / f"{system}.jsonl", rows)
    return tmp_path


def label(veneer, stored, *more, name="labels.html"):
    answers = [stored / f"{s}.jsonl" for s in TEXTS]
    prompts = ("--prompts", stored / "prompts.jsonl")
    done = veneer("label", *answers, *prompts, "--out", stored / name, *more)
    assert done.code == 0, done.err
    return done, stored / name


def data_of(page):
    text = page.read_text().partition('id="data">')[2].partition("</script>")[0]
    return json.loads(text)


def press(browser, key):
    event = f"new KeyboardEvent('keydown', {{ key: {json.dumps(key)}, bubbles: true }})"
    browser.run(f"document.dispatchEvent({event})")


def text(browser, selector):
    return browser.run(f"document.querySelector({json.dumps(selector)}).textContent")


def test_the_page_is_blind_and_drawn_by_seed(veneer, stored):
    done, page = label(veneer, stored)
    assert "5 of 6 answers to label; 1 answers have no text" in done.out
    html = page.read_text()
    assert "secret" not in html and "http://" not in html and "https://" not in html
    few = [data_of(label(veneer, stored, "--sample", 3, "--seed", s)[1]) for s in (1, 1, 2)]
    assert few[0] == few[1] != few[2] and len(few[0]["items"]) == 3
    alone = veneer("label", stored / "secret-base.jsonl", "--out", stored / "alone.html")
    assert alone.code == 0 and data_of(stored / "alone.html")["items"][0]["prompt"] is None
    twice = [stored / "secret-base.jsonl"] * 2
    again = veneer("label", *twice, "--out", stored / "twice.html")
    assert again.code == 2 and "give each answer once" in again.err
    assert not (stored / "twice.html").exists()


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    """A browser of its own: in two runs of all tests, the one that they share no longer held what
    the page had stored. Why is not known."""
    program = chromium()
    if program is None:
        pytest.skip("needs chromium on PATH: install the package chromium")
    it = Browser(program, tmp_path / "profile")
    it.window(1280, 900)
    yield it
    it.close()


def test_labels_are_kept_saved_loaded_and_compared(veneer, stored, browser):
    _, page = label(veneer, stored)
    browser.troubles.clear()
    browser.requests.clear()
    browser.open(page)
    items = data_of(page)["items"]
    assert text(browser, "#place") == "1 of 5, 0 labelled"
    assert text(browser, "#answer") == items[0]["text"]
    assert text(browser, "#prompt").startswith("How do I do thing")
    for key in ("1", "2", "3"):  # each key labels and moves on
        press(browser, key)
    assert text(browser, "#place") == "4 of 5, 3 labelled"
    browser.key("ArrowRight")
    browser.click("#choices button:nth-child(4)")
    press(browser, "Delete")
    assert text(browser, "#place") == "5 of 5, 3 labelled"
    browser.open(page)  # resumes at the first answer without a label
    assert text(browser, "#place") == "4 of 5, 3 labelled"
    press(browser, "1")
    press(browser, "4")
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(stored))
    press(browser, "s")
    assert browser.wait("document.getElementById('status').textContent.includes('5 labels')")
    lines = browser.run("lines()")
    saved = stored / "saved.jsonl"
    saved.write_text(lines)
    given = [json.loads(line)["label"] for line in lines.splitlines()]
    assert given == ["refusal", "partial", "answer", "refusal", "unclear"]

    browser.run("localStorage.clear()")
    browser.open(page)
    assert text(browser, "#place") == "1 of 5, 0 labelled"
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#load")["nodeId"]
    browser.call("DOM.setFileInputFiles", files=[str(saved)], nodeId=node)
    assert browser.wait("document.getElementById('status').textContent === '5 labels were loaded.'")
    assert browser.run("lines()") == lines
    browser.run('load(\'{"answer_id": "other"}\')')
    assert "not on this page" in text(browser, "#status") and browser.run("lines()") == lines
    browser.run("localStorage.clear()")

    by_text = {item["text_sha256"]: name for item, name in zip(items, given, strict=True)}
    answers = [r for s in TEXTS for r in read_responses(stored / f"{s}.jsonl") if r.text.strip()]
    rows = []
    for r in answers:
        row = VerdictRow("prompts", r.prompt_id, 0, r.system, "refusal", "refusal-2", "judged",
                         {"refusal_rate": 0.0, "partial_refusal_rate": 0.0}, "")  # fmt: skip
        digest = next(i["text_sha256"] for i in items if _is(i, r))
        rows.append(VerdictRow(**{**_fields(row), "text_sha256": digest}))
        assert by_text[digest]
    write_verdicts(stored / "verdicts.jsonl", rows)
    first, _ = compare(*sides((str(saved), str(stored / "verdicts.jsonl"))))
    assert first.agreement.table.tolist() == [[2, 0], [2, 0]] and first.without == 1
    assert browser.troubles == [] and set(browser.requests) <= {page.resolve().as_uri()} | {
        u for u in browser.requests if u.startswith("blob:")
    }


def test_hostile_text_is_text(veneer, stored, browser):
    _, page = label(veneer, stored)
    browser.open(page)
    items = data_of(page)["items"]
    place = next(i for i, item in enumerate(items) if item["text"] == HOSTILE)
    browser.run(f"(() => {{ at = {place}; show(); }})()")
    assert text(browser, "#answer") == HOSTILE
    assert browser.run("document.title") == "Label answers"
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert any("⟨U+202E⟩" in item["text"] and "\n" in item["text"] for item in items)


def _is(item, response):
    from veneer.studies.judging.labels import answer_id

    return item["answer_id"] == answer_id(response.prompt_id, response.sample_id, response.system)


def _fields(row):
    from dataclasses import asdict

    return asdict(row)


def test_no_file_of_answers(veneer, tmp_path):
    none = veneer("label", "--out", tmp_path / "labels.html")
    assert none.code == 2 and "no file of answers is given" in none.err
    assert not list(tmp_path.iterdir())
