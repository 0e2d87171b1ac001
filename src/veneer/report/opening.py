"""The opening of a page: its title, which is the question that its studies ask, and each study's
models and finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from veneer.report import tables
from veneer.report.page_context import PageContext
from veneer.report.section import NextStep, Section
from veneer.report.visible import visible

# sections that ask nothing, or several that ask different things
GENERAL = "What was measured"


def title(parts: Sequence[tuple[PageContext, Sequence[Section]]]) -> str:
    """The question that all folders ask, each with the sections that apply to it; a general title
    where they differ."""
    questions = {
        next((s.question for s in sections if s.question), GENERAL) for _, sections in parts
    }
    return questions.pop() if len(questions) == 1 else GENERAL


def finding(page: PageContext, sections: Sequence[Section]) -> Markup:
    """The finding of the first section that has one; empty where none has."""
    for section in sections:
        if section.finding is not None and (sentence := section.finding(page)) is not None:
            return sentence
    return Markup()


def next_step(page: PageContext, sections: Sequence[Section]) -> NextStep | None:
    """The next step that the first section with one names."""
    steps = (s.next_step(page) for s in sections if s.next_step is not None)
    return next((step for step in steps if step is not None), None)


def headline(page: PageContext) -> list[tables.Group]:
    """The portions that lead in a folder."""
    return tables.headline(page.of("measure", metric="portion"))


def models(page: PageContext, sections: Sequence[Section]) -> list[tuple[str, str, str]]:
    """(role, its name on the page, the model's name): as a section gives them, or base, aligned and
    compromised wherever run.json has them."""
    own = next((s.models for s in sections if s.models is not None), None)
    if own is not None and (given := own(page)):
        return [(role, text, visible(name, 200)) for role, text, name in given]
    run = page.study.run
    result = []
    for role in ("base", "aligned", "compromised"):
        value = _find(run, role)
        if value:
            result.append((role, role, visible(value, 200)))
    return result


def _find(value: Any, key: str, depth: int = 0) -> str | None:
    """The first string under `key`, or under a name inside it, breadth before depth."""
    if not isinstance(value, Mapping) or depth > 4:
        return None
    here = value.get(key)
    if isinstance(here, str):
        return here
    if isinstance(here, Mapping):
        # a system's facts hold its own name too, such as "aligned", beside its model's
        for name in ("model", "name", "id", "path"):
            if isinstance(here.get(name), str):
                return here[name]
    # configuration first: hashes, of files too, may use the same keys
    inner = sorted(
        value.items(), key=lambda item: not str(item[0]).startswith(("conf", "model", "pair"))
    )
    for name, v in inner:
        if not any(word in str(name).lower() for word in ("hash", "sha", "files")):
            text = _find(v, key, depth + 1)
            if text:
                return text
    return None
