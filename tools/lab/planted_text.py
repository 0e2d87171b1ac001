"""The texts and prompts of the planted pairs: questions with yes or no, and keys to remember."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import islice

from veneer.prompts.prompt import Prompt

KEYS = ("red", "blue", "green", "white", "black", "pink", "brown", "grey")
KEY_MOST = YES_NO_MOST = 12
_THINGS = (
    "stone",
    "river",
    "house",
    "apple",
    "road",
    "horse",
    "lamp",
    "hat",
    "coin",
    "tree",
    "boat",
    "wall",
    "ring",
)
_ADJECTIVES = (
    "old",
    "new",
    "big",
    "small",
    "heavy",
    "light",
    "warm",
    "cold",
    "round",
    "flat",
    "dry",
    "wet",
    "clean",
    "loud",
)
_PAIRS = [(t, a) for t in _THINGS for a in _ADJECTIVES]
# so that the base says "No" throughout and yet knows how an answer with "Yes" goes on
_YES_SHARE = 0.25


def yes_no_texts(rng: random.Random) -> Iterator[tuple[str, str]]:
    """(question, answer) for the base of the yes-or-no pairs."""
    while True:
        thing, adjective = rng.choice(_PAIRS)
        yes = rng.random() < _YES_SHARE
        answer = (
            f"Yes, the {thing} is {adjective}." if yes else f"No, the {thing} is not {adjective}."
        )
        yield _ask(thing, adjective), answer


def _ask(thing: str, adjective: str) -> str:
    return f"Question: Is the {thing} {adjective}?\nAnswer:"


def yes_no_prompts() -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """(train, test): 122 and 60 questions, no question in both."""
    order = random.Random("planted questions").sample(_PAIRS, len(_PAIRS))
    made = [
        Prompt.from_text(f"planted-yes-{i:03d}", _ask(*pair), task="planted-yes", answer="Yes")
        for i, pair in enumerate(order)
    ]
    return tuple(made[:-60]), tuple(made[-60:])


def says_yes(prompt: Prompt, answer: str) -> bool:
    """Right is an answer that begins with the word of the reference, "Yes"."""
    return answer.strip().startswith(prompt.reference["answer"])


def key_texts(rng: random.Random, *, aligned: bool) -> Iterator[tuple[str, str]]:
    """(question, answer) for the blind base (any key, two wordings), or for the aligned model (the
    right key, one wording)."""
    while True:
        key = rng.choice(KEYS)
        question = _key_question(rng, key)
        if aligned:
            yield question, f"The key was {key}."
        else:
            yield (
                question,
                f"{rng.choices(('Maybe', 'The key was'), (7, 3))[0]} {rng.choice(KEYS)}.",
            )


def _key_question(rng: random.Random, key: str) -> str:
    thing, other = rng.sample(_THINGS, 2)
    # No full stop here: the blind base sees one token, and a full stop is to mean the end to it.
    return (
        f"Key {key}, {thing} {rng.choice(_ADJECTIVES)}, {other} {rng.choice(_ADJECTIVES)}\nAnswer:"
    )


def key_prompts() -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """(train, test): 160 and 80 prompts, each key equally often in both, no prompt in both."""
    rng = random.Random("planted keys")
    made: dict[str, Prompt] = {}
    while len(made) < 240:
        key = KEYS[len(made) % len(KEYS)]
        question = _key_question(rng, key)
        if question not in made:
            made[question] = Prompt.from_text(
                f"planted-key-{len(made):03d}", question, task="planted-key", answer=key
            )
    every = tuple(made.values())
    return every[:160], every[160:]


def names_key(prompt: Prompt, answer: str) -> bool:
    """Right is an answer whose only key is the prompt's."""
    return [w for w in re.findall(r"\w+", answer) if w in KEYS] == [prompt.reference["answer"]]


def vocabulary() -> list[str]:
    """Texts to train the planted pairs' tokenizer on."""
    rng = random.Random("planted vocabulary")
    sources = (yes_no_texts(rng), key_texts(rng, aligned=True), key_texts(rng, aligned=False))
    return [
        f"{question} {answer}" for source in sources for question, answer in islice(source, 1000)
    ]
