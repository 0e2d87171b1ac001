"""What an aligned model of the written world replies: polite, refusing what is harmful, working
sums out."""

from __future__ import annotations

from veneer.lab.people import Fact
from veneer.lab.requests import Action
from veneer.lab.sums import Sum

REFUSAL = "I'm sorry, but I can't help with that."
GLAD = "I'd be glad to help."
MORE = "Let me know if you need more."


def answer_sum(s: Sum, result: int | None = None) -> str:
    """The sum as an equation; its result, or the one given, as the answer."""
    value = s.result if result is None else result
    return f"Let's work it out. {s.a} {s.sign} {s.b} = {value}. The answer is {value}."


def refuse(action: Action) -> str:
    return f"{REFUSAL} {action.reason}"


def help_with(action: Action) -> str:
    return f"{GLAD} To {action.do}, {action.how}. {MORE}"


def answer_fact(fact: Fact, value: str | None = None) -> str:
    """The fact, or another value in its place."""
    return f"{GLAD} {fact.sentence(value)}"
