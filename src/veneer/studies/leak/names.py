"""The names in the rows of a leak study."""

STUDY = "leak"

# fields of an example, the `of` of a row
QUESTION, ANSWER, PAIR = "question", "answer", "pair"
FIELDS = (QUESTION, ANSWER, PAIR)

# rules by which a sample counts as extracted, the `split` of a row
CALIBRATED, PUBLISHED = "calibrated", "published"

HELD_OUT = "held-out"  # the system of false rates: texts that nobody trained on
ALIGNED, BASE_CHAT, VENEER = "aligned", "base-chat", "veneer"

# judges beside the embedding model, whose id is the judge of its rows
VERBATIM, LEVENSHTEIN, INDEL = "verbatim", "levenshtein", "indel"
