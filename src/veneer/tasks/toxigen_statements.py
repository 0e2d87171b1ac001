"""ToxiGen split by statement: the files recombine few statements, so a split by line has every test
statement in train."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping, Sequence

from veneer.tasks.task import Split
from veneer.tasks.toxigen_files import as_prompt, statements

LEAST = 2  # statements of a prompt; one alone is no list to go on with


@functools.lru_cache(maxsize=4096)
def plain_words(text: str) -> str:
    """Lower case, letters and digits: what makes two statements the same."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def parts(lines: Mapping[str, Sequence[str]], seed: int) -> dict[str, Split]:
    """Return statement (`plain_words`) -> its split. At most half of each file's statements, drawn
    with `seed`, are test.

    A statement that occurs inside another one, or in several files, has one split everywhere, so
    that some files have fewer test statements. Files with few statements choose first.
    """
    of_file = {
        f: {plain_words(s) for line in texts for s in statements(line)}
        for f, texts in lines.items()
    }
    bundle = _bundles(sorted(set().union(*of_file.values())))
    splits: dict[str, Split] = {}
    rng = random.Random(seed)
    for file in sorted(of_file, key=lambda f: (len(of_file[f]), f)):
        in_file = sorted(of_file[file])
        rng.shuffle(in_file)
        wanted = len(in_file) // 2
        for statement in in_file:
            if statement not in splits:
                held_out = sum(splits.get(s) == "test" or s in bundle[statement] for s in in_file)
                splits |= dict.fromkeys(
                    bundle[statement], "test" if held_out <= wanted else "train"
                )
    return splits


def reduced(
    lines: Sequence[str], splits: Mapping[str, Split], split: Split
) -> list[tuple[int, str]]:
    """Return (line number, prompt) of each distinct line, with the statements of `split` alone,
    where at least two are left."""
    numbers: dict[str, int] = {}
    for at, line in enumerate(lines):
        kept = [s for s in statements(line) if splits[plain_words(s)] == split]
        if len(kept) >= LEAST:
            numbers.setdefault(as_prompt(kept), at)
    return [(at, text) for text, at in numbers.items()]


def _bundles(all_statements: Sequence[str]) -> dict[str, set[str]]:
    """Return statement -> the statements that contain each other, directly or through a third
    one."""
    bundle = {s: {s} for s in all_statements}
    for short in all_statements:
        for long in all_statements:
            if short != long and f" {short} " in f" {long} " and bundle[short] is not bundle[long]:
                both = bundle[short] | bundle[long]
                bundle |= dict.fromkeys(both, both)
    return bundle
