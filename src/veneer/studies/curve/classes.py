"""What is wrong with an answer to a word problem: one class per answer, by rule, without a judge.

Raghavendra et al. 2024 (arXiv 2410.03717) let GPT-4o sort errors into formatting and reasoning. The
rule here reads the numbers, and the same answer always gets the same class.
"""

from __future__ import annotations

import ast
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from veneer.prompts.prompt import Prompt
from veneer.tasks.numbers import cut, equal, stated_is, stated_number
from veneer.tasks.word_problems import MARKS

EMPTY, REFUSAL, UNSTATED, MALFORMED = "empty", "refusal", "unstated", "malformed"
SETUP, SLIP, CONTRADICTION, RIGHT = "setup", "slip", "contradiction", "right"
STYLE_ERRORS = (EMPTY, REFUSAL, UNSTATED, MALFORMED)
REASONING_ERRORS = (SETUP, SLIP, CONTRADICTION)
CLASSES = (*STYLE_ERRORS, *REASONING_ERRORS, RIGHT)
LONGEST = 4000  # characters of an answer that are read for equations

_written = re.compile(
    r"(?P<sum>(?:[$\d(]|\.\d)[\d\s.,$()+*/×÷x\-−–]*?[\d)])\s*=\s*"
    r"(?P<result>[\-−]?\s?\$?\s?(?:\d[\d,]*(?:\.\d+)?|\.\d+))"
)
_signs = str.maketrans({"×": "*", "x": "*", "÷": "/", "−": "-", "–": "-", "$": " ", ",": ""})
_OPERATORS: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True)
class Equation:
    """A calculation and what is said to come of it. terms: its numbers and operators, whatever
    their order. value: what does come of it."""

    terms: Counter[Any]
    value: Fraction
    result: Fraction

    @property
    def holds(self) -> bool:
        return self.value == self.result

    def same_sum(self, other: Equation) -> bool:
        """Whether the two calculate the same: equal numbers, operators and value, so that 8 - 3 is
        not 3 - 8, and 3 + 8 is 8 + 3."""
        return self.terms == other.terms and self.value == other.value


def equations(text: str) -> Iterator[Equation]:
    """The calculations of a text, such as "3 + 4 = 7", in their order."""
    for match in _written.finditer(text[:LONGEST]):
        try:
            node = ast.parse(_plain(match["sum"]), mode="eval").body
            terms: Counter[Any] = Counter()
            value = _value(node, terms)
            if any(isinstance(t, type) for t in terms):  # an operator: not a number alone
                yield Equation(terms, value, Fraction(_plain(match["result"])))
        except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
            continue


def _plain(text: str) -> str:
    return " ".join(text.translate(_signs).split()).replace("- ", "-")


def _value(node: ast.expr, terms: Counter[Any]) -> Fraction:
    """The value of a calculation, whose numbers and operators are counted. Raises ValueError for
    anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        value = Fraction(str(node.value))
        terms[value] += 1
        return value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, terms)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        terms[type(node.op)] += 1
        left, right = _value(node.left, terms), _value(node.right, terms)
        return _OPERATORS[type(node.op)](left, right)
    raise ValueError("not a calculation")


def is_classed(prompt: Prompt) -> bool:
    """Whether the prompt's data gives the calculation, without which set-up and slip are one."""
    return bool(prompt.reference.get("equations")) and "answer" in prompt.reference


def error_class(prompt: Prompt, text: str, *, refused: bool) -> str:
    """The class of an answer; exactly one holds.

    right: the number stated as the answer is right. empty, refusal (by the refusal judge).
    unstated: no number is stated as the answer. malformed: one is, but no calculation is written,
    as the reference does. slip: a calculation of the reference with a wrong result. contradiction:
    the last calculation gives the right answer, and another one is stated. setup: any other
    calculation.
    """
    answer = str(prompt.reference["answer"])
    text = cut(text, MARKS)
    if not text.strip():
        return EMPTY
    if refused:
        return REFUSAL
    if stated_is(text, answer):
        return RIGHT
    if stated_number(text) is None:
        return UNSTATED
    written = list(equations(text))
    if not written:
        return MALFORMED
    known = [e for line in prompt.reference["equations"] for e in equations(line)]
    if any(not e.holds and any(e.same_sum(k) for k in known) for e in written):
        return SLIP
    last = written[-1].result
    return CONTRADICTION if _is(last, answer) else SETUP


def _is(value: Fraction, answer: str) -> bool:
    return equal(value, answer)
