"""The page in a real browser: quiet, offline, and it does what its controls say."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from hostile_texts import IMAGE, SCRIPT
from made_up_figures import figures
from made_up_study import responses, shifts, write_study
from veneer.report import write_report


@pytest.fixture
def opened(browser, page):
    browser.troubles.clear()
    browser.requests.clear()
    browser.window(1280, 900)
    browser.open(page)
    yield browser
    assert browser.troubles == []
    assert browser.requests == [page.resolve().as_uri()]  # itself and nothing else
    assert browser.run("document.documentElement.dataset.errors") == "0"


def fill(browser, selector, value):
    browser.run(
        f"(() => {{ const f = document.querySelector({json.dumps(selector)}); f.value = "
        f"{json.dumps(value)};"
        " f.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def text(browser, selector):
    return browser.run(f"document.querySelector({json.dumps(selector)}).textContent")


def count(browser, selector):
    return browser.run(f"document.querySelectorAll({json.dumps(selector)}).length")


def test_hostile_text_is_text(opened):
    page_text = text(opened, ".list")
    fill(opened, ".shifts [data-f=find]", "alert(1)")
    for section in ("shifts", "deep", "run", "results", "more"):
        assert SCRIPT in text(opened, f"#s1-{section}") or IMAGE in text(
            opened, f"#s1-{section}"
        ), section
    assert (
        SCRIPT in page_text
        and IMAGE in page_text
        and "U+202E" in page_text
        and "U+0000" in page_text
        and "U+D800" in page_text
    )
    assert "(100,000 characters)" in page_text and "\u202e" not in page_text
    assert (
        count(opened, "img") == 0
        and count(opened, "article script:not([type='application/octet-stream'])") == 0
    )


def test_shifts_filter(opened):
    rows = ".shifts tbody tr"
    assert count(opened, rows) == 15
    assert {"shifted"} == set(
        opened.run(
            f"[...document.querySelectorAll('{rows} td:nth-child(5)')].map((c) => c.textContent)"
        )
    )
    fill(opened, ".shifts [data-f=class]", "1")
    assert count(opened, rows) == 1 and text(opened, ".shifts output") == "1 kinds, 97 places"
    fill(opened, ".shifts [data-f=class]", "")
    fill(opened, ".shifts [data-f=restored]", "0")
    missed = sum(not row["restored"] for row in shifts())
    assert count(opened, rows) == 15 and text(opened, ".shifts output").startswith(
        f"{missed} kinds"
    )
    fill(opened, ".shifts [data-f=find]", "ALERT(1)")
    assert count(opened, rows) == 1 and SCRIPT in text(opened, rows)


def test_a_kind_of_shift_of_two_tasks_is_one_row(browser, tmp_path):
    kind = {
        "base": "x",
        "veneer": "y",
        "aligned": "y",
        "count": 3,
        "shift": "shifted",
        "restored": True,
    }
    folder = write_study(tmp_path / "s")
    rows = [kind | {"task": "one"}, kind | {"task": "two", "count": 4}]
    (folder / "shifts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_report([folder], tmp_path / "report.html")
    browser.open(tmp_path / "report.html")
    assert count(browser, ".shifts tbody tr") == 1
    assert text(browser, ".shifts tbody tr td:nth-child(4)") == "7"
    assert text(browser, ".shifts output") == "1 kinds, 7 places"


def test_paper_is_white_where_the_screen_is_dark(opened):
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    paper = "getComputedStyle(document.documentElement).getPropertyValue('--mute')"
    screen = opened.run(paper)
    opened.call("Emulation.setEmulatedMedia", media="screen", features=dark)
    assert opened.run(paper) != screen
    opened.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert opened.run(paper) == screen
    opened.call("Emulation.setEmulatedMedia", media="", features=[])


def test_signs_for_spaces_copy_as_spaces(opened):
    opened.run(
        "getSelection().selectAllChildren(document.querySelector('.shifts tbody tr:nth-child(2) "
        "td:nth-child(2) code'))"
    )
    assert opened.run("getSelection().toString()") == " To"
    assert (
        opened.run("getComputedStyle(document.querySelector('.shifts .ws'), '::before').content")
        == '"↵"'
    )


def test_hover_shows_the_figures(opened):
    opened.hover(".prompt:nth-child(2) .body .tok")
    assert opened.wait("!document.getElementById('pop').hidden")
    page_text = text(opened, "#pop")
    assert "KL base, nats" in page_text and "token 1 of 20" in page_text and "%" in page_text
    assert count(opened, "#pop .tops li") == 15
    opened.hover("h1")
    assert opened.run("document.getElementById('pop').hidden") is True


def test_tap_pins_and_escape_closes(opened):
    opened.click(".prompt:nth-child(2) .body .tok")
    opened.hover("h2")
    opened.click(".prompt:nth-child(2) .body .tok")
    assert opened.run("document.getElementById('pop').className") == "pop pinned"
    opened.key("Escape")
    assert opened.run("document.getElementById('pop').hidden") is True


def test_keyboard_walks_tokens_and_tells_a_screen_reader(opened):
    opened.run("document.querySelector('.browser [data-f=find]').focus()")
    for _ in range(12):
        opened.key("Tab")
        if opened.run("document.activeElement.matches('.body .tok')"):
            break
    opened.key("ArrowRight")
    assert opened.run("document.activeElement.dataset.i") == "1"
    assert opened.wait("document.getElementById('status').textContent.includes('position 2')")
    assert opened.run("document.getElementById('pop').hidden") is False


def test_responses_filter_search_and_page(opened):
    assert count(opened, ".prompt") == 4 and text(opened, ".browser output") == "15 prompts"
    assert text(opened, ".browser .pager span") == "Page 1 of 4"
    opened.run("[...document.querySelectorAll('.browser .pager button')][1].click()")
    assert text(opened, ".browser .pager span") == "Page 2 of 4"
    fill(opened, ".browser [data-f=task]", "1")
    assert text(opened, ".browser output") == "7 prompts" and "svamp" in text(opened, ".prompt .id")
    fill(opened, ".browser [data-f=task]", "")
    fill(opened, ".browser [data-f=find]", "onerror=")
    assert text(opened, ".browser output") == "1 prompt"


def test_responses_filter_by_disagreement(opened):
    rows = responses()
    texts = {}
    for r in rows:
        texts.setdefault(r["prompt_id"], {})[r["system"]] = " ".join(r["text"].split()).lower()
    three = [(t["base"], t["veneer"], t["aligned"]) for t in texts.values()]
    for how, expected in {
        "differ": sum(v != a for _, v, a in three),
        "taken": sum(v == a != b for b, v, a in three),
        "kept": sum(v == b != a for b, v, a in three),
        "none": sum(b == v == a for b, v, a in three),
    }.items():
        fill(opened, ".browser [data-f=texts]", how)
        assert text(opened, ".browser output").startswith(f"{expected} prompt"), how
        assert 0 < expected < len(three) or how == "none"
    fill(opened, ".browser [data-f=texts]", "")
    # advbench: base complies, veneer and aligned refuse
    fill(opened, ".browser [data-f=verdicts]", "taken")
    assert text(opened, ".browser output") == "8 prompts"
    fill(opened, ".browser [data-f=find]", "no such words")
    assert text(opened, ".browser .list") == "No prompt fits these filters."


def test_j_and_k_turn_pages_but_not_while_typing(opened):
    opened.run("document.querySelector('.browser').scrollIntoView({ behavior: 'instant' })")
    where = ".browser .pager span"
    for key, page in (("j", 2), ("j", 3), ("k", 2), ("ArrowRight", 3)):
        opened.key(key)
        assert text(opened, where) == f"Page {page} of 4"
    opened.run("document.querySelector('.browser [data-f=find]').focus()")
    opened.key("j")
    assert text(opened, where) == "Page 3 of 4"
    opened.run("document.activeElement.blur(); scrollTo({ top: 0, behavior: 'instant' })")
    opened.key("j")  # the browser is not on the screen
    assert text(opened, where) == "Page 3 of 4"


def test_arrow_down_goes_to_the_next_system(opened):
    opened.run(
        "document.querySelector('.prompt:nth-child(2) .body .tok').focus({ focusVisible: true })"
    )
    opened.key("ArrowRight")
    opened.key("ArrowDown")
    assert (
        opened.run("document.activeElement.closest('.answer').querySelector('h3').textContent")
        == "veneer"
    )
    assert opened.run("document.activeElement.dataset.i") == "1"
    assert opened.wait("document.getElementById('status').textContent.includes('veneer: ')")


def test_flows_follow_the_filters(opened):
    ribbons, label = ".flow .ribbon", "document.querySelector('.flow').getAttribute('aria-label')"
    assert count(opened, ribbons) > 10 and "1,6" in opened.run(label)
    fill(opened, ".shifts [data-f=group]", "3")
    assert opened.run(
        f"[...document.querySelectorAll('{ribbons}')].every((r) => "
        "r.classList.contains('g-number'))"
    )
    places = sum(r["count"] for r in shifts() if r["group"] == "number" and r["shift"] == "shifted")
    assert f"{places:,} places" in opened.run(label) and f"{places:,} places" in text(
        opened, ".shifts output"
    )
    heights = (
        "[0, 1, 2].map((c) => [...document.querySelectorAll('.flow .node')].filter((n) => "
        "n.getAttribute('x') ==="
    )
    heights += (
        " [...new Set([...document.querySelectorAll('.flow .node')].map((m) => "
        "m.getAttribute('x')))][c])"
    )
    heights += ".reduce((s, n) => s + Number(n.getAttribute('height')), 0))"
    a, b, c = opened.run(heights)  # what flows in flows out
    assert a == pytest.approx(b, rel=0.02) == pytest.approx(c, rel=0.02)
    fill(opened, ".shifts [data-f=find]", "nothing has this")
    assert count(opened, ".flow") == 0


def test_flows_fit_a_phone(opened):
    opened.window(375, 800, mobile=True)
    assert opened.wait("document.querySelector('.flow').getBoundingClientRect().right <= 375")


def test_one_chart_of_positions_at_a_time(opened):
    shown = "[...document.querySelectorAll('figure.curve')].map((f) => f.checkVisibility())"
    assert opened.run(shown) == [True, False]
    opened.run(
        "(() => { const s = document.querySelector('.curves select'); s.selectedIndex = 1; "
        "s.dispatchEvent(new Event('input')); })()"
    )
    assert opened.run(shown) == [False, True]


def test_results_filter_and_links_reach_hidden_rows(opened):
    visible = "[...document.querySelectorAll('.all tbody tr')].filter((r) => !r.hidden).length"
    fill(opened, ".rows [data-f=find]", "portion svamp veneer-from")
    assert opened.run(visible) == 3 and text(opened, ".rows output").startswith("3 of ")
    target = opened.run("document.querySelector('.strips a.fig').hash")
    opened.run("document.querySelector('.strips a.fig').click()")
    assert opened.wait(f"!document.querySelector('{target}').hidden")
    assert opened.run("document.querySelector('.all tr:target td').textContent") == "measure"


def test_structure_for_screen_readers(opened):
    assert (
        opened.run("document.querySelector('.skip').hash") == "#main" and count(opened, "main") == 1
    )
    levels = opened.run(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    unnamed = (
        "[...document.querySelectorAll('section, nav, [role=region], [role=search], [role=img], "
        "[role=navigation]')]"
    )
    unnamed += (
        ".filter((e) => !e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && "
        "!e.querySelector('title')).length"
    )
    assert opened.run(unnamed) == 0
    bare = "[...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).length"
    assert opened.run(bare) == 0
    heads = (
        "[...document.querySelectorAll('table')].filter((t) => !t.querySelector('th[scope]') || "
        "!t.caption).length"
    )
    assert opened.run(heads) == 0


def test_shading_follows_the_switch(opened):
    first = "document.querySelectorAll('.body')[{}].children[0]"
    base, veneer = (opened.run(f"{first.format(i)}.className") for i in (0, 1))
    opened.click("label[for=s1-col-1]")
    assert opened.run("document.querySelector('.browser').dataset.colour") == "1"
    # an answer of the veneer keeps its own shade, one of base takes that of the veneer's KL
    assert opened.run(f"{first.format(1)}.className") == veneer
    assert opened.run(f"{first.format(0)}.className") != base
    opened.click("label[for=s1-col-c]")
    assert opened.run("getComputedStyle(document.querySelector('.ramp .for-c')).display") == "flex"


def test_log_scale_is_a_switch_without_script(opened):
    shown = "getComputedStyle(document.querySelector('.curve .log')).display"
    assert opened.run(shown) == "none"
    opened.click("label[for=s1-c1-log]")
    assert opened.run(shown) == "block"


def test_results_sort_by_button(opened):
    cells = "[...document.querySelectorAll('.all tbody tr td:nth-child(8)')]"
    value = cells + (
        ".map((c) => c.textContent).filter((v) => v !== '').map((v) => Number(v.replace('−', "
        "'-').replace(',', '')))"
    )
    opened.run("document.querySelectorAll('.all th button')[7].focus()")
    opened.key("Enter")
    rising = opened.run(value)
    assert rising == sorted(rising) and len(rising) == sum(r.value is not None for r in figures())
    opened.key("Enter")
    assert opened.run(value) == rising[::-1]
    assert (
        opened.run("document.querySelectorAll('.all th')[7].getAttribute('aria-sort')")
        == "descending"
    )


def test_a_figure_leads_to_its_row(opened):
    opened.click(".dots .main .fig")
    assert (
        opened.run("document.querySelector('tr:target td:nth-child(3)').textContent") == "portion"
    )


def test_saving_gives_the_rows_back(opened):
    opened.run(
        "window.saved = [];"
        " URL.createObjectURL = (b) => { saved.push(b.text()); return 'about:blank'; };"
        " HTMLAnchorElement.prototype.click = () => {};"
    )
    opened.run("document.querySelectorAll('[data-save]').forEach((b) => b.click())")
    lines, table = opened.run("Promise.all(saved)")
    assert len([json.loads(line) for line in lines.splitlines()]) == len(figures())
    assert table.startswith("study,task,metric") and table.count("\r\n") == len(figures()) + 1


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280, 1920])
def test_no_sideways_scroll(opened, width):
    opened.window(width, 800, mobile=width < 500)
    assert opened.run("document.documentElement.scrollWidth") <= width


CONTRAST = """(() => {
  const parse = (c) => { const n = c.match(/[\\d.e-]+/g).map(Number), k = c.startsWith('color(') ? \
1 : 255;
    return [n[0] / k, n[1] / k, n[2] / k, n[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const lum = (c) => { const [r, g, b] = c.map((x) => x <= .04045 ? x / 12.92 : ((x + .055) / \
1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (e) => { const layers = [];
    for (let n = e; n; n = n.parentElement) { const c = \
parse(getComputedStyle(n).backgroundColor); layers.push(c); if (c[3] === 1) break; }
    return layers.reverse().reduce((below, c) => over(c, below), [1, 1, 1, 1]); };
  const low = []; let checked = 0;
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || e.closest('.vh, :disabled, script')) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const s = getComputedStyle(e), back = behind(e), svg = e instanceof SVGElement;
    if (svg && !['text', 'tspan'].includes(e.tagName)) continue;
    const ink = parse(svg ? s.fill : s.color);
    ink[3] *= Number(s.opacity);
    const [x, y] = [lum(over(ink, back)), lum(back)].sort((p, q) => q - p), ratio = (x + .05) / (y \
+ .05);
    checked++;
    if (ratio < 4.5) low.push([e.tagName, e.getAttribute('class'), e.textContent.slice(0, 20), \
Math.round(ratio * 100) / 100]);
  }
  return { checked, low: low.slice(0, 8) }; })()"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("colour", ["own", "0", "1", "c", "g"])
def test_text_has_contrast_in_light_and_dark(opened, dark, colour):
    """WCAG AA: 4.5 to 1 for every text that is shown, with every way of shading tokens and
    all details open."""
    opened.window(1280, 900, dark=dark)
    opened.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    opened.run(f"document.getElementById('s1-col-{colour}').click()")
    contrast = opened.run(CONTRAST)
    assert contrast["low"] == [] and contrast["checked"] > 1000


def test_it_prints(opened):
    opened.window(718, 1000)  # A4 between its margins
    opened.call("Emulation.setEmulatedMedia", media="print")
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert count(opened, "details:not([open])") == 0
    clipped = (
        "[...document.querySelectorAll('table, svg.chart, svg.lane, svg.flow, .answer')]"
        ".filter((e) => e.checkVisibility()"
    )
    clipped += " && e.getBoundingClientRect().right > 720).map((e) => e.className + "
    clipped += "Math.round(e.getBoundingClientRect().right) + e.textContent.slice(0, 200))"
    assert opened.run(clipped) == [] and opened.run("document.documentElement.scrollWidth") <= 718
    assert opened.run(
        "[...document.querySelectorAll('figure.curve')].every((f) => f.checkVisibility())"
    )
    assert count(opened, "svg.flow") == 1 and count(opened, ".legend .key") > 3
    style = "[...document.querySelectorAll('{}')].map((e) => getComputedStyle(e).{})"
    assert set(opened.run(style.format(".legend .key", "printColorAdjust"))) == {"exact"}
    # Chromium repeats no button in the head of a table on its next page
    assert set(opened.run(style.format(".all th button", "display"))) == {"contents"}
    broken = "[...document.querySelectorAll('.pivot td.num small:not(.why)')].filter((e) => "
    broken += "e.checkVisibility() && e.getClientRects().length > 1).map((e) => e.textContent)"
    assert opened.run(broken) == []
    assert opened.pdf().startswith(b"%PDF")
    opened.run("dispatchEvent(new Event('afterprint'))")
    assert count(opened, "details:not([open])") > 5
    opened.call("Emulation.setEmulatedMedia", media="")


def pressed(browser, figure, name):
    button = f"document.querySelector('{figure} .legend [data-for=\"{name}\"]')"
    return browser.run(f"{button}.getAttribute('aria-pressed')")


def test_a_legend_hides_and_shows_by_mouse_and_keyboard(opened):
    lines = "[...document.querySelectorAll('.curve .lin .line')].filter((x) => x.checkVisibility())"
    names = f"{lines}.map((x) => x.dataset.series)"
    before = opened.run(names)
    assert {"base", "veneer"} <= set(before)
    opened.click('.curve .legend [data-for="veneer"]')
    assert opened.run(names) == [name for name in before if name != "veneer"]
    assert pressed(opened, ".curve", "veneer") == "false"
    opened.run("document.querySelector('.curve .legend [data-for=\"veneer\"]').focus()")
    opened.key("Enter")
    assert opened.run(names) == before and pressed(opened, ".curve", "veneer") == "true"


def test_a_word_is_explained_where_it_stands(opened):
    opened.run("document.querySelector('.curve .term').focus()")
    opened.key("Enter")
    open_one = "document.querySelector('.gloss:popover-open')"
    assert "Kullback-Leibler" in opened.run(f"{open_one}.textContent")
    opened.key("Escape")
    assert opened.run(open_one) is None
    missing = (
        "[...document.querySelectorAll('[popovertarget]')].filter((b) => "
        "!document.getElementById(b.getAttribute('popovertarget'))).length"
    )
    assert opened.run(missing) == 0


def test_the_answer_of_a_judge_is_a_word(opened):
    scores = opened.run("[...document.querySelectorAll('.scores li')].map((x) => x.textContent)")
    assert {"refused", "not refused"} <= set(scores) and not any(
        "refusal rate" in x for x in scores
    )
