"""Alignment in context: base behind URIAL's instructions, with its three
examples or without any."""

from __future__ import annotations

from importlib import resources

from veneer.models.in_context import STOP, FencedFormat
from veneer.models.pair import Pair
from veneer.systems.system import System

FILES = {"urial": "inst_1k_v4", "system-prompt": "inst_only"}


def in_context_format(name: str) -> FencedFormat:
    """`urial`: URIAL's instructions and three examples (Lin et al. 2023, arXiv 2312.01552; file
    inst_1k_v4, about 1,000 tokens). `system-prompt`: the instructions alone. A base model has no
    system role, so it reads the same layout of queries and answers, which the instructions
    themselves describe."""
    file = resources.files("veneer.systems") / "urial" / f"{FILES[name]}.txt"
    return FencedFormat(FILES[name], file.read_text(encoding="utf-8"))


def in_context_system(name: str, pair: Pair) -> System:
    """Base behind the instructions; an answer ends at its closing fence."""
    return System(name, pair.base, in_context_format(name), pair.base.stop_ids, stop=STOP)
