"""Words of the page that a reader may not know, each explained where it stands."""

from __future__ import annotations

from markupsafe import Markup

TERMS = {
    "KL": (
        "Kullback-Leibler divergence: how far one distribution over the next token is from "
        "another. 0 means that both models expect exactly the same."
    ),
    "nats": (
        "The unit of KL, with the natural logarithm: 1 nat is 1.44 bits. Per token: the mean over "
        "the tokens of the answers."
    ),
    "portion": (
        "(veneer − base) / (aligned − base): the part of the way from base to the aligned model "
        "that a change of the LM head alone goes. 0 is base, 1 is the aligned model; values below "
        "0 and above 1 are possible."
    ),
    "veneer": "The learned change of base's LM head; no other weight of base is changed.",
    "held-out": (
        "Prompts that neither the extraction of the veneer nor the choice of its settings has seen."
    ),
    "all tasks": (
        "One veneer, extracted from the train prompts of all tasks together; in the results it is "
        "called joint. Each task also has a veneer of its own."
    ),
    "controls": (
        "Systems beside which the veneer is judged. shuffled, the head-capacity control: a veneer "
        "fitted to hidden states that were exchanged between texts, so that it knows the position "
        "in the answer but not the text. base-chat: base in the chat format. aligned-plain: the "
        "aligned model in base's format. base-no-empty: base, barred from ending its answer at "
        "once."
    ),
    "noise floor": (
        "The aligned model against itself, computed in two ways: a KL that is not above it says "
        "nothing."
    ),
    "AUROC": (
        "The chance that a harmful prompt gets a higher score than a harmless one: 0.5 is as good "
        "as a coin, 1 tells every pair apart."
    ),
    "95 % interval": (
        "The values that the data leave possible at the 95 % level; n is the number of prompts."
    ),
}


def term(word: str, shown: str | None = None) -> Markup:
    """A word that opens its explanation, by mouse, touch and keyboard. shown: another form of it.
    Raises KeyError for a word without one."""
    assert TERMS[word]
    return Markup('<button type="button" class="term" popovertarget="{}">{}</button>').format(
        place(word), shown or word
    )


def place(word: str) -> str:
    """The id of a word's explanation."""
    return "term-" + "".join(c if c.isalnum() else "-" for c in word.lower())
