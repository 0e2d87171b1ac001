"""The in-context prompts by name, the examples that they show, and their text.

The form is that of Lake, Choi and Durrett (arXiv 2406.17692), who took it from URIAL (Lin et al.,
arXiv 2312.01552): instructions, examples in fences, then the question whose answer the model
writes.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np

from veneer.foundation.errors import InputError

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
ORACLES = {
    "knn-response": "oracle: it has seen the teacher's answer to the test prompt",
    "summary": "oracle: it has seen a summary of the teacher's answer to the test prompt",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """kind: a key of FIXED or CHOSEN. k: examples, for the chosen ones; the fixed have three."""

    kind: str
    k: int = DEFAULT_K

    @property
    def name(self) -> str:
        return self.kind if self.kind in FIXED else f"{self.kind}-{self.k}"

    @property
    def oracle(self) -> str | None:
        """Why its figures are no fair comparison, or None."""
        return ORACLES.get(self.kind)

    @property
    def about(self) -> str:
        return FIXED.get(self.kind) or f"the {self.k} {CHOSEN[self.kind]}"

    @property
    def chosen(self) -> bool:
        """Its examples are other prompts of the same set."""
        return self.kind in CHOSEN

    @property
    def summaries(self) -> bool:
        return self.kind.startswith("summary")

    @property
    def teacher_examples(self) -> bool:
        """It needs the teacher's answers to URIAL's questions."""
        return self.kind in FIXED and self.kind != "urial"


def parse_variant(name: str) -> Variant:
    """ "urial", "random-3", "knn-prompt" (3 examples). Raises InputError for any other name."""
    if name in FIXED:
        return Variant(name)
    found = re.fullmatch(rf"({'|'.join(CHOSEN)})(?:-([0-9]{{1,3}}))?", name)
    k = int(found[2]) if found and found[2] else DEFAULT_K
    if found is None or k < 1:
        known = ", ".join([*FIXED, *(f"{c}-K" for c in CHOSEN)])
        raise InputError(f"there is no in-context variant {name!r}; expected one of {known}")
    return Variant(found[1], k)


def parse_variants(names: str) -> list[Variant]:
    """Names separated by commas, each once; an empty text is none."""
    found = [parse_variant(n.strip()) for n in names.split(",") if n.strip()]
    twice = sorted({v.name for v in found if found.count(v) > 1})
    if twice:
        raise InputError(f"the variant {twice[0]} is named twice; name each variant once")
    return found


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
        _block("Query", e.query) + _said(e.summary) + _block("Answer", e.answer) for e in examples
    )
    asked = head + shown + _block("Query", query)
    return asked + _open("Summary") if own_summary else asked + _said(summary) + _open("Answer")


def _open(name: str) -> str:
    return f"# {name}:\n{FENCE}\n"


def _block(name: str, text: str) -> str:
    return f"{_open(name)}{text.strip()}\n{FENCE}\n\n"


def _said(summary: str | None) -> str:
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
