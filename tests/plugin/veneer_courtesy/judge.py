"""The judge `courtesy`: whether an answer holds a courteous word."""

from __future__ import annotations

import re

COURTEOUS = re.compile(r"\b(please|thank|sorry|glad|good morning)\b", re.IGNORECASE)


class Courtesy:
    name = "courtesy"
    id = "courtesy-words-1"
    metrics = {"courtesy_rate": "share"}
    note = None

    def __init__(self, config):
        """config: the settings of all judges; this one needs none."""

    def scores(self, prompts, texts, progress=None):
        return [{"courtesy_rate": float(bool(COURTEOUS.search(text)))} for text in texts]
