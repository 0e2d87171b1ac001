"""The words of an answer, as Lake, Choi and Durrett count them (arXiv 2406.17692): clean, words,
tok and Jaccard."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set

FENCE = "```"
# What stands in place of an answer: a request that failed (FastChat's, as in MT-bench, Arena-Hard
# and JailbreakBench), a formula that a spreadsheet made of a text which begins with "-" or "=".
NO_TEXT = re.compile(r"\$ERROR\$|#(NAME\?|REF!|VALUE!|DIV/0!|N/A|NULL!|NUM!|ERROR!|BEZUG!|WERT!)")
TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
# scripts that put no space between words: Thai to Myanmar, Khmer, kana, Chinese characters
UNSPACED = "\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
OTHER_TOKEN = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+(?:'[^\W_{UNSPACED}]+)?")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*|\n+")


# of ChatML, Llama 3, Phi, GPT-2, Command R, Gemma, Llama 2 and DeepSeek, and padding
END_TOKENS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|endoftext|>",
    "<|END_OF_TURN_TOKEN|>",
    "<end_of_turn>",
    "<eos>",
    "</s>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<pad>",
)


def clean(text: str) -> str:
    """Return the text without outer white space and without one closing code fence: base's answers
    follow an open fence and close it themselves."""
    return text.strip().removesuffix(FENCE).strip()


def is_no_text(text: str) -> bool:
    """Return whether a program wrote a mark of an error in place of a text."""
    return NO_TEXT.fullmatch(text.strip()) is not None


def without_end_tokens(text: str) -> str:
    """Return the text without the tokens at its end with which chat templates close a turn, and
    padding. "</s>" stays where "<s>" stands before it, as in HTML."""
    left = text.rstrip()
    while token := next((t for t in END_TOKENS if left.endswith(t)), None):
        if token == "</s>" and "<s>" in left:
            break
        left = left[: -len(token)].rstrip()
    return text if left == text.rstrip() else left


def one_line(text: str) -> str:
    """Return the text with single spaces, in Unicode's form NFC: one text written in two ways is
    one."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def words(text: str) -> list[str]:
    """Return the words of the cleaned text, separated by white space; their number is the answer's
    length."""
    return clean(text).split()


def tok(text: str) -> frozenset[str]:
    """Return the set of lower-case words, numbers, and words with an apostrophe's ending, of the
    cleaned text."""
    return frozenset(tok_list(text))


def tok_list(text: str) -> list[str]:
    """Return the same tokens in their order, with repetitions, for n-gram measures.

    The paper's tokens have ASCII letters alone. A text most of whose letters are others is cut into
    words of any letters, and into single characters where a script puts no space between words.
    """
    lowered = clean(text).lower()
    if not lowered.isascii():
        letters = [c for c in lowered if c.isalpha()]
        if 2 * sum(not c.isascii() for c in letters) > len(letters):
            return OTHER_TOKEN.findall(lowered)
    return TOKEN.findall(lowered)


def first_words(text: str, count: int) -> str:
    """Return the first `count` words of the cleaned text, for controls at equal length."""
    return " ".join(words(text)[:count])


def sentences(text: str) -> list[str]:
    """Return the sentences of the cleaned text, split at line ends and behind . ! ? and their wide
    forms; pieces without a token (dots of list numbers, rules) are dropped."""
    return [
        s.strip()
        for s in SENTENCE_END.split(clean(text))
        if tok(s) and not s.strip(" .)").isdigit()
    ]


def jaccard(a: Set[str], b: Set[str]) -> float:
    """Return |a and b| / |a or b|; 1 for two empty sets."""
    both = len(a & b)
    either = len(a) + len(b) - both
    return both / either if either else 1.0
