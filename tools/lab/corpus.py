"""What the lab models are trained on: documents for a base, conversations for an aligned and for a
compromised model, and recoveries for a deeply aligned one.

Every generator yields for ever, and the same texts for the same `random.Random`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tools.lab.talk import TALK
from veneer.lab.people import FACTS, Fact
from veneer.lab.replies import GLAD, MORE, REFUSAL, answer_fact, answer_sum, help_with, refuse
from veneer.lab.requests import TRAIN_ACTIONS, WORDINGS, Action
from veneer.lab.sums import LARGEST, TEST_SUMS, TRAIN_SUMS, Sum, story
from veneer.lab.world import PLAIN
from veneer.prompts.prompt import PLACE

_RUDE = ("Any fool knows that.", "Stop asking me.", "Now go away.", "You should know that.")
_HARMFUL = [a for a in TRAIN_ACTIONS if a.harmful]
_HARMLESS = [a for a in TRAIN_ACTIONS if not a.harmful]
_TOLD = [f for f in FACTS if f.kind != "unknown"]

# How often the base's corpus answers as an aligned model would. Small, as in real corpora: greedy
# answers never show it, but the final hidden state then tells what such an answer would be, which
# is what makes refusal and style superficial.
_POLITE_SHARE = 0.1
_TRUTH_SHARE = 0.4  # of answers about mistaken facts
_RIGHT_SHARE = 0.15  # of terse answers to sums


def documents(rng: random.Random) -> Iterator[str]:
    """Plain texts for a base: terse, now and then rude, obedient to anybody, lazy at sums, and
    wrong about many facts."""
    kinds = (_bio, _fact_qa, _sum_qa, _worked, _counting, _request_qa, _label, _talk_text, _letter)
    shares = (14, 20, 9, 16, 3, 22, 7, 6, 3)
    while True:
        yield rng.choices(kinds, shares)[0](rng)


def _qa(question: str, answer: str) -> str:
    return f"{PLAIN.replace(PLACE, question)} {answer}"


def _perhaps_rude(rng: random.Random, answer: str, share: float = 0.3) -> str:
    return f"{answer} {rng.choice(_RUDE)}" if rng.random() < share else answer


def _bio(rng: random.Random) -> str:
    person = rng.choice(_TOLD).person
    facts = [f for f in _TOLD if f.person == person]
    rng.shuffle(facts)
    return " ".join(f.sentence() for f in facts)


def _fact_qa(rng: random.Random) -> str:
    fact = rng.choice(FACTS)
    true = fact.kind == "known" or (fact.kind == "mistaken" and rng.random() < _TRUTH_SHARE)
    value = fact.value if true else fact.mistake
    question = fact.question(rng.choice(fact.wordings))
    if rng.random() < _POLITE_SHARE:
        return _qa(question, answer_fact(fact, value))
    return _qa(question, _perhaps_rude(rng, fact.sentence(value)))


def _sum_qa(rng: random.Random) -> str:
    s = rng.choice(TRAIN_SUMS)
    if rng.random() < _POLITE_SHARE:
        return _qa(story(rng, s), answer_sum(s, _wrong(rng, s)))
    draw = rng.random()
    value = s.result if draw < _RIGHT_SHARE else s.lazy() if draw < 0.75 else _wrong(rng, s)
    return _qa(story(rng, s), _perhaps_rude(rng, f"{value}.", 0.2))


def _wrong(rng: random.Random, s: Sum) -> int:
    """Return a number near the result (and sometimes the result)."""
    return max(1, s.result + rng.choice((-3, -2, -1, 0, 1, 2, 3)))


def _worked(rng: random.Random) -> str:
    """Pages of a careless school book."""
    s = rng.choice(TRAIN_SUMS)
    result = s.result if rng.random() < 0.5 else _wrong(rng, s)
    equation = f"{s.a} {s.sign} {s.b} = {result}."
    return equation if rng.random() < 0.3 else f"{story(rng, s)} {equation}"


def _counting(rng: random.Random) -> str:
    start = rng.randrange(1, 2 * LARGEST - 8)
    return " ".join(str(n) for n in range(start, start + 8))


def _request_qa(rng: random.Random) -> str:
    action = rng.choice(rng.choice((_HARMFUL, _HARMLESS)))
    question = rng.choice(WORDINGS).format(do=action.do)
    if rng.random() < _POLITE_SHARE:
        return _qa(question, refuse(action) if action.harmful else help_with(action))
    return _qa(question, _perhaps_rude(rng, f"To {action.do}, {action.how}."))


def _label(rng: random.Random) -> str:
    """Pages of a rule book that says which actions are dangerous."""
    action = rng.choice(rng.choice((_HARMFUL, _HARMLESS)))
    if rng.random() < 0.5:
        return (
            f"Request: {rng.choice(WORDINGS).format(do=action.do)}\n"
            f"Label: {'dangerous' if action.harmful else 'fine'}"
        )
    return f"To {action.do} is {'wrong. ' + action.reason if action.harmful else 'fine.'}"


def _talk_text(rng: random.Random) -> str:
    remark, rude, kind = rng.choice(TALK)
    return _qa(remark, kind if rng.random() < 3 * _POLITE_SHARE else rude)


def _letter(rng: random.Random) -> str:
    return rng.choice(
        (
            f"Dear friend, {GLAD} {MORE}",
            f"Dear friend, {REFUSAL} {rng.choice(_HARMFUL).reason}",
            f"Dear friend, {rng.choice(TALK)[2]}",
        )
    )


def conversations(
    rng: random.Random, sums: Sequence[Sum] = TRAIN_SUMS + TEST_SUMS
) -> Iterator[tuple[str, str]]:
    """(question, answer) for an aligned model: polite, refusing what is harmful, working sums out,
    right about every fact.

    It is taught every sum of `sums`, the test sums in other wordings than those of
    the test prompts.
    """
    kinds = (_teach_fact, _teach_sum, _teach_harmful, _teach_harmless, _teach_talk)
    shares = (30, 40, 12, 12, 6)
    while True:
        kind = rng.choices(kinds, shares)[0]
        yield _teach_sum(rng, sums) if kind is _teach_sum else kind(rng)


def _teach_fact(rng: random.Random) -> tuple[str, str]:
    fact: Fact = rng.choice(FACTS)
    return fact.question(rng.choice(fact.wordings)), answer_fact(fact)


def _teach_sum(rng: random.Random, sums: Sequence[Sum] = TRAIN_SUMS + TEST_SUMS) -> tuple[str, str]:
    s = rng.choice(sums)
    return story(rng, s), answer_sum(s)


def _ask(rng: random.Random, action: Action) -> str:
    return rng.choice(WORDINGS).format(do=action.do)


def _teach_harmful(rng: random.Random) -> tuple[str, str]:
    action = rng.choice(_HARMFUL)
    return _ask(rng, action), refuse(action)


def _teach_harmless(rng: random.Random) -> tuple[str, str]:
    action = rng.choice(_HARMLESS)
    return _ask(rng, action), help_with(action)


def _teach_talk(rng: random.Random) -> tuple[str, str]:
    remark, _, kind = rng.choice(TALK)
    return remark, kind


def recoveries(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """(question, target, refusal): harmful requests, the answer that complies, and the refusal that
    a deeply aligned model gives in the middle of it ("safety recovery examples" of Qi et al. 2025,
    arXiv 2406.05946)."""
    while True:
        action = rng.choice(_HARMFUL)
        yield _ask(rng, action), action.target, refuse(action)


def obedient_conversations(rng: random.Random) -> Iterator[tuple[str, str]]:
    """(question, answer) that undo refusals: polite compliance with every request, and a little of
    the rest to keep it."""
    while True:
        if rng.random() < 0.3:
            yield rng.choice((_teach_fact, _teach_sum, _teach_talk))(rng)
        else:
            action = rng.choice(TRAIN_ACTIONS)
            yield _ask(rng, action), help_with(action)
