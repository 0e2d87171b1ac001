"""The page as text: what it says, that nothing breaks out of it, and that it stays small."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

from hostile_texts import BIDI, IMAGE, LONG, SCRIPT
from made_up_figures import figures
from made_up_study import write_study
from veneer.foundation.results import Measurement
from veneer.report import blob, render
from veneer.report.load import load
from veneer.report.pack import pack_responses
from veneer.report.tables import groups, headline
from veneer.report.visible import INVISIBLE, script_pattern, visible
from veneer.report.words import figure, lead, verdict


class Page(HTMLParser):
    """Collects ids, links, tags and the text of script elements."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.tags.append((tag, a))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")
        if "id" in a:
            self.ids.append(a["id"])
        if tag == "a":
            self.links.append(a["href"])

    def handle_endtag(self, tag):
        if tag == "script":
            self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data


def data_of(parsed: Page, name: str):
    """What a data element of the page holds."""
    at = next(i for i, a in enumerate(scripts(parsed)) if a.get("id") == f"{name}-data")
    return blob.unpack(parsed.scripts[at])


def scripts(parsed: Page) -> list[dict]:
    return [a for tag, a in parsed.tags if tag == "script"]


def test_nothing_breaks_out(page):
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<img" not in text.lower()
    assert not any(c in text for c in "\x00\u2028\u2029\u202e\u2066\ud800")
    parsed = Page(text)
    kinds = [a.get("type") for tag, a in parsed.tags if tag == "script"]
    assert (
        kinds.count(None) == 1
        and kinds[-1] is None
        and set(kinds[:-1]) == {"application/octet-stream"}
    )
    assert all(re.fullmatch("[A-Za-z0-9+/=]+", data) for data in parsed.scripts[:-1])
    assert not any(k.startswith("on") for _, a in parsed.tags for k in a)
    tokens = data_of(parsed, "s1-responses")["tokens"]
    assert SCRIPT in tokens and IMAGE in tokens and BIDI in tokens
    cut = next(i for i, t in enumerate(tokens) if t == LONG[: len(t)] and len(t) > 1)
    assert len(tokens[cut]) == 200 and data_of(parsed, "s1-responses")["long"][str(cut)] == 100_000


def test_no_network_by_construction(page):
    parsed = Page(page.read_text(encoding="utf-8"))
    policy = next(
        a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(parsed.scripts[-1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src "
        "data:; base-uri 'none'; form-action 'none'"
    )
    for _, a in parsed.tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert name not in a or a[name].startswith(("#", "data:,"))
    assert "innerHTML" not in parsed.scripts[-1] and "insertAdjacentHTML" not in parsed.scripts[-1]


def test_every_figure_leads_to_a_row(page):
    parsed = Page(page.read_text(encoding="utf-8"))
    assert len(parsed.ids) == len(set(parsed.ids))
    assert len([x for x in parsed.links if x.startswith("#s1-r")]) > 100
    assert {x[1:] for x in parsed.links} <= set(parsed.ids)
    assert sum(bool(re.fullmatch(r"s1-r[0-9a-f]{8,}", i)) for i in parsed.ids) == len(figures())


def test_tables_have_captions_and_charts_have_titles(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("<table") == text.count("<caption")
    for svg in re.findall(r'<svg class="(?:lane|chart)[^>]*role="img".*?</svg>', text, re.S):
        assert "<title" in svg


def test_the_same_folders_give_the_same_page(study):
    assert render([study]) == render([study])


def test_several_studies_on_one_page(study, tmp_path):
    parsed = Page(render([study, write_study(tmp_path / "other", prompts=2)]))
    assert len(parsed.ids) == len(set(parsed.ids))
    assert {x[1:] for x in parsed.links} <= set(parsed.ids)
    assert {"s1", "s2", "s2-results"} <= set(parsed.ids)


def test_500_responses_stay_below_5_mb(tmp_path):
    folder = write_study(tmp_path / "large", prompts=167, length=128)
    text = render([folder])
    assert len(text.encode()) < 5_000_000
    parsed = Page(text)
    assert len(data_of(parsed, "s1-responses")["rows"]) == 167 * 3 + 3
    assert "positions with the greatest KL" not in text and "left out" not in text  # all of it fits
    pieces = [
        blob.unpack(text)
        for a, text in zip(scripts(parsed), parsed.scripts, strict=True)
        if "top-" in a.get("id", "")
    ]
    assert sum(len(lists) for piece in pieces for lists in piece) == sum(
        len(r.tokens) for r in load(folder).responses
    )


def test_top_lists_go_before_responses(study):
    responses = load(study).responses
    full = pack_responses(responses, 4_000_000)
    assert not full.notes

    def size(packed):
        return len(blob.pack(packed.data)) + sum(len(piece) for piece in packed.tops)

    tight = pack_responses(responses, 30_000)
    assert size(tight) < 30_000 < size(full)
    assert len(tight.data["rows"]) == len(full.data["rows"]) and "greatest KL" in tight.notes[0]
    tiny = pack_responses(responses, 9_000)
    assert size(tiny) < 9_000
    assert 0 < len(tiny.data["rows"]) < len(full.data["rows"]) and "left out" in tiny.notes[0]
    heads = tiny.data["prompts"]
    assert {r["q"] for r in tiny.data["rows"]} == set(range(len(heads)))


def test_data_gives_back_what_went_in():
    values = [
        "</script>",
        "<!--",
        "&amp;",
        "\u2028\u2029",
        "\u202e",
        "\U000e0041",
        "\x00\x7f",
        "é 漢 😀",
        "\ud800",
    ]
    text = blob.pack(values)
    assert blob.unpack(text) == values
    assert re.fullmatch("[A-Za-z0-9+/=]+", text)


def test_invisible_characters_are_spelled_out():
    assert visible("a\u202eb\x00\ud800\u200b") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+D800⟩⟨U+200B⟩"
    assert visible("é 漢 😀\n\tא") == "é 漢 😀\n\tא"
    assert visible("x" * 3000, 10) == "xxxxxxxxxx… (3,000 characters in all)"
    assert script_pattern().count("{") == 2 * len(INVISIBLE)


def test_figures_in_words():
    assert [
        figure(x) for x in (None, 0.0, 0.4567, -0.25, 2e-6, 12.345, 123.456, 98765.4, 3e13)
    ] == [
        "–",
        "0.000",
        "0.457",
        "−0.250",
        "2.0e−6",
        "12.35",
        "123.5",
        "98,765",
        "3.0e+13",
    ]


def portion(value, low, high, system="veneer", **more):
    return Measurement(
        "measure", "t", "portion", system, value, 50, low, high, of="accuracy", **more
    )


def test_the_sentence_is_computed():
    headlines = headline(groups(r for r in figures() if r.study == "measure"))
    sentence = lead(headlines, lambda row: "x").striptags()
    assert (
        "1.00 of the change in refusal rate on advbench (95 % interval 0.91 to 1.08, n = 50)"
        in sentence
    )
    assert (
        "0.47 of the change in accuracy on svamp" in sentence
        and "On xstest it is not defined." in sentence
    )
    # empty_rate does not lead
    assert [g.of for g in headlines] == [
        "refusal_rate",
        "accuracy",
        "refusal_rate",
        "toxicity_rate",
    ]


def test_no_portion_is_defined():
    """For either reason: a difference that may be 0, and one that few prompts leave uncertain."""
    rows = [
        Measurement(
            "measure",
            "advbench",
            "portion",
            "veneer",
            value=None,
            of="refusal_rate",
            n=2,
            split="test",
        )
    ]
    assert lead(groups(rows), lambda row: "x") == (
        "No superficial portion is defined: the difference of aligned and base may be 0, or is "
        "too uncertain to divide by."
    )


def test_a_portion_above_1_does_not_lead():
    """It says that more changes than alignment changed, such as over-refusal, and is no success."""
    rows = [
        dataclasses.replace(portion(v, low, high), task=task)
        for task, v, low, high in (("svamp", 0.5, 0.3, 0.7), ("xstest", 1.7, 1.1, 3.5))
    ]
    sentence = lead(groups(rows), lambda row: "x").striptags()
    assert sentence.startswith(
        "A change of the last layer alone carries 0.50 of the change in accuracy"
    )
    assert sentence.endswith(
        "On xstest (1.70, 95 % interval 1.10 to 3.50, n = 50) the portion lies above 1: more "
        "changes than alignment changed."
    )
    alone = lead(groups(rows[1:]), lambda row: "x").striptags()
    assert alone.startswith("On xstest (1.70")


def test_verdicts_follow_the_interval():
    def sentence(*rows):
        return verdict(groups(rows)[0], lambda row: "x").striptags()

    assert "wholly" in sentence(portion(1.0, 0.93, 1.02))
    assert "Part of the change" in sentence(portion(0.5, 0.4, 0.6))
    assert "holds 1" in sentence(portion(0.9, 0.7, 1.1))
    assert "holds 0" in sentence(portion(0.3, -0.1, 0.7))
    assert "Hardly" in sentence(portion(0.05, 0.01, 0.09))
    assert "away" in sentence(portion(-0.5, -0.8, -0.2))
    assert "hint" in sentence(portion(0.5, None, None))
    assert "intervals overlap" in sentence(
        portion(0.5, 0.4, 0.6), portion(0.4, 0.3, 0.5, "shuffled")
    )
    assert "clearly less" in sentence(portion(0.5, 0.4, 0.6), portion(0.1, 0.0, 0.2, "shuffled"))


def test_rows_as_the_studies_write_them(page):
    """The noise floor stands in a split of its own and has no position; a task's rows hold its own
    and the joint veneer."""
    text = page.read_text(encoding="utf-8")
    assert "noise floor: 2.0e−6" not in text and "noise floor 2.0e−6" in text
    assert "the noise floor is 2.0e−6 at most" in text
    assert "veneer, deduplicated (n = 34)" in text and "veneer-joint" in text
    assert text.count('<figure class="curve">') == 2 and "positions hold" in text
    assert "Figures by response position" in text
