"""The sections of a report, in the order of the page.

To add one, for a study "example":

1. `sections/example.py` with `SECTION = Section(key="example", title="What it is called",
   menu="Example", applies=..., render=..., studies=("example",))`. `applies(page)` says whether the
   folder has anything for it. `render(page)` gives the Markup below the heading; the page puts
   `<section id="s1-example">` and the heading around it, and a link in the menu. `studies` names
   the rows that it shows.
2. The module in the import and in ALL below, at its place on the page.

`page` (veneer.report.page_context.PageContext) has all that a section needs:

- `page.systems`: name -> what a system is (kind and settings, off its rows); `page.order(names)`,
  `page.family(name)`, `page.about(name)` and `page.sign(name)` go by it, never by the name;
- `page.study`: `rows`, `run` (run.json), `shifts`, `responses`, `deep`; `page.of("example")`: the
  rows as Groups (veneer.report.tables), those that differ only in their system together,
  `group.systems[name]` a Measurement; `page.of("example", metric="x")`;
- `page.pivot(groups, caption)`: a whole table with intervals and links; `page.cell(row)`: one
  <td>; `page.link(row)`: a figure that leads to its row in the table of all results (every number
  on the page should);
- `page.template("example.html.j2", key=value)`: renders templates/example.html.j2, which also knows
  `page`, `p` (begins each id: `{{ p }}-example-x`), `h` (the heading level; subheadings are `h +
  1`), `charts` (marks, lanes, curves), and the filters `visible`, `words`, `figure`;
- `page.blob("example", value)`: data for a script. A `<div data-mount="example" data-blob="{{ p
  }}-example-data">` is handed to `Veneer.mounts.example = (box, data) => ...` when the page has
  loaded; assets/core.js says what `Veneer` has.

A legend is `<p class="legend">` with a `<span data-series="NAME">` for each series. A click hides
or shows every element with that `data-series` in the same figure, or in the same element with
`data-legend`; with `data-off` a series is hidden at first. `term("nats")` is a word that opens its
explanation (veneer.report.glossary).

Styles and scripts stand in assets/: its *.css and *.js go into the page, the base and the
core first, then by name. Colours are the variables at the top of assets/base.css, which hold in
light, dark and print. Text that a model or a user wrote goes through `visible` in Python and
`Veneer.show` in scripts, and never into innerHTML.
"""

from __future__ import annotations

from veneer.registry import study_sections
from veneer.report.page_context import PageContext
from veneer.report.section import Section
from veneer.report.sections import (
    behaviour,
    browser,
    cross,
    deep,
    discernment,
    facts,
    groups,
    kl,
    more,
    portion,
    position,
    rows,
    shifts,
)

SHARED = (
    portion,
    behaviour,
    discernment,
    groups,
    cross,
    kl,
    position,
    shifts,
    deep,
    browser,
    more,
    facts,
    rows,
)


def all_sections() -> list[Section]:
    """The shared sections and those of every study, in the order of the page."""
    return sorted(
        [browser.CHOSEN, *(module.SECTION for module in SHARED), *study_sections()],
        key=lambda section: section.rank,
    )


def applying(page: PageContext) -> list[Section]:
    """The sections that a folder has something for, in the order of the page."""
    return [section for section in all_sections() if section.applies(page)]
