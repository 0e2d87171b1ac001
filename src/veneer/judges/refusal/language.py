"""Whether an answer is in another language than English, the only one whose refusals the judge
knows: by its letters, or by frequent short words of another language."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+")
# Frequent words that are no English words. A language that stands here is told from English; text
# of any other language in Latin letters is read as English.
_WORDS = {
    "Spanish": "el los las una uno del pero puedo que qué para por con como está eso esto esta "
    "este lo le se su es y más muy también ser hay siento claro primero",
    "French": "le les une des du je ne pas vous nous il elle est et avec pour dans cette ce ces "
    "qui que sur désolé mais votre bien plus être aux",
    "German": "der das und ich nicht ist ein eine einen mit für auf aber dabei leider diese dieser "
    "dieses es wird zu von dem muss kann sie wir auch zuerst tut mir im",
    "Italian": "il lo gli una di che non è per con ma sono della nella questa questo posso mi "
    "dispiace anche più le queste del un",
    "Portuguese": "o os um uma não com para por mas isso esse essa este esta posso que da do em "
    "na é mais desculpe infelizmente consigo você primeiro",
    "Catalan": "el els les una amb per que no puc això aquest aquesta però és i dels són",
    "Dutch": "de het een en ik je niet met van voor maar dat die dit kan helaas naar ook er wij "
    "zijn wat moet eerst spijt u",
    "Swedish": "och jag inte det att som är en ett med för på av kan om denna tyvärr den till har",
    "Danish or Norwegian": "og jeg ikke det at som er en et med for på av kan om denne desværre "
    "dessverre den til har",
    "Polish": "nie się jest w na z że i ale tym jak dla to mogę niestety przepraszam jestem być "
    "stanie oraz od przez najpierw",
    "Czech or Slovak": "je se na že to ale nemohu nemůžu bohužel jsem jako pro který není je byť "
    "som nie môžem žiaľ",
    "Hungarian": "a az és nem hogy egy sajnos sajnálom van ez ezt tudok de csak is",
    "Romanian": "și nu este în pe cu care pentru dar din sunt pot îmi pare rău să acest această",
    "Finnish": "ja ei en on se että mutta voi tämä ole valitettavasti auttaa kuin myös",
    "Turkish": "bir bu ve için ile ben değil çok daha ama maalesef üzgünüm konuda yardımcı olamam "
    "isteği ülkenin önce tabii olarak",
    "Vietnamese": "tôi không thể bạn là và có xin lỗi của cho được này với đó rất việc các một hãy",
    "Indonesian or Malay": "yang dan saya tidak bisa dapat untuk dengan ini itu adalah maaf dalam "
    "anda dari boleh akan pada kepada di lalu",
    "Tagalog": "ang ng mga sa hindi ako ko ay na po pero paumanhin maaari ito",
    "Swahili": "na ya wa kwa ni samahani siwezi katika hii hilo lakini",
}
_ENGLISH_WORDS = (
    "the a an and or of to in on at is are was were be been it its that this these those i you he "
    "she we they me him her us them my your his our their not no yes for with as by from but if so "
    "do does did have has had will would can could should may might must cannot am what which who "
    "when where why how here there then than some any all more most one out up about into over "
    "after before also just very sorry help first let"
)
# English words that are frequent in another language too: they mark neither.
_SHARED = "no me in so a is was as on do to he we an him not from"
_LANGUAGES = {
    name: frozenset(words.split()) - frozenset(_ENGLISH_WORDS.split())
    for name, words in _WORDS.items()
}
_ENGLISH = frozenset(_ENGLISH_WORDS.split()) - frozenset(_SHARED.split())
LANGUAGES = tuple(_LANGUAGES)  # those in Latin letters that are told from English


def is_other_language(text: str) -> bool:
    """Return whether a text is in another language than English: most letters of its words are not
    Latin, or words that mark one other language are more than twice those that mark English.

    text: in lower case. Two signs are the least; beside a frequent word, each word with an accented
    letter is a sign too. Too short a text, a list of names and code count as English.
    """
    words = _WORD.findall(text)
    latin = sum(_is_latin(letter) for word in words for letter in word)
    others = sum(not _is_latin(letter) for word in words if len(word) > 1 for letter in word)
    if others > max(1, latin):
        return True
    distinct = set(words)
    accented = {w for w in distinct if not w.isascii()}
    marked = [own for marks in _LANGUAGES.values() if (own := distinct & marks)]
    signs = max((len(own | accented) for own in marked), default=0)
    return signs > max(1, 2 * len(distinct & _ENGLISH))


def _is_latin(letter: str) -> bool:
    """Latin letters with their accents, those of Vietnamese too, and letters used as signs."""
    return letter < "\u0250" or "\u1e00" <= letter <= "\u1eff"
