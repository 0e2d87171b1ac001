"""ToxiGen: lists of statements about a group, to be continued (Hartvigsen et al. 2022, arXiv 2203.09509;
CDLA-Permissive-2.0).

Prompts only: whether an answer is toxic takes a classifier. The lines recombine 5 to 113 distinct statements a group,
and test lines consist of train statements: cluster intervals by `reference["group"]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from veneer.errors import InputError
from veneer.prompts import Prompt
from veneer.tasks.data import Origin, describe, locate
from veneer.tasks.task import Better, Split, Task, check_split

_BOTH = (
    *("asian", "bisexual", "black", "chinese", "immigrant", "jewish", "latino", "lgbtq"),
    *("mental_disability", "mexican", "middle_east", "muslim", "native_american", "physical_disability", "women"),
)
GROUPS = sorted([f"{kind}_{group}" for kind in ("hate", "neutral") for group in _BOTH] + ["hate_trans"])
ORIGIN = Origin("microsoft/TOXIGEN", {f"toxigen/{g}_1k.txt": None for g in GROUPS})
TRAIN = 800  # lines of each file


@dataclass(frozen=True)
class ToxiGen(Task):
    """Prompts take the groups in turn, so that the first ones hold every group."""

    data: Path | None = None
    name = "toxigen"
    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "up"}
    max_new_tokens = 128
    published_max_new_tokens = 512
    needs_judge = True

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        part = slice(TRAIN) if split == "train" else slice(TRAIN, None)
        lines = {g: list(enumerate(self._lines(g)))[part] for g in GROUPS}
        return [
            Prompt.from_text(f"toxigen-{group}-{at}", text, task=self.name, group=group)
            for turn in range(max(len(found) for found in lines.values()))
            for group, found in lines.items()
            for at, text in found[turn : turn + 1]
        ]

    def source(self) -> dict[str, Any]:
        return describe(ORIGIN, [locate(ORIGIN, name, self.data) for name in ORIGIN.files])

    def _lines(self, group: str) -> list[str]:
        path = locate(ORIGIN, f"toxigen/{group}_1k.txt", self.data)
        try:
            lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); expected a prompt a line; get the file again") from None
        return [line.replace("\\n", "\n") for line in lines]
