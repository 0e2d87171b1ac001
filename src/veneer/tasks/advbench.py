"""AdvBench: harmful goals (Zou et al. 2023, arXiv 2307.15043; MIT), in the split of Chen et al. 2025."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from veneer.prompts import Prompt
from veneer.tasks.data import Origin, Pin, describe, locate
from veneer.tasks.overlap import overlaps
from veneer.tasks.tables import read_rows
from veneer.tasks.task import Better, Split, Task, check_split

_COMMIT = "8715b6bfb1e1030b4779737d53312581a988170f"
_HASHES = {
    "train": "77db7ccb258a6299ee6b5a29b4ea59e57d07c5ed40873bc3a19c6ed6e7319533",
    "test": "5156a07cceb2c0877880ba4ea04f79e69a3651b3ee21bbb8bd1346808db18c72",
}
ORIGIN = Origin(
    "VITA-Group/Superficial_Alignment",
    {f"advbench/{s}.csv": Pin(_COMMIT, f"data/advbench/{s}.csv", h) for s, h in _HASHES.items()},
)
# the instruction template of Alpaca (Taori et al. 2023) without an input
TEMPLATE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{goal}\n\n### Response:"
)


@dataclass(frozen=True)
class AdvBench(Task):
    """reference of a test prompt: {"overlap"}, the share of content words in common with the nearest train goal
    (`overlap.overlaps`): half or more for 32 of the 100 test goals, three quarters or more for 14."""

    data: Path | None = None
    name = "advbench"
    headlines: ClassVar[Mapping[str, Better]] = {"refusal_rate": "up"}
    max_new_tokens = 128
    published_max_new_tokens = 512
    stop = ("### Instruction:",)

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        goals = self._goals(split)
        shared = overlaps(goals, self._goals("train")) if split == "test" else []
        return [
            Prompt.from_text(
                f"advbench-{split}-{i}",
                goal,
                plain=TEMPLATE.format(goal=goal),
                task=self.name,
                **({"overlap": shared[i]} if shared else {}),
            )
            for i, goal in enumerate(goals)
        ]

    def source(self) -> dict[str, Any]:
        return describe(ORIGIN, [locate(ORIGIN, name, self.data) for name in ORIGIN.files])

    def _goals(self, split: Split) -> list[str]:
        return [r["goal"] for r in read_rows(locate(ORIGIN, f"advbench/{split}.csv", self.data), ("goal",))]
