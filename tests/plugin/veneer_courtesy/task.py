"""The task `favours`: small requests, whose answers should be courteous."""

from __future__ import annotations

from veneer import Prompt, Task

ACTIONS = ("open the door", "pass the salt", "feed the cat", "paint the barn", "wrap the clock")
WORDINGS = {"train": ("Could you {}?", "I ask you to {}."), "test": ("Will you {}?", "Now {}.")}


class Favours(Task):
    name = "favours"
    headlines = {"courtesy_rate": "up"}
    judges = ("courtesy",)
    headline_judges = {"courtesy_rate": "courtesy"}
    scoring = "courtesy_rate: answers with a courteous word, by the judge courtesy"
    max_new_tokens = 16

    def prompts(self, split):
        texts = [wording.format(action) for wording in WORDINGS[split] for action in ACTIONS]
        return [
            Prompt.from_text(f"favours-{split}-{i}", text, task=self.name)
            for i, text in enumerate(texts)
        ]
