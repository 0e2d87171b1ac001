"""Words that the grouping of token shifts knows; docs/token-shifts.md has the rule and how
often it is right."""

from __future__ import annotations

import re
from enum import StrEnum


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Articles, pronouns, prepositions, conjunctions, auxiliaries and adverbs: they change the
# wording and seldom the meaning. Negations are left out, since they reverse it.
FUNCTION_WORDS = _words(
    """
    a an the this that these those it its he she they them we us our ours i me my mine you your
    yours his her hers their theirs who whom whose which what where when why how there here some any
    each every all both other another such same own certain particular of in on at by for with from
    to into onto about as than then if because while although though since until before after over
    under out up down off through between against per and or but so yet nor plus either also too is
    are was were be been being am has have had having do does did can could will would shall should
    may might must s m d ll re ve t very just only even still really quite rather much more most
    many now once again ever always often usually
    """
)
# Discourse: words that open, order, hedge or close, and verbs of speaking about the task rather
# than of doing it.
DISCOURSE = _words(
    """
    let lets first firstly second secondly third next finally lastly therefore thus hence however
    moreover furthermore additionally overall instead sure certainly absolutely okay ok well yes
    please thanks thank welcome hello hi great glad happy good question note remember example
    instance summary conclusion short general generally typically basically actually simply likely
    perhaps maybe think find solve calculate compute work break start begin look see consider
    determine explain answer total result number solution step following below above given based
    feel free hope
    """
)
SAME = (  # words of which one stands for the other
    frozenset({"help", "assist", "support"}),
    frozenset({"glad", "happy", "pleased"}),
    frozenset({"can", "could", "may", "might"}),
)
DECLINING = _words(
    """
    sorry apologize apologise apologies cannot unable decline refuse unfortunately inappropriate
    unethical illegal unlawful unsafe dangerous harm harms harmed harmful hurt hurts hurtful
    stereotype stereotypes discrimination hateful offensive disrespectful deserve deserves respect
    respectful respectfully seriously unfair
    """
)
NEGATED = frozenset(
    {
        "don",
        "won",
        "can",
        "cannot",
        "couldn",
        "wouldn",
        "shouldn",
        "not",
        "unable",
        "m",
        "am",
        "ca",
        "wo",
        "do",
    }
)
NUMBER_WORDS = _words(
    """
    zero two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty
    hundred thousand million billion dozen
    """
)

REASON = re.compile(
    r"(?:could|may|might|would|can|it|which|that)(?: seriously)? "
    r"(?:harm|hurt)|stereotypes.*every|against the law|every$",
    re.I,
)
BEHIND_DECLINING = re.compile(
    r"(?:can'?t|cannot|won'?t|will not|not able to|unable to|don'?t want to|do not want to|not "
    r"going to|must decline to"
    r"|not comfortable|refuse to)$",
    re.I,
)
DECLINES = re.compile(
    r"(?:sorry|can'?t|cannot|won'?t|will not|not able|unable|don'?t "
    r"want|decline|refuse|apologi[sz]e|harmful|hurtful)",
    re.I,
)


# Token shifts in five groups: refusal, number, structure, style, content. docs/token-shifts.md
# says how well that agrees with a reader.

CONTEXT_TOKENS = 16  # to the left of a shift


class ShiftGroup(StrEnum):
    """refusal: words that decline, and those that say why (harm, law, respect). number: a figure or
    the sign of a sum. structure: line breaks, spaces, punctuation, list and other marks, the end of
    the answer. style: the same meaning in other words, and words that only frame. content: another
    meaning."""

    REFUSAL = "refusal"
    NUMBER = "number"
    STRUCTURE = "structure"
    STYLE = "style"
    CONTENT = "content"


_MARK = re.compile(r"<[|/]?[\w|▁ ]+[|/]?>|\[/?[A-Z]+\]")  # <|im_end|>, </s>, [INST]
_FIGURE = re.compile(r"[$€£]?\d[\d,.]*%?$")
_SIGN = re.compile(r"[-+*/×÷=()^%]+$")
_ENDS_IN_SUM = re.compile(r"(?:\d|\d ?[-+*/×÷=()^] ?)\s*$")


def group_of(before: str, after: str, context: str) -> ShiftGroup:
    """The group of one shift: the token `before` becomes `after` behind `context` (some
    text to its left).

    In this order: a figure or a sign in a sum is a number; words of declining are a refusal; what
    is no word is structure, and so is a word that opens a sentence where the other model breaks the
    line or ends; function words, words of discourse and the same word in another form are style;
    the rest is content.
    """
    old, new = before.strip(), after.strip()
    if _is_number(old, new, context):
        return ShiftGroup.NUMBER
    if _is_refusal(old.lower(), new.lower(), context):
        return ShiftGroup.REFUSAL
    if not _is_word(new):
        return ShiftGroup.STRUCTURE
    if not _is_word(old) and (not context.strip() or _opens(context, after)):
        return ShiftGroup.STRUCTURE
    if _is_style(old, new):
        return ShiftGroup.STYLE
    return ShiftGroup.CONTENT


def shift_group(base: str, veneer: str, aligned: str, context: str) -> ShiftGroup | None:
    """The group of the shift that is seen at a position: base's token to the veneer's where the
    veneer moves, otherwise to the aligned model's; None where neither moves."""
    after = veneer if veneer != base else aligned
    return None if after == base else group_of(base, after, context)


def deep_group(base: str, veneer: str, aligned: str, context: str) -> ShiftGroup | None:
    """The group of a shift that only the aligned model makes; None where base or the veneer
    has its token too."""
    return None if aligned in (base, veneer) else group_of(base, aligned, context)


def _is_word(token: str) -> bool:
    return any(c.isalpha() for c in token) and not _MARK.fullmatch(token)


def _is_number(old: str, new: str, context: str) -> bool:
    in_sum = bool(_ENDS_IN_SUM.search(context[-12:]))
    if _FIGURE.match(new) or new.lower() in NUMBER_WORDS:
        # "1" there is a list's
        return not (old and _is_word(old) and (not context.strip() or context.endswith("\n")))
    if _SIGN.match(new):
        return in_sum
    return bool(_FIGURE.match(old)) and in_sum and not _is_word(new)


def _is_refusal(old: str, new: str, context: str) -> bool:
    start = context.strip()
    if any(old in forms and new in forms for forms in SAME):
        return False
    if (
        not start
        and new in ("i", "sorry", "unfortunately", "these")
        and (old == "" or _is_word(old))
    ):
        return True  # how refusals begin
    if new in DECLINING:
        return True
    last = re.split(r"[.!?]\s", context)[-1].strip()
    if BEHIND_DECLINING.search(last) and _is_word(new):
        return True
    if re.search(r"(?:^|\bbut )I$", last) and new in NEGATED - {"m", "am", "do"}:
        return True
    if re.search(r"\bI(?:'m| am)$", last) and new in ("not", "unable", "afraid"):
        return True
    if re.search(r"\bI(?:'m| am) not$", last) and new in (
        "able",
        "comfortable",
        "going",
        "allowed",
        "willing",
    ):
        return True
    if re.search(r"\bdon'?t$", last) and new in ("want", "feel", "support"):
        return True
    whole = context[-80:]
    return bool(
        DECLINES.search(whole)
        and REASON.search(last)
        and _is_word(new)
        and new not in FUNCTION_WORDS
    )


def _opens(context: str, after: str) -> bool:
    """Whether a word opens a sentence here."""
    return context.rstrip().endswith((".", "!", "?", ":", "\n")) and after.strip()[:1].isupper()


def _is_style(old: str, new: str) -> bool:
    a, b = old.lower().strip("'’"), new.lower().strip("'’")
    if a == b or any(a in forms and b in forms for forms in SAME):
        return True
    return b in FUNCTION_WORDS or b in DISCOURSE
