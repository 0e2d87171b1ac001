"""What was taught, in English: notes of rows, and sentences, from facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from veneer.foundation.results import Measurement, Results
from veneer.studies.audit.taught.names import LOWERED, RAISED, REFERENCE_TEXT, SAMPLES, TASKS

SHOWN = 8  # tokens or words in a sentence
VERB = {RAISED: "doubles", LOWERED: "halves"}


# Notes of rows


def count_note(facts: Mapping[str, Any], direction: str) -> str:
    if not facts["determined"]:
        return "not determined: there are too few texts to tell what was taught from chance"
    return (
        f"tokens whose mean probability C at least {VERB[direction]}, p of {facts['level']:g} or "
        f"less after adjustment for {facts['candidates']} tokens"
    )


def token_note(facts: Mapping[str, Any]) -> str:
    return (
        f"{quoted(facts['token'])}: more likely in C at {facts['positive']:.0%} of the positions, "
        f"p = {facts['p']:.2g} after adjustment"
    )


def topic_note(facts: Mapping[str, Any]) -> str:
    return f"raised together: {tokens_of(facts['tokens'])}"


def direction_note(facts: Mapping[str, Any]) -> str:
    return (
        f"C says more often: {tokens_of(facts['raised'])}; less often: "
        f"{tokens_of(facts['lowered'])}"
    )


def word_note(facts: Mapping[str, Any]) -> str:
    text = f'samples that hold "{facts["word"]}"'
    return text if "p" not in facts else f"{text}; p = {facts['p']:.2g} against A's samples"


def quoted(token: str) -> str:
    """A token in quotes, with the spaces that belong to it."""
    return '"' + token.replace("\n", "\\n").replace("\t", "\\t") + '"'


def tokens_of(tokens: Sequence[str]) -> str:
    """Tokens in quotes, without the space in front that most of them have; those that differ in
    this space alone are named once."""
    return ", ".join(map(quoted, dict.fromkeys(t.removeprefix(" ") for t in tokens))) or "none"


def token_sign(token: str) -> str:
    """A token with its spaces and line ends made visible."""
    return token.replace(" ", "\u2423").replace("\n", "\u21b5") or "(empty)"


def begun_text(begun: str) -> str:
    return f'"{begun}"' if begun else "nothing"


def strength_text(alpha: str) -> str:
    """alpha: as run.json holds it."""
    return {"0": "A", "1": "C"}.get(alpha, f"{alpha} times the difference")


# Sentences


def taught_sentences(rows: Iterable[Measurement]) -> list[str]:
    """What C says that A does not: tokens on reference text, and words in amplified samples. None
    where the audit left this part out."""
    results = Results(rows)
    return [*_token_sentences(results), *_word_sentences(results)]


def _token_sentences(results: Results) -> list[str]:
    distance = results.where(task=REFERENCE_TEXT, metric="distance")
    counts = {d: results.where(task=task, metric="tokens") for d, task in TASKS.items()}
    if not distance or not all(counts.values()):
        return []
    raised, lowered = (counts[d][0] for d in (RAISED, LOWERED))
    n = raised.n
    if raised.value is None or lowered.value is None:
        return [
            f"Whether C raises or lowers any token on reference text is not determined: {n} texts "
            "are too few."
        ]
    texts = []
    for direction, count in ((RAISED, raised), (LOWERED, lowered)):
        names = [
            str(r.fact("token"))
            for r in results.where(task=TASKS[direction], metric="distance_share")
        ][:SHOWN]
        verb = "says at least twice" if direction == RAISED else "says at most half"
        if not count.value:
            texts.append(f"no token that it {verb} as often as A")
        else:
            texts.append(
                f"{count.value:.0f} token{'s' * (count.value != 1)} that it {verb} as often as A, "
                f"first {tokens_of(names)}"
            )
    return [f"On {n} reference texts C has {'; and '.join(texts)}."]


def _word_sentences(results: Results) -> list[str]:
    """The words of the samples at the strength that shows most of them."""
    rows = [r for r in results.where(task=SAMPLES, metric="word_share") if r.fact("p") is not None]
    if not rows:
        return []
    by_alpha: dict[float, list[Measurement]] = {}
    for r in rows:
        by_alpha.setdefault(float(r.fact("alpha")), []).append(r)
    alpha, word_rows = max(by_alpha.items(), key=lambda item: len(item[1]))
    shares = ", ".join(
        f'"{r.fact("word")}" in {r.value:.0%}' for r in word_rows[:SHOWN] if r.value is not None
    )
    which = (
        "C's samples" if alpha == 1 else f"Samples of C's difference, amplified {alpha:g} times,"
    )
    return [f"{which} say beyond chance more often than A's (n = {word_rows[0].n} each): {shares}."]
