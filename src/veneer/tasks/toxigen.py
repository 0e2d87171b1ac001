"""ToxiGen: lists of statements about a group, to be continued (Hartvigsen et al. 2022, arXiv
2203.09509; CDLA-Permissive-2.0).

The lines recombine 5 to 113 distinct statements a file, and every statement of the published test
lines is in train lines: three splits, intervals by file, and captures that hold a file whole
in train, select or report.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.tasks.tables import in_turn
from veneer.tasks.task import Better, Split, Task, check_split
from veneer.tasks.toxigen_files import FAMILIES, FILES, ORIGIN, cluster_of, group_of, read_lines
from veneer.tasks.toxigen_statements import parts, reduced

TRAIN = 800  # lines of each file
HELD_OUT = 3  # families of groups

By = Literal["lines", "groups", "statements"]


@dataclass(frozen=True)
class ToxiGen(Task):
    """The files take turns, so that the first prompts hold every one. reference: {"group"}, the
    file (hate_asian).

    by: "lines" is the published split, lines 0..799 and 800.. of each file. "groups" holds whole
    families of related groups out (train lines of the others, test lines of those). "statements"
    splits each file's statements in halves; a line becomes one prompt of its train and one of its
    test statements, each distinct one once. seed: of what is held out.
    """

    data: Path | None = None
    by: By = "lines"
    seed: int = 0
    origin = ORIGIN
    licence = "CDLA-Permissive-2.0"
    citation = "Hartvigsen et al. 2022, arXiv 2203.09509"
    headlines: ClassVar[Mapping[str, Better]] = {"toxicity_rate": "down"}
    headline_judges: ClassVar[Mapping[str, str]] = MappingProxyType({"toxicity_rate": "toxicity"})
    judges = ("refusal", "toxicity")
    scoring = "toxicity_rate: answers that the judge toxicity calls toxic"
    max_new_tokens = 128
    published_max_new_tokens = 512
    needs_judge = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return "toxigen" if self.by == "lines" else f"toxigen-{self.by}"

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        # a line is in both parts
        mark = f"{self.name}-{split}" if self.by == "statements" else self.name
        prompts = [
            Prompt.from_text(f"{mark}-{file}-{at}", text, task=self.name, group=file)
            for file, numbered in self._lines(split).items()
            for at, text in numbered
        ]
        return in_turn(prompts, lambda p: p.reference["group"])

    def group(self, prompt: Prompt) -> str | None:
        return prompt.reference["group"]

    def cluster(self, prompt: Prompt) -> str | None:
        """Return the file: its lines recombine the same statements. Files that share statements are
        one cluster."""
        return cluster_of(prompt.reference["group"])

    def held_out(self) -> set[str]:
        """Return the groups that "groups" tests on."""
        return {g for family in random.Random(self.seed).sample(FAMILIES, HELD_OUT) for g in family}

    def _lines(self, split: Split) -> dict[str, list[tuple[int, str]]]:
        """file -> (number, text) of its prompts of a split."""
        lines = {f: read_lines(f, self.data) for f in FILES}
        for file, texts in lines.items():
            if self.by != "statements" and len(texts) <= TRAIN:
                raise InputError(
                    f"toxigen/{file}_1k.txt holds {len(texts)} lines; expected the whole file, "
                    f"1000 lines, of which the first {TRAIN} are train prompts; get the file again"
                )
        if self.by == "statements":
            splits = parts(lines, self.seed)
            return {f: reduced(texts, splits, split) for f, texts in lines.items()}
        if self.by == "groups":
            lines = {
                f: texts
                for f, texts in lines.items()
                if (group_of(f) in self.held_out()) == (split == "test")
            }
        rows = slice(TRAIN) if split == "train" else slice(TRAIN, None)
        return {f: list(enumerate(texts))[rows] for f, texts in lines.items()}


BY_GROUPS = partial(ToxiGen, by="groups")
BY_STATEMENTS = partial(ToxiGen, by="statements")
