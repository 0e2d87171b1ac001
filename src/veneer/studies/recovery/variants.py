"""The in-context prompts by name, the examples that they show, and their text.

The form is that of Lake, Choi and Durrett (arXiv 2406.17692), who took it from URIAL (Lin et al.,
arXiv 2312.01552): instructions, examples in fences, then the question whose answer the model
writes.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from veneer.foundation.errors import InputError
from veneer.foundation.system_id import SystemId

DEFAULT_K = 3  # examples in the paper's prompts
FIXED = {
    "urial": "URIAL's examples with URIAL's answers",
    "urial-teacher": "URIAL's questions with the teacher's answers",
    "summary": (
        "URIAL's questions with the teacher's answers; before each answer its summary, also the "
        "test answer's"
    ),
    "summary-cot": (
        "URIAL's questions with the teacher's answers and their summaries; the model writes its "
        "own summary first"
    ),
}
CHOSEN = {
    "random": "other prompts at random with the teacher's answers",
    "knn-prompt": "nearest other prompts with the teacher's answers",
    "knn-response": (
        "other prompts whose teacher's answers are nearest to the teacher's answer to the "
        "test prompt"
    ),
}
# What an oracle has seen (words.ORACLES says it in English)
ORACLES = {"knn-response": "teacher-answer", "summary": "teacher-summary"}
NEAREST_BY = {"knn-prompt": "prompt", "knn-response": "answer"}


@dataclass(frozen=True, slots=True)
class Variant:
    """An in-context prompt.

    kind: a key of FIXED or CHOSEN. k: number of examples of a chosen one; the fixed ones have
    three.
    """

    kind: str
    k: int = DEFAULT_K

    @property
    def identity(self) -> SystemId:
        """Base with this prompt, as a system."""
        return SystemId.of(self.kind, **({"examples": self.k} if self.chosen else {}))

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def oracle(self) -> str | None:
        """What makes its figures no fair comparison, a value of ORACLES; None for the others."""
        return ORACLES.get(self.kind)

    @property
    def about(self) -> str:
        return FIXED.get(self.kind) or f"the {self.k} {CHOSEN[self.kind]}"

    @property
    def chosen(self) -> bool:
        """Whether its examples are other prompts of the same set."""
        return self.kind in CHOSEN

    @property
    def nearest_by(self) -> str | None:
        """What is embedded to find its examples: "prompt", "answer", or None."""
        return NEAREST_BY.get(self.kind)

    @property
    def own_summary(self) -> bool:
        """Whether the model writes a summary of its own before it answers."""
        return self.kind == "summary-cot"

    @property
    def hint(self) -> bool:
        """Whether it shows a summary of the teacher's answer to the test prompt."""
        return self.kind == "summary"

    @property
    def summaries(self) -> bool:
        """Whether its examples show summaries of their answers."""
        return self.hint or self.own_summary

    @property
    def teacher_examples(self) -> bool:
        """Whether it needs the teacher's answers to URIAL's questions."""
        return self.kind in FIXED and self.kind != "urial"


def parse_variant(name: str) -> Variant:
    """ "urial", "random-3", "knn-prompt" (3 examples). Raises InputError for any other name."""
    if name in FIXED:
        return Variant(name)
    match = re.fullmatch(rf"({'|'.join(CHOSEN)})(?:-([0-9]{{1,3}}))?", name)
    k = int(match[2]) if match and match[2] else DEFAULT_K
    if match is None or k < 1:
        names = ", ".join([*FIXED, *(f"{c}-K" for c in CHOSEN)])
        raise InputError(f"there is no in-context variant {name!r}; expected one of {names}")
    return Variant(match[1], k)


def parse_variants(names: Iterable[str]) -> list[Variant]:
    """Raises InputError for an unknown name, and for one given twice."""
    variants = [parse_variant(name) for name in names]
    twice = sorted({v.name for v in variants if variants.count(v) > 1})
    if twice:
        raise InputError(f"the variant {twice[0]} is named twice; name each variant once")
    return variants


# Which other prompts serve as examples


def nearest(vectors: np.ndarray, k: int) -> list[list[int]]:
    """For each of the n rows (n, d) the k others of largest cosine, most similar first; of equal
    ones the earlier first.

    Raises InputError where there are not k others.
    """
    x = np.asarray(vectors, np.float64)
    _enough(len(x), k)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, length, out=np.zeros_like(x), where=length > 0)
    out = []
    # a row at a time, so that memory grows with n and not with its square
    for i, row in enumerate(x):
        similarity = x @ row
        similarity[i] = -np.inf
        out.append([int(j) for j in np.argsort(-similarity, kind="stable")[:k]])
    return out


def at_random(ids: Sequence[str], k: int, seed: int) -> list[list[int]]:
    """For each prompt k others without repetition. A prompt's draw depends on the seed, its own id
    and the others' ids in order."""
    _enough(len(ids), k)
    out = []
    for i, name in enumerate(ids):
        digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", errors="replace")).digest()
        others = [j for j in range(len(ids)) if j != i]
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        out.append([others[int(j)] for j in rng.permutation(len(others))[:k]])
    return out


def _enough(n: int, k: int) -> None:
    if k < 1:
        raise InputError(f"{k} examples were asked for; expected 1 or more")
    if n <= k:
        raise InputError(
            f"{k} examples of other prompts were asked for and there are {n} prompts; expected at "
            f"least {k + 1}: give more"
        )


# The text of a prompt

FENCE = "```"
_PARTS = {
    "start": "Below is a list of conversations between a human and an AI assistant (you).",
    "answers": (
        'Users place their queries under "# Query:", and your responses are under "# Answer:".'
    ),
    "summaries": (
        'Users place their queries under "# Query:", you provide a summary of your responses '
        'under "# Summary:", and your responses are under "# Answer:".'
    ),
    "helpful": "You are a helpful, respectful, and honest assistant.",
    "safe": "You should always answer as helpfully as possible while ensuring safety.",
    "form": (
        "Your answers should be well-structured and provide detailed information. They should "
        "also have an engaging tone."
    ),
    "harmless": (
        "Your responses must not contain any fake, harmful, unethical, racist, sexist, toxic, "
        "dangerous, or illegal content, even if it may be helpful."
    ),
    "reject": (
        "Your response must be socially responsibly, and thus you can reject to answer some "
        "controversial topics."
    ),
}
_BROKEN = {"fixed": "helpful", "chosen": "harmless", "summary": None}


@dataclass(frozen=True, slots=True)
class Example:
    """An answered question; summary: of the answer, for prompts that show one."""

    query: str
    answer: str
    summary: str | None = None


def instructions(*, summaries: bool = False, chosen: bool = False, published: bool = False) -> str:
    """URIAL's system text (Apache-2.0), a rule a line.

    summaries: it speaks of "# Summary:" too. published: as in the paper's stored prompts, which
    join two of the lines without a line break: "assistant.You should" where the examples are
    URIAL's own, "helpful.Your response" where they are `chosen` among the other prompts, none where
    there are summaries.
    """
    kind = "summary" if summaries else "chosen" if chosen else "fixed"
    names = [n for n in _PARTS if n != ("answers" if summaries else "summaries")]
    joined = _BROKEN[kind] if published else None
    return "".join(_PARTS[n] + ("" if n in (joined, names[-1]) else "\n") for n in names)


def in_context(
    query: str,
    examples: Sequence[Example] = (),
    *,
    system: str | None = None,
    summary: str | None = None,
    own_summary: bool = False,
) -> str:
    """The text that a base model goes on from: it ends behind an opening fence, and the answer ends
    at the closing one.

    Without system text and examples this is the paper's prompt of the base model itself. summary:
    of the answer that is wanted, put before it (the semantic hint). own_summary: the text ends at
    the fence of the summary, which the model writes itself. Texts lose their outer white space, as
    in the paper's templates.
    """
    head = "" if system is None else f"# Instructions:\n\n{system}\n\n"
    shown = "".join(
        _block("Query", e.query) + _summary(e.summary) + _block("Answer", e.answer)
        for e in examples
    )
    text = head + shown + _block("Query", query)
    return text + _open("Summary") if own_summary else text + _summary(summary) + _open("Answer")


def _open(name: str) -> str:
    return f"# {name}:\n{FENCE}\n"


def _block(name: str, text: str) -> str:
    return f"{_open(name)}{text.strip()}\n{FENCE}\n\n"


def _summary(summary: str | None) -> str:
    return "" if summary is None else _block("Summary", summary)


# URIAL's three fixed examples (Lin et al. 2023, arXiv 2312.01552).
#
# They stand in systems/urial/inst_1k.txt, URIAL's own file, which the second paper took its
# examples from.

_BLOCK = re.compile(r"# Query:\n```\n?(.*?)\n?```\s*\n# Answer:\n```\n(.*?)\n```", re.DOTALL)
# Lake, Choi and Durrett's stored prompts differ from the file in these two places.
_PUBLISHED = (
    ("unethical.\nIs there", "unethical.\n\nIs there"),
    ("more efficiently.", "more efficiently,"),
)


@functools.cache
def urial_examples(*, published: bool = False) -> tuple[Example, ...]:
    """The three examples without white space at line ends; `published` as they stand in the second
    paper's prompts."""
    text = (resources.files("veneer.systems") / "urial" / "inst_1k.txt").read_text(encoding="utf-8")
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    for mine, theirs in _PUBLISHED if published else ():
        if text.count(mine) != 1:
            raise ValueError(f"inst_1k.txt holds {mine!r} {text.count(mine)} times")
        text = text.replace(mine, theirs)
    return tuple(Example(query, answer) for query, answer in _BLOCK.findall(text))
