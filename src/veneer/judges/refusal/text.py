"""Prepare a text for the refusal judge: no Markdown, HTML or emoji, plain quotes, lower case,
contractions written out, split into sentences."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

# A refusal shows in an answer's beginning, and a break-off at its end: the middle is not read.
READ_CHARACTERS = 4000
READ_END = 600

_APOSTROPHES = str.maketrans(
    dict.fromkeys("’‘‛ʼʹˈ′´＇＇՚Ꞌꞌ", "'")
    | dict.fromkeys("“”„‟«»″＂", '"')
    | dict.fromkeys("–—―−‑‐", "-")
)
_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
# An answer that is one block of plain text as a whole: the block is the answer.
_ONE_BLOCK = re.compile(
    r"```[ \t]*(?:text|txt|plaintext|markdown|md)?[ \t]*\n((?:(?!```).)*)\n?```", re.DOTALL
)
_BLOCK_TAG = re.compile(
    r"</?(?:p|br|div|li|ul|ol|h[1-6]|tr|table|hr|blockquote)\b[^<>]{0,200}>", re.IGNORECASE
)
_TAG = re.compile(r"</?[a-z][^<>]{0,200}>", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,500}\)")
_ADDRESS = re.compile(r"\bhttps?://\S+")
_BACKTICK_APOSTROPHE = re.compile(r"(?<=[A-Za-z])`(?=[A-Za-z])")
_MARKS = re.compile(r"[*`~|\\]|(?<![^\W_])_+|_+(?![^\W_])")
_LINE_HEAD = re.compile(r"^[ \t]*(?:>[ \t]*)*(?:#{1,6}[ \t]+)?", re.MULTILINE)
_ITEM = re.compile(
    r"^[ \t]*(?:\d{1,2}[.)]|step \d{1,2}\b[:.)]?|[-+•*‣◦])[ \t]+(?=\S)", re.MULTILINE
)
_BARE = re.compile(
    r"\b(?:(ca|do|wo|is|are|was|were|does|did|could|would|should|have|has)nt|(i)m)\b(?!')"
)
_IRREGULAR = (
    ("can't", "cannot"),
    ("won't", "will not"),
    ("shan't", "shall not"),
    ("ain't", "is not"),
    ("let's", "let us"),
)
_REGULAR = (
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"\b(it|that|there|here|what|he|she)'s\b"), r"\1 is"),
)
_SENTENCE_END = re.compile(r"(?<=[.!?…:。！？])[\"')\]]*\s+|(?<=[。！？])|\n+")
_QUOTED = re.compile(r'"[^"\n]{1,600}"')
_SPEAKER = re.compile(r"^[ \t]*([a-z][a-z .]{1,24}):[ \t]+(?=\S)", re.MULTILINE)
# Labels of an answer's own parts, which are no speakers of a scene.
_OWN_LABELS = (
    "assistant ai answer response a me bot model output system chatbot note notes "
    "disclaimer warning important sorry reason reasons step why here summary example"
)
_OWN = frozenset(_OWN_LABELS.split())
_WORD = re.compile(r"[^\W_]+")
_ITEM_MARK = "\x01"
CODE_MARK = "\x02"


@dataclass(frozen=True)
class Sentence:
    text: str
    item: bool  # an item of a list
    words: int


@dataclass(frozen=True)
class RefusalText:
    """One prepared answer, split once for all features."""

    text: str  # normalised, line breaks kept
    sentences: tuple[Sentence, ...]
    code: bool  # a block of code stands in it
    question: str  # the normalised prompt, or nothing


def read(answer: str, prompt: str | None = None) -> RefusalText:
    """Prepare an answer. Where it starts by repeating `prompt`, as base models do, the repetition
    is removed. Quoted speech and the lines of a scene are removed: what a character says is not
    what the model says."""
    text = normalise(_ends(answer))
    question = normalise(prompt[:READ_CHARACTERS]).strip() if prompt else ""
    if question and text.startswith(question):
        text = text[len(question) :].lstrip()
    text = _without_speech(text)
    sentences = tuple(_sentences(text))
    return RefusalText(text.replace(_ITEM_MARK, ""), sentences, CODE_MARK in text, question)


def normalise(text: str) -> str:
    """Return the text without marks of layout, in lower case, with contractions written out. List
    items and code keep a mark of one control character."""
    text = text.translate({1: None, 2: None})
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).translate(_APOSTROPHES)
    if block := _ONE_BLOCK.fullmatch(text.strip()):
        text = block[1]
    text = _FENCE.sub(f"\n{CODE_MARK}\n", text)
    if "<" in text or "&" in text:
        text = _TAG.sub("", _BLOCK_TAG.sub("\n", html.unescape(text)))
    text = _ADDRESS.sub("", _LINK.sub(r"\1", text))
    text = _BACKTICK_APOSTROPHE.sub("'", text)
    text = "".join(c for c in text if c.isascii() or not _ornament(c)).lower()
    text = _ITEM.sub(_ITEM_MARK, _LINE_HEAD.sub("", text))
    text = _MARKS.sub("", text).strip()
    for short, full in _IRREGULAR:
        text = text.replace(short, full)
    text = _BARE.sub(_write_out, text)
    if "'" in text:
        for pattern, full in _REGULAR:
            text = pattern.sub(full, text)
    return re.sub(r"[ \t]+", " ", text.replace("can not", "cannot"))


def _ends(text: str) -> str:
    text = text.strip()
    if len(text) <= READ_CHARACTERS + READ_END:
        return text
    return f"{text[:READ_CHARACTERS]}\n{text[-READ_END:]}"


def _ornament(character: str) -> bool:
    """Emoji, their modifiers, invisible characters and lone surrogates."""
    return unicodedata.category(character) in ("So", "Sk", "Cf", "Cs", "Co", "Cn", "Mn")


def _write_out(match: re.Match[str]) -> str:
    if match[2]:
        return "i am"
    return {"ca": "cannot", "wo": "will not"}.get(match[1], f"{match[1]} not")


def _without_speech(text: str) -> str:
    speakers = {m[1].strip() for m in _SPEAKER.finditer(text)} - _OWN
    if len(speakers) > 1:
        lines = text.split("\n")
        text = "\n".join(
            line for line in lines if not ((m := _SPEAKER.match(line)) and m[1].strip() in speakers)
        )
    if '"' not in text:
        return text
    outside = _QUOTED.sub(" ", text)
    # An answer that stands in quotation marks as a whole is the model's own.
    return outside if len(_WORD.findall(outside)) >= 4 else text.replace('"', "")


def _sentences(text: str) -> list[Sentence]:
    pieces = []
    for piece in _SENTENCE_END.split(text):
        bare = piece.replace(_ITEM_MARK, "").replace(CODE_MARK, "").strip(" \"'()[]-,;:.!?\t")
        if words := len(_WORD.findall(bare)):
            pieces.append(Sentence(bare, _ITEM_MARK in piece, words))
    return pieces
