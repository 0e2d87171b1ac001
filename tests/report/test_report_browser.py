"""The page in a real browser: quiet, offline, and it does what its controls say."""

from __future__ import annotations

import json

import pytest
from made_up_study import IMAGE, SCRIPT, figures, shifts


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
        f"(() => {{ const f = document.querySelector({json.dumps(selector)}); f.value = {json.dumps(value)};"
        " f.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )


def text(browser, selector):
    return browser.run(f"document.querySelector({json.dumps(selector)}).textContent")


def count(browser, selector):
    return browser.run(f"document.querySelectorAll({json.dumps(selector)}).length")


def test_hostile_text_is_text(opened):
    said = text(opened, ".list")
    assert SCRIPT in said and IMAGE in said and "U+202E" in said and "U+0000" in said and "U+D800" in said
    assert "(100,000 characters)" in said and "\u202e" not in said
    assert count(opened, "img") == 0 and count(opened, "article script:not([type='application/octet-stream'])") == 0


def test_shifts_filter(opened):
    rows = ".shifts tbody tr"
    assert count(opened, rows) == 15
    assert {"shifted"} == set(opened.run(f"[...document.querySelectorAll('{rows} td:nth-child(5)')].map((c) => c.textContent)"))
    fill(opened, ".shifts [data-f=class]", "1")
    assert count(opened, rows) == 1 and text(opened, ".shifts output") == "1 kinds, 97 places"
    fill(opened, ".shifts [data-f=class]", "")
    fill(opened, ".shifts [data-f=restored]", "0")
    assert count(opened, rows) == sum(not row["restored"] for row in shifts()) == 12
    fill(opened, ".shifts [data-f=find]", "ALERT(1)")
    assert count(opened, rows) == 1 and SCRIPT in text(opened, rows)


def test_signs_for_spaces_copy_as_spaces(opened):
    opened.run("getSelection().selectAllChildren(document.querySelector('.shifts tbody tr:nth-child(2) td:nth-child(2) code'))")
    assert opened.run("getSelection().toString()") == " To"
    assert opened.run("getComputedStyle(document.querySelector('.shifts .ws'), '::before').content") == '"↵"'


def test_hover_shows_the_figures(opened):
    opened.hover(".prompt:nth-child(2) .body .tok")
    assert opened.wait("!document.getElementById('pop').hidden")
    said = text(opened, "#pop")
    assert "KL base, nats" in said and "token 1 of 20" in said and "%" in said
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
    assert opened.wait("document.getElementById('said').textContent.includes('position 2')")
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


def test_shading_follows_the_switch(opened):
    shade = "getComputedStyle(document.querySelector('.body [data-b=\"6\"]')).backgroundColor"
    before = opened.run(shade)
    opened.click("label[for=s1-col-v]")
    assert opened.run("document.querySelector('.browser').dataset.colour") == "v" and opened.run(shade) != before
    opened.click("label[for=s1-col-c]")
    assert opened.run("getComputedStyle(document.querySelector('.ramp .for-c')).display") == "flex"


def test_log_scale_is_a_switch_without_script(opened):
    shown = "getComputedStyle(document.querySelector('.curve .log')).display"
    assert opened.run(shown) == "none"
    opened.click("label[for=s1-c1-log]")
    assert opened.run(shown) == "block"


def test_results_sort_by_button(opened):
    cells = "[...document.querySelectorAll('.all tbody tr td:nth-child(8)')]"
    value = cells + ".map((c) => c.textContent).filter((v) => v !== '').map((v) => Number(v.replace('−', '-').replace(',', '')))"
    opened.run("document.querySelectorAll('.all th button')[7].focus()")
    opened.key("Enter")
    rising = opened.run(value)
    assert rising == sorted(rising) and len(rising) == sum(r.value is not None for r in figures())
    opened.key("Enter")
    assert opened.run(value) == rising[::-1]
    assert opened.run("document.querySelectorAll('.all th')[7].getAttribute('aria-sort')") == "descending"


def test_a_figure_leads_to_its_row(opened):
    opened.click(".dots .main .fig")
    assert opened.run("document.querySelector('tr:target td:nth-child(3)').textContent") == "portion"


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


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
def test_no_sideways_scroll(opened, width):
    opened.window(width, 800, mobile=width < 500)
    assert opened.run("document.documentElement.scrollWidth") <= width


CONTRAST = """(() => {
  const parse = (c) => { const n = c.match(/[\\d.e-]+/g).map(Number), k = c.startsWith('color(') ? 1 : 255;
    return [n[0] / k, n[1] / k, n[2] / k, n[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const lum = (c) => { const [r, g, b] = c.map((x) => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (e) => { const layers = [];
    for (let n = e; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor); layers.push(c); if (c[3] === 1) break; }
    return layers.reverse().reduce((below, c) => over(c, below), [1, 1, 1, 1]); };
  const low = []; let checked = 0;
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || e.closest('.vh, :disabled, script')) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const s = getComputedStyle(e), back = behind(e), svg = e instanceof SVGElement;
    if (svg && !['text', 'tspan'].includes(e.tagName)) continue;
    const ink = parse(svg ? s.fill : s.color);
    ink[3] *= Number(s.opacity);
    const [x, y] = [lum(over(ink, back)), lum(back)].sort((p, q) => q - p), ratio = (x + .05) / (y + .05);
    checked++;
    if (ratio < 4.5) low.push([e.tagName, e.getAttribute('class'), e.textContent.slice(0, 20), Math.round(ratio * 100) / 100]);
  }
  return { checked, low: low.slice(0, 8) }; })()"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("colour", ["b", "v", "c", "g"])
def test_text_has_contrast_in_light_and_dark(opened, dark, colour):
    """WCAG AA: 4.5 to 1 for every text that is shown, with every way of shading tokens and all details open."""
    opened.window(1280, 900, dark=dark)
    opened.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    opened.run(f"document.getElementById('s1-col-{colour}').click()")
    found = opened.run(CONTRAST)
    assert found["low"] == [] and found["checked"] > 1000


def test_it_prints(opened):
    assert opened.pdf().startswith(b"%PDF")
