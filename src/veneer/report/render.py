"""Study folders -> one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from veneer.foundation.errors import InputError
from veneer.foundation.files import write_text
from veneer.foundation.invisible import spelled
from veneer.report.glossary import TERMS, place
from veneer.report.load import StudyFolder, load
from veneer.report.opening import finding, headline, models, next_step, title
from veneer.report.page_context import PageContext, template
from veneer.report.section import Section
from veneer.report.sections import all_sections, applying
from veneer.report.visible import script_pattern

LIMIT = 4_900_000  # bytes; the page is promised to stay below 5 MB
LEAST = 500_000  # bytes that responses get even beside a very large table


@dataclass(frozen=True, slots=True)
class Shown:
    """A section of one folder, rendered."""

    id: str
    section: Section
    body: Markup


def write_report(folders: list[Path], out: Path) -> None:
    """Write one report on the study folders to `out`, whole or not at all. Raises InputError
    (see `load.load`)."""
    write_text(out, render(folders))


def render(folders: Sequence[Path]) -> str:
    """The page as text; the same folders give the same text."""
    if not folders:
        raise InputError("no folder was given; expected one study folder or more: name them")
    level = 3 if len(folders) > 1 else 2
    studies = _named_apart([Path(f) for f in folders])
    pages = [PageContext(study, number, level) for number, study in enumerate(studies, 1)]
    shown = [(page, applying(page)) for page in pages]
    bodies = {
        (page.index, s.key): s.render(page)
        for page, sections in shown
        for s in sections
        if not s.last
    }
    style, script = _assets("css"), _assets("js")
    spent = (
        sum(len(b.encode("utf-8", "replace")) for b in [*bodies.values(), style, script]) + 20_000
    )
    waiting = [(page, s) for page, sections in shown for s in sections if s.last]
    for page, s in waiting:
        ready = replace(page, room=max(LIMIT - spent, LEAST) // len(waiting))
        bodies[page.index, s.key] = s.render(ready)
    text = template(
        "page.html.j2",
        pages=[
            {
                "page": page,
                "models": models(page, sections),
                "unfinished": page.study.run.get("finished") is False,
                "lead": finding(page, sections),
                "next": next_step(page, sections),
                "headline": headline(page),
                "sections": [
                    Shown(f"{page.prefix}-{s.key}", s, bodies[page.index, s.key]) for s in sections
                ],
            }
            for page, sections in shown
        ],
        title=title(shown),
        style=style,
        script=script,
        digest=_digest(script),
        pattern=script_pattern(),
        terms={place(word): (word, text) for word, text in TERMS.items()},
    )
    # also what no template spelled out: titles of charts, captions, notes
    return spelled(text.lstrip())


def _named_apart(folders: Sequence[Path]) -> list[StudyFolder]:
    """Read the studies. Those whose folders share a name are named by the end of the folder's path
    that tells them apart. Raises InputError for a folder that is given twice."""
    paths = [f.resolve() for f in folders]
    for folder, path in zip(folders, paths, strict=True):
        if paths.count(path) > 1:
            raise InputError(f"{folder} is given twice; expected each study folder once")
    studies = [load(f) for f in folders]
    names = [study.name for study in studies]
    for i, path in enumerate(paths):
        alike = [p.parts for p, name in zip(paths, names, strict=True) if name == names[i]]
        size = 1
        while sum(p[-size:] == path.parts[-size:] for p in alike) > 1:
            size += 1
        if size > 1:
            studies[i] = replace(studies[i], name=str(Path(*path.parts[-size:])))
    return studies


def _digest(script: str) -> str:
    """Hash of the script element as the template writes it, for the page's content security
    policy: no other script runs."""
    return base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode("ascii")


def _assets(kind: str) -> Markup:
    """All files of a kind in assets/ and each section's own page.KIND: the base and the core first,
    `start` last, the rest by name."""
    rank = {"base": 0, "core": 0, "print": 2, "start": 2}
    files = {
        f.name.split(".")[0]: f
        for f in (resources.files("veneer.report") / "assets").iterdir()
        if f.name.endswith(f".{kind}")
    }
    own = {s.key: resources.files(s.package) / f"page.{kind}" for s in all_sections() if s.package}
    files |= {key: file for key, file in own.items() if file.is_file()}
    names = sorted(files, key=lambda name: (rank.get(name, 1), name))
    return Markup("\n".join(files[name].read_text(encoding="utf-8") for name in names))
