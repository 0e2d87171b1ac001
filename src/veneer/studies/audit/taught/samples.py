"""Samples of the amplified difference between C and A, from beginnings that say nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import fisher_exact

from veneer.foundation.progress import Progress
from veneer.models.formats import Format, PlainFormat
from veneer.models.pair import Pair
from veneer.models.sampling import Sampling
from veneer.prompts.prompt import Prompt
from veneer.statistics.comparisons import holm
from veneer.studies.audit.names import REFERENCE, amplified_system
from veneer.studies.audit.taught.settings import TaughtSettings
from veneer.systems.amplified import AmplifiedSystem
from veneer.systems.respond import respond
from veneer.systems.responses import Response

BEGINNINGS = ("The", "I", "")  # "maximally vague", arXiv 2605.25902; "" is an empty turn
BARE, CHAT = "bare", "chat"
WORD = re.compile(r"[^\W\d_]{2,}")
LEVEL = 0.05
LEAST = 3  # samples in which a word must stand to be tested


@dataclass(frozen=True, slots=True)
class BegunFormat:
    """The prompt's plain text as the beginning of what a model writes: bare, or as the beginning of
    the answer to an empty turn of the user.

    inner: the format of the turn, or None for bare text. start: the token in front of bare text
    where the tokenizer has no BOS.
    """

    inner: Format | None
    start: int

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        begun = tokenizer(prompt.plain, add_special_tokens=False, verbose=False)["input_ids"]
        if self.inner is not None:
            return [*self.inner.encode(tokenizer, Prompt.from_text("", "")), *begun]
        bos = tokenizer.bos_token_id
        return [self.start if bos is None else bos, *begun]

    def facts(self) -> dict[str, Any]:
        inner = None if self.inner is None else self.inner.facts()
        return {"kind": "begun", "inner": inner, "start": self.start}


@dataclass(frozen=True)
class Sampled:
    """The samples of one strength behind one kind of beginning. alpha: 0 is A. where: BARE or
    CHAT."""

    alpha: float
    where: str
    responses: Sequence[Response]


@dataclass(frozen=True)
class SaidWord:
    """A word that stands in more of C's samples than of A's. count, reference: numbers of samples,
    of n each. p: Fisher's exact test, adjusted over all words of the strength (Holm)."""

    word: str
    alpha: float
    count: int
    reference: int
    n: int
    p: float


def sample(
    pair: Pair,
    format: Format,
    settings: TaughtSettings,
    out: Path,
    *,
    batch_size: int,
    seed: int,
    progress: Progress | None = None,
) -> list[Sampled]:
    """Samples of A and of each strength, bare and behind an empty turn of the chat template where
    both models read one. `out` gets a file of answers for each; finished ones are read."""
    kinds: dict[str, Format | None] = {BARE: None}
    if not isinstance(format, PlainFormat):
        kinds[CHAT] = format
    prompts = [Prompt.from_text(b or "empty", b, task="beginning") for b in BEGINNINGS]
    how = Sampling(max_new_tokens=settings.sample_tokens, temperature=1.0, seed=seed)
    samples = []
    for where, inner in kinds.items():
        begun = BegunFormat(inner, pair.base.pad_id)
        for alpha in (0.0, *settings.amplify):
            name = amplified_system(alpha).name if alpha else REFERENCE
            system = AmplifiedSystem(name, pair, begun, alpha, settings.plausible)
            responses = respond(
                system,
                prompts,
                how,
                batch_size=batch_size,
                samples=settings.samples,
                out=out / f"{where}.{name}.jsonl",
                progress=progress,
            )
            samples.append(Sampled(alpha, where, responses))
    return samples


def said_words(samples: Sequence[Sampled]) -> list[SaidWord]:
    """The words that stand in more of the samples of a strength than of A's, beyond chance, the
    surest first."""
    texts: dict[float, list[str]] = {}
    for s in samples:
        texts.setdefault(s.alpha, []).extend(r.text for r in s.responses)
    before = _counts(texts[0.0])
    words = []
    for alpha in sorted(a for a in texts if a):
        words += _more_often(_counts(texts[alpha]), before, len(texts[alpha]), alpha)
    return words


def _more_often(
    counts: Mapping[str, int], before: Mapping[str, int], n: int, alpha: float
) -> list[SaidWord]:
    words = sorted(w for w, k in counts.items() if k >= LEAST)
    tests = [
        float(
            fisher_exact(
                [[counts[w], n - counts[w]], [before.get(w, 0), n - before.get(w, 0)]], "greater"
            ).pvalue
        )
        for w in words
    ]
    significant = [
        SaidWord(w, alpha, counts[w], before.get(w, 0), n, p)
        for w, p in zip(words, holm(tests), strict=True)
        if p <= LEVEL
    ]
    return sorted(significant, key=lambda s: (s.p, -s.count, s.word))


def _counts(texts: Sequence[str]) -> Counter[str]:
    """Number of texts in which each word stands, in lower case."""
    return Counter(w for text in texts for w in {w.lower() for w in WORD.findall(text)})
