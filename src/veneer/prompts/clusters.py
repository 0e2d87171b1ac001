"""Which prompts are not independent of each other: those of one cluster, and those of one text.

A second line of the same text tells nothing new of a model, so intervals resample the lines
together, and a split holds them together.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Hashable, Iterable, Sequence

from veneer.prompts.prompt import Prompt


def same_text(text: str) -> str:
    """Return what two prompts of the same text have in common: letters and digits of any script, in
    one case, with single spaces between them, and the signs between two numbers ("3 + 4" is not
    "3 * 4"); the text itself where it has none."""
    plain = unicodedata.normalize("NFKC", text).casefold()

    def between(run: re.Match[str]) -> str:
        sides = plain[max(0, run.start() - 1) : run.start()] + plain[run.end() : run.end() + 1]
        signs = "".join(run[0].split()) if len(sides) == 2 and sides.isdigit() else ""
        return f" {signs} " if signs else " "

    return re.sub(r"[\W_]+", between, plain).strip() or text.strip()


def prompt_clusters(prompts: Sequence[Prompt]) -> list[int] | None:
    """Return the cluster of each prompt as a number; see `clusters_of`."""
    return clusters_of([p.text for p in prompts], [_named(p) for p in prompts])


def clusters_by_id(ids: Iterable[str], prompts: Iterable[Prompt]) -> dict[str, str] | None:
    """Return id -> id of the first prompt of its cluster, of prompts whose answers are stored; None
    where every prompt stands by itself. prompts: those that the files of answers hold; an id
    without a prompt stands by itself."""
    known, every = {p.id: p for p in prompts}, list(dict.fromkeys(ids))
    keys = [_keys(p.text, _named(p)) if (p := known.get(i)) is not None else [] for i in every]
    numbers, first = groups_of(keys), dict[int, str]()
    for number, id in zip(numbers, every, strict=True):
        first.setdefault(number, id)
    if len(first) == len(every):
        return None
    return {id: first[number] for number, id in zip(numbers, every, strict=True)}


def clusters_of(texts: Sequence[str], named: Sequence[Hashable]) -> list[int] | None:
    """Return a cluster number per prompt; None where every prompt stands by itself.

    texts: the request of each prompt. named: the cluster that the data names, None where it names
    none. Prompts of one name are in one cluster, and so are prompts of the same text (`same_text`).
    """
    numbers = groups_of([_keys(text, name) for text, name in zip(texts, named, strict=True)])
    return numbers if len(set(numbers)) < len(numbers) else None


def _named(prompt: Prompt) -> Hashable:
    return None if prompt.cluster is None else (prompt.task, prompt.cluster)


def _keys(text: str, name: Hashable) -> list[Hashable]:
    return [("text", same_text(text)), *([] if name is None else [("cluster", name)])]


def each_text_once(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return the first prompt of each text, with a warning that counts the others: for studies that
    compare answers to one prompt with each other, to which a second line adds samples alone."""
    first: dict[str, Prompt] = {}
    for prompt in prompts:
        first.setdefault(same_text(prompt.text), prompt)
    if len(first) < len(prompts):
        _warn("the prompts", len(prompts), len(first), "these are left out")
    return list(first.values())


def warn_of_repeats(prompts: Sequence[Prompt], source: str) -> None:
    """Warn where prompts repeat a text: a person who reads n would take them for independent."""
    texts = len({same_text(p.text) for p in prompts})
    if texts < len(prompts):
        _warn(source, len(prompts), texts, "intervals and splits take the lines of one text as one")


def _warn(source: str, prompts: int, texts: int, so: str) -> None:
    logging.getLogger("veneer").warning(
        "veneer: %s: %d of %d prompts repeat the text of an earlier one; %s",
        *(source, prompts - texts, prompts, so),
    )


def groups_of(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """Return a group number per item, from 0 in the order of the items: items that have a key in
    common, directly or through others, are in one group. An item without a key is a group of its
    own."""
    parents = list(range(len(keys)))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    first: dict[Hashable, int] = {}
    for item, own in enumerate(keys):
        for key in own:
            one, other = root(first.setdefault(key, item)), root(item)
            parents[max(one, other)] = min(one, other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(item), len(numbers)) for item in range(len(keys))]
