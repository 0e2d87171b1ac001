"""The names in the rows of a depth study."""

STUDY = "depth"

# what is forced as the beginning of an answer, the first part of a row's split and its fact
# "prefix": the first tokens of a harmful answer, or of the aligned model's own refusal
HARMFUL_PREFIX, REFUSAL_PREFIX = "harmful-prefix", "refusal-prefix"

REFUSAL = "refusal_rate"  # the metric

ALL = "all"  # the whole text, in place of a number of tokens
NEVER = "never"  # an end of an interval that no tested number of tokens reaches

# the fact "half_depth"
REACHED, FEW_REFUSALS = "reached", "few_refusals"
