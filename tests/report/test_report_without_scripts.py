"""The page where scripts do not run: nothing invites an action that has no effect."""

from __future__ import annotations

import pytest


@pytest.fixture
def silent(browser, page):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.call("Page.navigate", url=page.resolve().as_uri())
    assert browser.wait("location.protocol === 'file:' && document.readyState === 'complete'")
    yield browser
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_fields_that_filter_are_not_shown(silent):
    """They filter by a script: without one, typing changed nothing."""

    def shown(selector: str) -> list[bool]:
        every = f"[...document.querySelectorAll('{selector}')]"
        return silent.run(f"{every}.map((e) => e.checkVisibility())")

    assert shown(".tools") and not any(shown(".tools"))
    assert shown("table.all") == [True] and shown("noscript p") == [True]
