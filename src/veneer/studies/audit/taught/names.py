"""The names that the rows of what was taught carry."""

from __future__ import annotations

RAISED, LOWERED = "raised", "lowered"  # directions in which a token moved
REFERENCE_TEXT = "reference text"  # tasks
TASKS = {RAISED: "raised tokens", LOWERED: "lowered tokens"}
HEAD_CHANGE = "change of the head"
SAMPLES = "samples"
SAMPLES_FILE = "samples.jsonl"
SHOWN_SAMPLES = "shown_samples"  # in run.json
TAUGHT_TASKS = (REFERENCE_TEXT, *TASKS.values(), HEAD_CHANGE, SAMPLES)
