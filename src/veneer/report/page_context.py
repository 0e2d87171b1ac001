"""One study folder on the page: its rows with their anchors, and the tools that
sections build from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.report import blob, charts, glossary, html, systems, tables, words
from veneer.report.load import StudyFolder
from veneer.report.visible import visible


@dataclass
class PageContext:
    """The context in which a section renders one study folder.

    study: the folder, as it was read. index: 1 for the first folder. level: of the
    section headings (h2, or h3 where several folders share the page). room: bytes that are left for
    a section that fills up the page.
    """

    study: StudyFolder
    index: int = 1
    level: int = 2
    room: int = 0

    @property
    def prefix(self) -> str:
        """Begins every id of this folder."""
        return f"s{self.index}"

    @cached_property
    def groups(self) -> list[tables.Group]:
        """All rows, those that differ only in their system together."""
        return tables.groups(self.study.rows)

    def of(self, *studies: str, metric: str | None = None) -> list[tables.Group]:
        """The groups of these studies, in the order of results.jsonl."""
        return [g for g in self.groups if g.study in studies and metric in (None, g.metric)]

    @cached_property
    def systems(self) -> dict[str, SystemId]:
        """Identity of each system of the folder, by name."""
        return tables.identities(self.groups)

    def order(self, names: Iterable[str]) -> list[str]:
        """Systems in reading order."""
        return systems.order({name: self._identity(name) for name in names})

    def family(self, name: str) -> str:
        """The family of a system, which gives it its mark (`systems.family`)."""
        return systems.family(self._identity(name))

    def about(self, name: str) -> str | None:
        """Description of a system (`systems.about`)."""
        return systems.about(self._identity(name))

    def sign(self, name: str, kind: str | None = None) -> Markup:
        """A system's sign, for legends and table heads (`marks.sign`)."""
        return charts.sign(self._identity(name), kind)

    def _identity(self, name: str) -> SystemId:
        return self.systems.get(name) or systems.identity(name)

    @cached_property
    def _anchors(self) -> dict[tuple, str]:
        anchors: dict[tuple, str] = {}
        used: set[str] = set()
        for row in self.study.rows:
            digest = hashlib.sha256(repr(row.key).encode("utf-8", "surrogatepass")).hexdigest()
            size = next(n for n in range(8, 65) if digest[:n] not in used)
            used.add(digest[:size])
            anchors[row.key] = f"{self.prefix}-r{digest[:size]}"
        return anchors

    def anchor(self, row: Measurement) -> str:
        """The id of a row in the table of all results: of its key, so that it stays when other
        rows come or go."""
        # a noise floor is drawn at each position, and has a row without one
        return self._anchors.get(row.key) or self._anchors[replace(row, position=None).key]

    def link(self, row: Measurement, digits: int | None = None) -> Markup:
        """A row's value as a link to the row."""
        return words.linked(row, self.anchor, digits)

    def cell(self, row: Measurement | None, digits: int | None = None) -> Markup:
        """A <td> with a row's value and interval, or why there is none."""
        return html.cell(row, self.anchor, digits)

    def pivot(
        self,
        groups: Sequence[tables.Group],
        caption: str,
        columns: Iterable[str] | None = None,
        *,
        merged: bool = False,
    ) -> Markup:
        """A table: one row per group, one column per system (`columns`, or all of them). merged:
        see `html.pivot`."""
        return html.pivot(groups, caption, self.anchor, columns, merged=merged)

    def blob(self, name: str, value: Any) -> Markup:
        """A script element of data; the page's script gets it as the second argument of the mount
        with `data-blob`."""
        return blob.element(f"{self.prefix}-{name}", value)

    def packed_blob(self, name: str, text: str) -> Markup:
        """As `blob`, for data that `blob.pack` has packed."""
        return blob.packed_element(f"{self.prefix}-{name}", text)

    def template(self, name: str, *, package: str | None = None, **values: Any) -> Markup:
        """Render templates/NAME, or NAME beside the modules of `package`, with `page`, `p` (the
        prefix), `h` (the heading level), `order` and `family` of this folder's systems, and
        `values`."""
        tools = {"page": self, "p": self.prefix, "h": self.level}
        tools |= {"order": self.order, "family": self.family}
        return template(name, package=package, **tools, **values)


@cache
def _environment(package: str | None) -> Environment:
    shared = PackageLoader("veneer.report")
    loader = shared if package is None else ChoiceLoader([PackageLoader(package, ""), shared])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible,
        "words": words.name,
        "figure": words.figure,
        "position": words.position,
        "minus_signs": words.minus_signs,
    }
    environment.filters["tail"] = lambda text, size: visible(text[-size:], size)
    tools: dict[str, Callable] = {
        "interval": words.interval,
        "verdict": words.verdict,
    }
    environment.globals |= {**tools, "charts": charts, "term": glossary.term}
    return environment


def template(name: str, *, package: str | None = None, **values: Any) -> Markup:
    return Markup(_environment(package).get_template(name).render(**values))
