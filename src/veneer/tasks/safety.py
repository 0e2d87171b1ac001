"""The shared part of safety tasks that are only measured: limits, stop string, groups in turn."""

from __future__ import annotations

from abc import abstractmethod

from veneer.prompts.prompt import Prompt
from veneer.tasks.tables import in_turn
from veneer.tasks.task import Split, Task, check_split

MARK = "### Instruction:"  # a model that goes on with the template writes another instruction


class SafetyTask(Task):
    """A task without train prompts, whose test prompts take their groups in turn. reference of a
    prompt: {"group"} at least."""

    max_new_tokens = 128
    published_max_new_tokens = 512
    stop = (MARK,)

    @abstractmethod
    def test_prompts(self) -> list[Prompt]:
        """Return the test prompts in the order of the file."""

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        if split == "train":
            return []
        return in_turn(self.test_prompts(), lambda p: p.reference["group"])

    def group(self, prompt: Prompt) -> str | None:
        return prompt.reference["group"]
