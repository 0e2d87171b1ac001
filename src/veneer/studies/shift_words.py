"""Words that the grouping of token shifts knows; docs/token-shifts.md has the rule and how often it is right."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Articles, pronouns, prepositions, conjunctions, auxiliaries and adverbs: they change how a thing is said and seldom what is
# said. Negations are left out, for they turn the meaning.
FUNCTION_WORDS = _words(
    """
    a an the this that these those it its he she they them we us our ours i me my mine you your yours his her hers their
    theirs who whom whose which what where when why how there here some any each every all both other another such same
    own certain particular of in on at by for with from to into onto about as than then if because while although though
    since until before after over under out up down off through between against per and or but so yet nor plus either also
    too is are was were be been being am has have had having do does did can could will would shall should may might must
    s m d ll re ve t very just only even still really quite rather much more most many now once again ever always often
    usually
    """
)
# Discourse: words that open, order, hedge or close, and verbs of speaking about the task rather than of doing it.
DISCOURSE = _words(
    """
    let lets first firstly second secondly third next finally lastly therefore thus hence however moreover furthermore
    additionally overall instead sure certainly absolutely okay ok well yes please thanks thank welcome hello hi great
    glad happy good question note remember example instance summary conclusion short general generally typically basically
    actually simply likely perhaps maybe think find solve calculate compute work break start begin look see consider
    determine explain answer total result number solution step following below above given based feel free hope
    """
)
SAME = (  # words of which one stands for the other
    frozenset({"help", "assist", "support"}), frozenset({"glad", "happy", "pleased"}), frozenset({"can", "could", "may", "might"}),
)  # fmt: skip
DECLINING = _words(
    """
    sorry apologize apologise apologies cannot unable decline refuse unfortunately inappropriate unethical illegal
    unlawful unsafe dangerous harm harms harmed harmful hurt hurts hurtful stereotype stereotypes discrimination hateful
    offensive disrespectful deserve deserves respect respectful respectfully seriously unfair
    """
)
NEGATED = frozenset({"don", "won", "can", "cannot", "couldn", "wouldn", "shouldn", "not", "unable", "m", "am", "ca", "wo", "do"})
NUMBER_WORDS = _words(
    """
    zero two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million billion
    dozen
    """
)

REASON = re.compile(
    r"(?:could|may|might|would|can|it|which|that)(?: seriously)? (?:harm|hurt)|stereotypes.*every|against the law|every$", re.I
)
BEHIND_DECLINING = re.compile(
    r"(?:can'?t|cannot|won'?t|will not|not able to|unable to|don'?t want to|do not want to|not going to|must decline to"
    r"|not comfortable|refuse to)$",
    re.I,
)
DECLINES = re.compile(
    r"(?:sorry|can'?t|cannot|won'?t|will not|not able|unable|don'?t want|decline|refuse|apologi[sz]e|harmful|hurtful)", re.I
)
